import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { hashKey } from '../../src/auth/virtual-key.ts'
import { exported, imported } from '../../src/control/transfer.ts'
import { loadWithin } from '../../src/persist/load.ts'
import { compareBooks } from '../../src/persist/rebuild.ts'
import { exportBooks } from '../../src/persist/transfer-export.ts'
import { testBooks } from '../helpers/books.ts'
import { ADMIN, makeAdmin, NOW, type TestAdmin } from '../helpers/control.ts'
import { forEachDatabase, type TestDatabase } from '../helpers/databases.ts'
import { settled } from '../helpers/facts.ts'

const SECRET = 'a secret for tests'

async function documentOf(database: TestDatabase): Promise<string> {
  let text = ''
  for await (const piece of exportBooks(database.db, NOW)) text += piece
  return text
}

const bring = (admin: TestAdmin, text: string, options: { secret?: string; withoutCredentials?: boolean } = {}) =>
  imported(
    admin.control,
    (async function* () {
      // In pieces that end anywhere.
      const bytes = Buffer.from(text)
      for (let from = 0; from < bytes.length; from += 1_013) yield bytes.subarray(from, from + 1_013)
    })(),
    { actor: ADMIN, secret: SECRET, withoutCredentials: false, ...options },
  )

/** One of everything, some of it used. */
async function fill(admin: TestAdmin, t: Parameters<typeof testBooks>[0], database: TestDatabase) {
  const customer = await admin.create('/customers', { name: 'ümlaut & söns', metadata: { a: [1, 'x\u2028'] } })
  const team = await admin.create('/teams', { name: 'research', customer_id: customer.id })
  const user = await admin.create('/users', { name: 'ada', kind: 'temporary', expires_at: '2099-01-01T00:00:00Z' })
  const key = await admin.create('/virtual-keys', {
    name: 'notebook',
    value: 'an-imported-key-of-somebody',
    user_id: user.id,
    team_id: team.id,
    limits: [{ metric: 'cost', max: '9.000000001', window: '1d' }],
  })
  await admin.create('/providers', {
    name: 'openai',
    kind: 'openai',
    keys: [{ name: 'main', value: 'sk-credential-0123456789' }],
    headers: { 'x-org': 'secret-header' },
  })
  await admin.create('/prices', { provider: 'openai', model: 'm*', input_usd_per_million: '0.3' })
  await admin.create('/management-keys', { name: 'ci', role: 'viewer' })
  const limit = key.limits[0]
  const start = Date.parse(limit.usage.window_started_at)
  const books = testBooks(t, database)
  const charges = [[limit.id, 1, start, 'cost', '9007199254740993']] as const
  await books.write([
    settled({ charges, endedAt: NOW, userId: user.id, virtualKeyId: key.id }),
    { t: 'seen', at: NOW, virtualKeyId: key.id, userId: user.id, address: '203.0.113.7' },
  ])
  await books.dump.run()
  return { key, limit, user }
}

