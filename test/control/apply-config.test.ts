/** bursar.yaml applied: idempotent, winning for what it names, never resetting usage, never deleting unasked. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { hashKey } from '../../src/auth/virtual-key.ts'
import { applyConfigFile } from '../../src/control/config-start.ts'
import { createCustomer, patchTeam } from '../../src/control/customers.ts'
import { createLimit, patchLimit } from '../../src/control/limits.ts'
import { ConfigFileError, readConfigFile } from '../../src/control/read-config.ts'
import { createVirtualKey, rotateVirtualKey } from '../../src/control/virtual-keys.ts'
import { parseDuration } from '../../src/units/duration.ts'
import { ADMIN, emptiedDatabase, makeControl, NOW, type TestControl } from '../helpers/control.ts'
import { temporaryDirectory } from '../helpers/databases.ts'

const open = emptiedDatabase()
const ENV = { NOTEBOOK_KEY: 'an-old-key-of-ours-01', OPENAI_API_KEY: 'sk-openai-0123456789' }

const FILE = `
providers:
  - { name: openai, kind: openai, keys: [ { name: main, value: "\${OPENAI_API_KEY}" } ] }
prices: [ { provider: local, model: "*", input_usd_per_million: "0" } ]
customers:
  - { name: acme, limits: [ { metric: cost, max: "500", window: 1M, align: calendar } ] }
teams:
  - { name: research, customer: acme, limits: [ { metric: cost, max: "100", window: 1M } ] }
users:
  - { name: ada, max_ips: 5 }
virtual_keys:
  - name: notebook
    value: "\${NOTEBOOK_KEY}"
    user: ada
    team: research
    access: [ { provider: openai, models: ["gpt-4o*"], key_ids: [main] } ]
    limits: [ { metric: requests, max: 60, window: 1m } ]
  - { name: generated }
limits:
  - { scope: global, provider: openai, metric: tokens, max: 1000, window: 1m }
`

interface Applying extends TestControl {
  readonly dataDir: string
  apply(text: string): Promise<{ done: readonly string[]; kept: readonly string[] }>
}

async function applying(t: TestContext): Promise<Applying> {
  const made = makeControl(await open(t))
  const dataDir = temporaryDirectory(t)
  return {
    ...made,
    dataDir,
    apply: (text) => applyConfigFile(made.control, readConfigFile('bursar.yaml', text, ENV), dataDir),
  }
}

const named = <E extends { name: string }>(entities: ReadonlyMap<string, E>, name: string): E => {
  const found = [...entities.values()].find((entity) => entity.name === name)
  assert.ok(found, name)
  return found
}

describe('apply config', () => {
  test('everything it declares is there afterwards, tied together by name', async (t) => {
    const { apply, store } = await applying(t)
    const { done } = await apply(FILE)
    assert.equal(done.length, 11)
    const key = named(store.virtualKeys, 'notebook')
    const provider = store.providerByName('openai')
    assert.equal(key.hash, hashKey(ENV.NOTEBOOK_KEY))
    assert.equal(key.userId, named(store.users, 'ada').id)
    assert.equal(key.teamId, named(store.teams, 'research').id)
    assert.deepEqual(key.access?.[0]?.keyIds, [provider?.keys[0]?.id])
    assert.equal(named(store.teams, 'research').customerId, named(store.customers, 'acme').id)
    assert.equal(store.limitsOfScope({ kind: 'global', id: null }).length, 1)
    for (const { managedBy } of [...store.limits.values(), ...store.users.values(), ...store.prices.values()]) {
      assert.equal(managedBy, 'file')
    }
  })

  test('F11 applying it again changes nothing: no entity, no usage, no line in the audit log', async (t) => {
    const { apply, store, ledger, clock, db } = await applying(t)
    await apply(FILE)
    const before = { limits: [...store.limits.values()], keys: [...store.virtualKeys.values()] }
    for (const { id } of before.limits) ledger.correct(id, 1n, NOW)
    clock.advance(1_000)
    assert.deepEqual(await apply(FILE), { done: [], kept: [] })
    assert.deepEqual([...store.limits.values()], before.limits)
    assert.deepEqual([...store.virtualKeys.values()], before.keys)
    for (const { id } of before.limits) assert.equal(ledger.read(id, NOW)?.posted, 1n)
    assert.equal((await db.selectFrom('audit_log').selectAll().execute()).length, 11)
  })

  test('B104 B105 the same identity updates max and alerts and keeps usage; another identity is another limit', async (t) => {
    const { apply, store, ledger } = await applying(t)
    await apply(FILE)
    const [limit] = store.limitsOfScope({ kind: 'team', id: named(store.teams, 'research').id })
    assert.ok(limit)
    ledger.correct(limit.id, 7n, NOW)
    await apply(FILE.replace('max: "100"', 'max: "150", alert_at: ["0.5"]'))
    const raised = store.limits.get(limit.id)
    assert.deepEqual([raised?.max, raised?.alertAt, raised?.countNumber], [150_000_000_000n, ['0.5'], 1])
    assert.equal(ledger.read(limit.id, NOW)?.posted, 7n)
    await apply(FILE.replace('max: "100", window: 1M', 'max: "100", window: 1d'))
    const limits = store.limitsOfScope({ kind: 'team', id: named(store.teams, 'research').id })
    assert.deepEqual(
      limits.map(({ window }) => window),
      ['1M', '1d'],
    )
  })

  test('it wins for what it names and leaves the rest to the admin', async (t) => {
    const { apply, store, control } = await applying(t)
    await apply(FILE)
    const team = named(store.teams, 'research')
    const key = named(store.virtualKeys, 'notebook')
    const [limit] = store.limitsOfScope({ kind: 'virtual_key', id: key.id })
    assert.ok(limit)
    await control.write(ADMIN, async (work) => {
      await patchTeam(work, team.id, { customer_id: null, metadata: { mine: true } })
      await patchLimit(work, limit.id, { max: 9 })
      await rotateVirtualKey(work, key.id, parseDuration('1m'))
    })
    await apply(FILE)
    assert.equal(store.teams.get(team.id)?.customerId, named(store.customers, 'acme').id)
    assert.deepEqual(store.teams.get(team.id)?.metadata, { mine: true })
    assert.equal(store.limits.get(limit.id)?.max, 60n)
    assert.equal(store.virtualKeys.get(key.id)?.hash, hashKey(ENV.NOTEBOOK_KEY))
  })

  test('F23 a generated key is written to a file that only its owner can read, once', async (t) => {
    const { apply, store, dataDir } = await applying(t)
    const { done } = await apply(FILE)
    const file = join(dataDir, 'keys', 'generated')
    const value = readFileSync(file, 'utf8').trim()
    assert.equal(named(store.virtualKeys, 'generated').hash, hashKey(value))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(join(dataDir, 'keys')).mode & 0o777, 0o700)
    assert.ok(!done.join().includes(value))
    assert.throws(() => statSync(join(dataDir, 'keys', 'notebook')))
    await apply(FILE)
    assert.equal(readFileSync(file, 'utf8').trim(), value)
  })

  for (const [what, find, replacement, complaint] of [
    [
      'an owner that does not exist',
      'team: research',
      'team: reserch',
      /^bursar\.yaml:15:11: virtual_keys\[0\]\.team names the team "reserch", which does not exist$/,
    ],
    [
      'a provider that does not exist',
      'provider: openai, models',
      'provider: opnai, models',
      /virtual_keys\[0\]\.access\[0\]\.provider names the provider "opnai"/,
    ],
    [
      'a key that a provider does not have',
      'key_ids: [main]',
      'key_ids: [mian]',
      /virtual_keys\[0\]\.access\[0\]\.key_ids\[0\]/,
    ],
    ['a max that does not fit its metric', 'max: "100"', 'max: 100', /teams\[0\]\.limits\[0\]\.max must be dollars/],
    [
      'the same name twice',
      '{ name: generated }',
      '{ name: notebook }',
      /virtual_keys\[1\]\.name is the same as one before it/,
    ],
    ['a user kind without its expiry', 'max_ips: 5', 'kind: temporary', /users\[0\]\.expires_at is missing/],
  ] as const) {
    test(`${what} stops with one line, and nothing has been applied`, async (t) => {
      const { apply, store } = await applying(t)
      await assert.rejects(apply(FILE.replace(find, replacement)), (error) => {
        assert.ok(error instanceof ConfigFileError)
        assert.match(error.message, complaint)
        assert.ok(!error.message.includes('\n'))
        return true
      })
      assert.equal(store.customers.size + store.providers.size + store.limits.size, 0)
    })
  }

  test('a provider keeps credentials that an edit of the file does not touch', async (t) => {
    const { apply, store } = await applying(t)
    await apply(FILE)
    const before = store.providerByName('openai')
    await apply(FILE.replace('kind: openai, keys', 'kind: openai, timeout_ms: 5000, keys'))
    const after = store.providerByName('openai')
    assert.deepEqual([after?.id, after?.keys, after?.timeoutMs], [before?.id, before?.keys, 5_000])
  })

  test('a changed price follows the former one instead of rewriting what was charged', async (t) => {
    const { apply, store, clock } = await applying(t)
    await apply(FILE)
    clock.advance(1_000)
    await apply(FILE.replace('input_usd_per_million: "0"', 'input_usd_per_million: "1"'))
    await apply(FILE.replace('input_usd_per_million: "0"', 'input_usd_per_million: "1"'))
    assert.deepEqual(
      [...store.prices.values()].map(({ inputPerMillion, effectiveFrom }) => [inputPerMillion, effectiveFrom]),
      [
        [0n, NOW],
        [1_000_000_000n, NOW + 1_000],
      ],
    )
  })

  test('prune deletes what an earlier file made and this one no longer names; never what an admin made or still uses', async (t) => {
    const { apply, store, control } = await applying(t)
    await apply(FILE)
    await control.write(ADMIN, async (work) => {
      await createCustomer(work, { name: 'by hand' })
      await createLimit(work, { scope: { kind: 'global' }, metric: 'requests', max: 5, window: '1m' })
      await createVirtualKey(work, { name: 'uses ada', user_id: named(store.users, 'ada').id })
    })
    assert.deepEqual((await apply('require_key: true\n')).done, [])
    const { done, kept } = await apply('prune: true\n')
    assert.ok(done.includes('customer.delete acme') && done.includes('virtual_key.delete notebook'), done.join())
    assert.equal(kept.length, 1)
    assert.match(kept[0] ?? '', /^user ada: /)
    assert.deepEqual(
      [
        ...store.customers.values(),
        ...store.teams.values(),
        ...store.users.values(),
        ...store.virtualKeys.values(),
      ].map(({ name }) => name),
      ['by hand', 'ada', 'uses ada'],
    )
    assert.equal(store.limits.size, 1)
    assert.equal(store.providers.size + store.prices.size, 0)
  })

  test('prune takes single limits too, and an edit by an admin does not make a thing of the file his', async (t) => {
    const { apply, store, control } = await applying(t)
    await apply(FILE)
    const team = named(store.teams, 'research')
    await control.write(ADMIN, (work) => patchTeam(work, team.id, { metadata: { mine: true } }))
    await apply(`prune: true\n${FILE.replace('limits: [ { metric: cost, max: "100", window: 1M } ]', 'limits: []')}`)
    assert.equal(store.limitsOfScope({ kind: 'team', id: team.id }).length, 0)
    assert.equal(store.limits.size, 3)
    await apply('prune: true\n')
    assert.equal(store.teams.size, 0)
    assert.deepEqual(await control.read((db) => db.selectFrom('virtual_keys').selectAll().execute()), [])
  })

  test('a user without limits of its own keeps the defaults of its kind, through prune too', async (t) => {
    const defaults = 'user_defaults: { normal: { limits: [ { metric: requests, max: 5, window: 1m } ] } }\n'
    const read = readConfigFile('bursar.yaml', `${defaults}prune: true\nusers: [ { name: ada } ]\n`, {})
    const { control, store } = makeControl(await open(t), read.settings)
    for (let start = 0; start < 2; start += 1) {
      await applyConfigFile(control, read, temporaryDirectory(t))
      assert.equal(store.limits.size, 1)
    }
  })

  test('a file whose keys have expired meanwhile still starts', async (t) => {
    const { apply, clock, store } = await applying(t)
    const text = 'virtual_keys: [ { name: k, expires_at: "2026-11-21T13:00:00Z" } ]\n'
    await apply(text)
    clock.advance(7_200_000)
    assert.deepEqual((await apply(text)).done, [])
    assert.equal(store.virtualKeys.size, 1)
  })
})
