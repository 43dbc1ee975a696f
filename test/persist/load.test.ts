import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import type { UserAddress } from '../../src/auth/addresses.ts'
import type { MeterState } from '../../src/ledger/reading.ts'
import type { Database } from '../../src/persist/database.ts'
import { type LoadReport, load } from '../../src/persist/load.ts'
import {
  rowOfCustomer,
  rowOfLimit,
  rowOfPrice,
  rowOfProvider,
  rowOfTeam,
  rowOfUser,
  rowOfVirtualKey,
  rowsOfProviderKeys,
} from '../../src/persist/rows.ts'
import { openSecrets, Secrets } from '../../src/persist/secrets.ts'
import type { Change, PriceOverride } from '../../src/store/entities.ts'
import { newId } from '../../src/units/id.ts'
import { forEachDatabase } from '../helpers/databases.ts'
import { aCustomer, aLimit, aProvider, aTeam, aUser, aVirtualKey } from '../helpers/entities.ts'

interface Loaded {
  readonly report: LoadReport
  readonly changes: Change[]
  readonly addresses: UserAddress[]
  readonly meters: Map<string, MeterState>
}

async function loadAll({ db }: Database, secrets: Pick<Secrets, 'decrypt'>): Promise<Loaded> {
  const [changes, addresses, meters] = [[] as Change[], [] as UserAddress[], new Map<string, MeterState>()]
  const report = await load({
    db,
    secrets,
    targets: {
      entities: (piece) => void changes.push(...piece),
      addresses: (piece) => void addresses.push(...piece),
      meter: (limitId, state) => void meters.set(limitId, state),
    },
  })
  return { report, changes, addresses, meters }
}

const entitiesOf = ({ changes }: Loaded, kind: string) =>
  changes.flatMap((change) => (change.op === 'put' && change.kind === kind ? [change.entity] : []))