forEachDatabase((_kind, openEmpty) => {
  /** With an installation, whose secrets are those of `makeControl`. */
  const open: typeof openEmpty = async (t) => {
    const database = await openEmpty(t)
    const installation = { secret_salt: Buffer.alloc(16).toString('base64'), secret_check: 'checked elsewhere' }
    await database.db.insertInto('installation').values(installation).execute()
    return database
  }

  test('U17 F11 export, an empty database, import: the same document again, keys, counts and addresses included', async (t) => {
    const database = await open(t)
    await fill(await makeAdmin(t, database), t, database)
    const text = await documentOf(database)
    assert.ok(JSON.parse(text).rows > 10, 'it is JSON as a whole')
    for (const secret of ['an-imported-key-of-somebody', 'sk-credential', 'secret-header', SECRET])
      assert.ok(!text.includes(secret))
    assert.ok(text.includes(hashKey('an-imported-key-of-somebody')), 'U17 the token goes along by its hash')

    const other = await open(t)
    const admin = await makeAdmin(t, other)
    const counts = await bring(admin, text)
    assert.deepEqual([counts.virtual_keys, counts.limit_usage, counts.user_ips], [1, 1, 1])
    const rows = (of: string) => of.split('\n').filter((line) => !/secret_salt|value_encrypted|"headers":/.test(line))
    assert.deepEqual(rows(await documentOf(other)), rows(text))
    const values: unknown[] = []
    await other.db.transaction().execute((trx) =>
      loadWithin(trx, {
        secrets: admin.control.parts.secrets as never,
        targets: {
          entities: (changes) =>
            values.push(
              ...changes.flatMap((change) =>
                change.op === 'put' && change.kind === 'provider' ? change.entity.keys.map(({ value }) => value) : [],
              ),
            ),
          addresses() {},
          meter: (_limit, state) => values.push(state.posted),
        },
      }),
    )
    assert.deepEqual(
      values,
      ['sk-credential-0123456789', 9_007_199_254_740_993n],
      'credentials can be read, large counts are exact',
    )
    const { windows, hours } = await compareBooks(other.db, Date.now(), 364 * 86_400_000)
    assert.deepEqual([windows.differences, hours.differences], [[], []], 'what came along is explained')
    const { body } = await admin.call('GET', '/audit?limit=1')
    assert.deepEqual([body.data[0].action, body.data[0].after.virtual_keys], ['books.import', 1])
  })

  test('F11 a second import changes nothing that was used, and takes back what was edited', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const { key, limit } = await fill(admin, t, database)
    const text = await documentOf(database)
    const books = testBooks(t, database)
    await books.write([settled({ charges: [[limit.id, 1, Date.parse(limit.usage.window_started_at), 'cost', '7']] })])
    await books.dump.run()
    await admin.call('PATCH', `/virtual-keys/${key.id}`, { name: 'renamed', active: false })
    await bring(admin, text)
    await bring(admin, text)
    const usage = await database.db.selectFrom('limit_usage').select('posted').execute()
    assert.deepEqual(usage, [{ posted: 9_007_199_254_741_000n }])
    const kept = await database.db.selectFrom('virtual_keys').select(['name', 'active']).execute()
    assert.deepEqual(kept, [{ name: 'notebook', active: true }])
  })

  test('what is wrong with a file is one line with its place, and nothing of the file gets in', async (t) => {
    const database = await open(t)
    await fill(await makeAdmin(t, database), t, database)
    const text = await documentOf(database)
    const lines = text.split('\n')
    const other = await open(t)
    const admin = await makeAdmin(t, other)
    const nobody = (line: string) => line.includes('"name":"notebook"')
    const at = lines.findIndex(nobody) + 1
    const cases: [string, string, RegExp][] = [
      [
        'cut in the middle',
        lines.slice(0, randomInt(2, lines.length - 2)).join('\n'),
        /^the file ends after line \d+, in the middle: it was cut off$|^line \d+: /,
      ],
      ['cut inside a line', text.slice(0, text.length - 30), /^the file ends after line \d+|^line \d+: not a row/],
      ['not JSON', 'hello\n', /^line 1: this is no export of Bursar$/],
      ['empty', '', /^the file ends after line 0/],
      [
        'another form',
        text.replace('"bursar_export":1', '"bursar_export":9'),
        /^line 1: written in form 9, and this program reads 1$/,
      ],
      [
        'another schema',
        text.replace(/"schema":"\w+"/, '"schema":"0001_entities"'),
        /^line 1: written from a database at migration 0001_entities, and this one is at \w+; /,
      ],
      [
        'a row gone',
        lines.filter((line) => !line.includes('"address"')).join('\n'),
        /^line \d+: \d+ rows were written, and \d+ are here$/,
      ],
      [
        'a wrong type',
        text.replace('"active":true', '"active":"perhaps"'),
        new RegExp(`^line ${at}: this row of virtual_keys cannot be imported: .*boolean`),
      ],
      [
        'a missing owner',
        text.replace(/"team_id":"[^"]+"/, '"team_id":"019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f"'),
        new RegExp(`^line ${at}: this row of virtual_keys cannot be imported: .*foreign key`),
      ],
      [
        'an unreadable window',
        text.replace('"window":"1d"', '"window":"sometimes"'),
        /^limit \S+ cannot be used as it is: .*sometimes/,
      ],
      ['something at the end', `${text}{"more":1}\n`, /^line \d+: something follows the end$/],
    ]
    for (const [what, broken, said] of cases) {
      await assert.rejects(bring(admin, broken), (error: Error) => {
        assert.match(error.message, said, what)
        return true
      })
    }
    await assert.rejects(
      bring(admin, text, { secret: 'another secret' }),
      /^ControlError: line \d+: a credential that was encrypted with another BURSAR_SECRET/,
    )
    const empty = await other.db.selectFrom('customers').selectAll().execute()
    assert.deepEqual(empty, [])
    const counts = await bring(admin, text, { secret: 'another secret', withoutCredentials: true })
    assert.equal(counts.provider_keys, 0)
    await assert.rejects(
      bring(admin, text.replaceAll(/"id":"01/g, '"id":"02').replaceAll(/_id":"01/g, '_id":"02')),
      /line \d+: this row of customers cannot be imported: something else here has the same name or key/,
    )
  })

  test('the document is made from one look, and a reader that leaves ends it', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    await fill(admin, t, database)
    for await (const _ of exported({ db: database.db, clock: admin.clock })) break
    await admin.create('/teams', { name: 'after' })
  })
})