forEachDatabase((_kind, open) => {
  test('U16 an empty database loads as nothing, without an error', async (t) => {
    const database = await open(t)
    const { report, changes } = await loadAll(database, await openSecrets(database.db, 'secret'))
    assert.deepEqual([report.problems, changes], [[], []])
    assert.deepEqual([...new Set(Object.values(report.counts))], [0])
  })

  test('every entity comes back as it was stored, each after what it refers to', async (t) => {
    const database = await open(t)
    const { db } = database
    const secrets = await openSecrets(db, 'secret')
    const customer = aCustomer({ metadata: { a: [1, { b: null }] } })
    const team = aTeam({ customerId: customer.id })
    const user = aUser({ kind: 'temporary', expiresAt: 1_800_000_000_123, maxIps: 3, email: 'a@b.c', note: 'ä' })
    const access = { provider: 'openai', models: ['gpt*'], blockedModels: ['x'], keyIds: null, weight: 0.5 }
    const plain = aVirtualKey({ name: 'plain', hash: 'd'.repeat(64), metadata: { a: '{"NULL", \\}' } })
    const key = aVirtualKey({
      userId: user.id,
      teamId: team.id,
      access: [access],
      allowedIps: ['10.0.0.0/8', '::1/128'],
      passthrough: true,
      rotatedAt: 5,
      previousHash: 'c'.repeat(64),
      previousUntil: 6,
    })
    const providers = ['older', 'newer'].map((name, index) =>
      aProvider({
        name,
        createdAt: index,
        headers: { 'x-org': `${name} header` },
        deployments: { 'gpt-4o': 'mine' },
        keys: [{ id: newId(), name: 'main', value: `value of ${name}`, keyStart: 'val', weight: 2 }],
      }),
    )
    const price: PriceOverride = {
      id: newId(),
      managedBy: 'file',
      createdAt: 7,
      updatedAt: 8,
      provider: 'openai',
      model: '*',
      inputPerMillion: 9_007_199_254_740_993n,
      outputPerMillion: null,
      cacheReadPerMillion: 0n,
      cacheWritePerMillion: null,
      perRequest: 7n,
      effectiveFrom: 9,
    }
    const limits = [
      aLimit({ metric: 'cost', max: 9_007_199_254_740_993n, scope: { kind: 'team', id: team.id } }),
      aLimit({ metric: 'tokens', max: 5n, override: { max: 9n, until: Number.POSITIVE_INFINITY }, model: 'family:x' }),
      aLimit({ metric: 'concurrency', max: 1n, alertAt: [] }),
      // Alike but for what is each one's own.
      ...[1_000, 2_000].map((at) =>
        aLimit({
          metric: 'requests',
          max: BigInt(at),
          window: '1d',
          scope: { kind: 'user', id: newId() },
          ...{ anchor: at, createdAt: at + 1, updatedAt: at + 2 },
        }),
      ),
    ]
    await db.insertInto('customers').values(rowOfCustomer(customer)).execute()
    await db.insertInto('teams').values(rowOfTeam(team)).execute()
    await db.insertInto('users').values(rowOfUser(user)).execute()
    await db.insertInto('virtual_keys').values([key, plain].map(rowOfVirtualKey)).execute()
    for (const provider of [...providers].reverse()) {
      await db.insertInto('providers').values(rowOfProvider(provider, secrets)).execute()
      await db.insertInto('provider_keys').values(rowsOfProviderKeys(provider, secrets)).execute()
    }
    await db.insertInto('prices').values(rowOfPrice(price)).execute()
    await db.insertInto('limits').values(limits.map(rowOfLimit)).execute()
    const seen = { userId: user.id, address: '10.0.0.1', firstSeenAt: 1_000, lastSeenAt: 2_000 }
    await db
      .insertInto('user_ips')
      .values({
        user_id: user.id,
        address: seen.address,
        first_seen_at: new Date(1_000),
        last_seen_at: new Date(2_000),
      })
      .execute()

    const loaded = await loadAll(database, await openSecrets(db, 'secret'))
    assert.deepEqual(loaded.report.problems, [])
    assert.deepEqual(
      loaded.changes.map((change) => change.op === 'put' && change.kind),
      [
        'customer',
        'team',
        'user',
        'virtual_key',
        'virtual_key',
        'provider',
        'provider',
        'price',
        ...limits.map(() => 'limit'),
      ],
    )
    assert.deepEqual(entitiesOf(loaded, 'customer'), [customer])
    assert.deepEqual(entitiesOf(loaded, 'team'), [team])
    assert.deepEqual(entitiesOf(loaded, 'user'), [user])
    assert.deepEqual(entitiesOf(loaded, 'virtual_key'), [key, plain])
    assert.deepEqual(entitiesOf(loaded, 'provider'), providers)
    assert.deepEqual(entitiesOf(loaded, 'price'), [price])
    const byId = new Map(entitiesOf(loaded, 'limit').map((limit) => [limit.id, limit]))
    for (const limit of limits) assert.deepEqual(byId.get(limit.id), limit)
    assert.deepEqual(loaded.addresses, [seen])
    const stored = await sql<{ text: string }>`
      select (select string_agg(value_encrypted, ' ') from provider_keys) || (select string_agg(headers::text, ' ') from providers)
      as text`.execute(db)
    assert.doesNotMatch(stored.rows[0]?.text ?? '', /value of|older header/)
  })

  test('T17 B98 rows that cannot be read are reported by name and reason; the others load; a limit comes out invalid', async (t) => {
    const database = await open(t)
    const { db } = database
    const secrets = await openSecrets(db, 'secret')
    const strangers = new Secrets('another secret', 'c2FsdA==')
    const limits = [
      aLimit({ metric: 'requests', max: 1n }),
      { ...aLimit({ metric: 'requests', max: 1n }), window: '1D' },
      { ...aLimit({ metric: 'tokens', max: 1n }), timezone: 'Mars/Olympus' },
    ]
    const [good, unreadable] = [aVirtualKey(), aVirtualKey({ name: 'unreadable', hash: 'd'.repeat(64) })]
    await db.insertInto('virtual_keys').values([good, unreadable].map(rowOfVirtualKey)).execute()
    await sql`update virtual_keys set access = '[{"provider": 5}]' where id = ${unreadable.id}`.execute(db)
    for (const [name, sealed] of [
      ['fine', secrets],
      ['sealed', strangers],
    ] as const) {
      const provider = aProvider({
        name,
        headers: {},
        keys: [{ id: newId(), name, value: 'v', keyStart: '', weight: 1 }],
      })
      await db.insertInto('providers').values(rowOfProvider(provider, sealed)).execute()
      await db.insertInto('provider_keys').values(rowsOfProviderKeys(provider, sealed)).execute()
    }
    await db.insertInto('limits').values(limits.map(rowOfLimit)).execute()

    const { report, changes } = await loadAll(database, secrets)
    const problems = report.problems.map(({ kind, name, id, reason }) => [kind, name === id ? '' : name, reason])
    assert.deepEqual(problems.slice(0, 2), [
      ['virtual_key', 'unreadable', 'access[0] is not { provider, models, blocked_models, key_ids, weight }'],
      ['provider', 'sealed', 'cannot be decrypted'],
    ])
    assert.deepEqual(
      report.problems
        .slice(2)
        .map(({ id }) => id)
        .sort(),
      limits
        .slice(1)
        .map(({ id }) => id)
        .sort(),
    )
    assert.ok(problems.some(([, , reason]) => reason?.includes('"1D" is not a duration such as 30s')))
    const invalid = changes.flatMap((change) =>
      change.op === 'put' && change.kind === 'limit' && change.entity.invalid !== null ? [change.entity] : [],
    )
    assert.deepEqual(
      invalid.map(({ spec }) => spec),
      [null, null],
    )
    assert.deepEqual(report.counts, { customer: 0, team: 0, user: 0, virtual_key: 1, limit: 3, provider: 1, price: 0 })
  })

  test('F11 a limit gets its two newest windows of the present count, and the lifetime of its metric', async (t) => {
    const database = await open(t)
    const { db } = database
    const secrets = await openSecrets(db, 'secret')
    const [used, fresh, onlyClosed] = [
      aLimit({ metric: 'cost', max: 1n, countNumber: 3 }),
      aLimit({ metric: 'cost', max: 1n, window: '1d' }),
      aLimit({ metric: 'cost', max: 1n, window: '1w' }),
    ]
    await db.insertInto('limits').values([used, fresh, onlyClosed].map(rowOfLimit)).execute()
    const rows = [
      [used.id, 3, 5_000, 'cost', 7n],
      [used.id, 3, 9_000, 'cost', 2n ** 62n],
      [used.id, 3, 1_000, 'cost', 1n],
      [used.id, 2, 99_000, 'cost', 2n ** 62n],
      [used.id, 1, 50_000, 'tokens', 1_000n],
      [newId(), 1, 50_000, 'tokens', 1_000n],
    ] as const
    for (const [limit_id, count_number, start, metric, posted] of rows) {
      const row = { limit_id, count_number, window_start: new Date(start), metric, posted }
      await db.insertInto('limit_usage').values(row).execute()
    }
    await db
      .insertInto('limit_closed')
      .values([
        { limit_id: used.id, metric: 'cost', posted: 100n },
        { limit_id: onlyClosed.id, metric: 'cost', posted: 40n },
      ])
      .execute()
    const { meters } = await loadAll(database, secrets)
    assert.deepEqual(
      meters,
      new Map([
        [
          used.id,
          {
            windowStart: 9_000,
            posted: 2n ** 62n,
            previousStart: 5_000,
            previousPosted: 7n,
            lifetime: 2n ** 63n + 108n,
          },
        ],
        [onlyClosed.id, { windowStart: 0, posted: 0n, previousStart: null, previousPosted: 0n, lifetime: 40n }],
      ]),
    )
  })

  test('more rows than one piece holds all arrive', async (t) => {
    const database = await open(t)
    await sql`
      insert into customers (id, name) select gen_random_uuid(), 'customer ' || n from generate_series(1, 2500) n`.execute(
      database.db,
    )
    const pieces: number[] = []
    const { counts } = await load({
      db: database.db,
      secrets: await openSecrets(database.db, 'secret'),
      targets: { entities: ({ length }) => void pieces.push(length), addresses: () => {}, meter: () => {} },
    })
    assert.equal(counts.customer, 2_500)
    assert.deepEqual(pieces, [1_000, 1_000, 500])
  })
})
