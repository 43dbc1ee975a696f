import assert from 'node:assert/strict'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { ChargeLine } from '../../src/ledger/charges.ts'
import type { Fact } from '../../src/ledger/facts.ts'
import type { Database } from '../../src/persist/database.ts'
import { Partitions } from '../../src/persist/partitions.ts'
import { lowestIdAt, newId } from '../../src/units/id.ts'
import { inTheBooks, testBooks } from '../helpers/books.ts'
import { forEachDatabase } from '../helpers/databases.ts'
import { aLimit } from '../helpers/entities.ts'
import { corrected, held, settled } from '../helpers/facts.ts'
import { placedFacts, somePlaces } from '../helpers/placed.ts'

const HOUR = 3_600_000
const [limitA, limitB] = [newId(), newId()]
const NOON = Math.floor(Date.now() / HOUR) * HOUR

/** A UUIDv7 of this moment (ms). */
function idAt(at: number): string {
  return `${lowestIdAt(at).slice(0, 14)}7${newId().slice(15)}`
}

function charge(limitId: string, amount: number | bigint, windowStart = NOON, countNumber = 1): ChargeLine {
  return [limitId, countNumber, windowStart, 'cost', amount.toString()]
}

/** A database whose COMMIT can be made to fail: before it reaches the server, or after, so that only the answer is lost. */
function withFailingCommits(database: Database): Database & { failNext: 'before' | 'after' | null } {
  const broken = {
    ...database,
    failNext: null as 'before' | 'after' | null,
    db: new Proxy(database.db, {
      get(target, property) {
        if (property !== 'transaction') {
          const value: unknown = Reflect.get(target, property)
          return typeof value === 'function' ? value.bind(target) : value
        }
        return () => ({
          execute: async (work: Parameters<ReturnType<typeof target.transaction>['execute']>[0]) => {
            const how = broken.failNext
            broken.failNext = null
            const result = await target.transaction().execute(async (trx) => {
              const done = await work(trx)
              if (how === 'before') throw new Error('Connection terminated unexpectedly')
              return done
            })
            if (how === 'after') throw new Error('Connection terminated unexpectedly')
            return result
          },
        })
      },
    }),
  }
  return broken
}

forEachDatabase((kind, open) => {
  test('events, limits and hours: an event lands as it was told, and its charges on the windows that admitted it', async (t) => {
    const database = await open(t)
    const { write, dump, journal } = testBooks(t, database)
    const chain = { virtualKeyId: newId(), userId: newId(), teamId: newId(), customerId: newId() }
    const fact = settled({
      ...chain,
      endedAt: NOON + 1_234,
      tags: ['a', 'b "c"', 'ä,{}\\'],
      latencyMs: 99.6,
      ttftMs: 12.2,
      costNanoUsd: '9007199254740993',
      overageNanoUsd: '3',
      cacheReadTokens: 4,
      charges: [charge(limitA, 9_007_199_254_740_993n, NOON + 123), charge(limitB, 0)],
    })
    await write([held({ ...chain }), fact])
    assert.deepEqual(await dump.run(), { facts: 1, torn: 0 })
    assert.equal(dump.applied, journal.end)
    const { requestId, attempt, endedAt, charges } = fact.event
    const row = await database.db.selectFrom('usage_events').selectAll().executeTakeFirstOrThrow()
    assert.deepEqual(row, {
      request_id: requestId,
      attempt,
      ended_at: endedAt,
      virtual_key_id: chain.virtualKeyId,
      user_id: chain.userId,
      team_id: chain.teamId,
      customer_id: chain.customerId,
      provider: 'openai',
      provider_key_id: null,
      model: 'gpt-4o-mini',
      endpoint: 'chat',
      stream: false,
      tags: ['a', 'b "c"', 'ä,{}\\'],
      status: 200,
      success: true,
      refused_code: null,
      input_tokens: 10n,
      output_tokens: 5n,
      cache_read_tokens: 4n,
      cache_write_tokens: 0n,
      reasoning_tokens: 0n,
      cost_nano_usd: 9_007_199_254_740_993n,
      overage_nano_usd: 3n,
      usage_source: 'reported',
      requests: 1,
      latency_ms: 100,
      ttft_ms: 12,
      charges,
    })
    const { usage, hourly } = await inTheBooks(database)
    assert.deepEqual(usage, [
      { limit_id: limitA, count_number: 1, window_start: NOON + 123, metric: 'cost', posted: 9_007_199_254_740_993n },
    ])
    assert.deepEqual(
      hourly.map(({ hour, requests, input_tokens, cost_nano_usd }) => ({
        hour,
        requests,
        input_tokens,
        cost_nano_usd,
      })),
      [{ hour: NOON, requests: 1n, input_tokens: 10n, cost_nano_usd: 9_007_199_254_740_993n }],
    )
  })

  test('charges on shared places land like any others, from memory and from the files', async (t) => {
    const database = await open(t)
    const books = testBooks(t, database)
    const places = somePlaces(NOON)
    const [requests, tokens, cost] = places.map(({ limit }) => limit.id)
    const facts = [1n, 2n].flatMap((n) => placedFacts(places, { requests: 1n, tokens: n, cost: 0n }))
    await books.write(facts)
    await books.dump.run()
    const [hold, later] = placedFacts(places, { cost: 2n ** 62n })
    await books.write([hold, later])
    await books.journal.close()
    const again = testBooks(t, database, { directory: books.directory })
    await again.dump.run()
    assert.ok(again.journal.placesRead.size > 0)
    await again.write([settled({ charges: [] })])
    await again.dump.run()
    assert.equal(again.journal.placesRead.size, 0, 'what the files have named is kept no longer than they are read')
    const events = await database.db.selectFrom('usage_events').select('charges').execute()
    const rows = events.filter(({ charges }) => charges.length > 0)
    const byAmount = (charges: readonly ChargeLine[]) => Number(charges.at(-1)?.[4])
    assert.deepEqual(
      rows.map(({ charges }) => charges).sort((a, b) => byAmount(a) - byAmount(b)),
      [
        [
          [requests, 1, NOON, 'requests', '1'],
          [tokens, 1, NOON, 'tokens', '1'],
        ],
        [
          [requests, 1, NOON, 'requests', '1'],
          [tokens, 1, NOON, 'tokens', '2'],
        ],
        [[cost, 1, NOON, 'cost', '4611686018427387904']],
      ],
    )
    const { usage } = await inTheBooks(database)
    assert.deepEqual(
      new Map(usage.map(({ limit_id, posted }) => [limit_id, posted])),
      new Map([
        [requests, 2n],
        [tokens, 3n],
        [cost, 2n ** 62n],
      ]),
    )
  })

  test('F09 F10 whatever breaks around a COMMIT, and however often it is tried, every fact counts exactly once', async (t) => {
    const real = await open(t)
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            facts: fc.integer({ min: 1, max: 7 }),
            fail: fc.constantFrom(null, 'before' as const, 'after' as const),
            restart: fc.boolean(),
          }),
          { minLength: 1, maxLength: 4 },
        ),
        async (turns) => {
          const database = withFailingCommits(real)
          let books = testBooks(t, database, { batchMax: 3, journal: { segmentBytes: 2_000 } })
          const [limit, virtualKeyId] = [newId(), newId()]
          let count = 0
          for (const { facts, fail, restart } of turns) {
            // On the place that they share, as a running gateway's are, or line by line, as those of orphans are.
            const places = somePlaces(NOON, [aLimit({ id: limit, metric: 'cost', max: 1n })])
            const settlements = Array.from({ length: facts }, (_, at) =>
              at % 2 === 0
                ? placedFacts(places, { cost: 7n }, { virtualKeyId })[1]
                : settled({ virtualKeyId, charges: [charge(limit, 7)] }),
            )
            // The same attempt settled twice by two paths is one event.
            await books.write([...settlements, ...settlements.slice(0, 1)])
            count += facts
            database.failNext = fail
            await books.dump.run().catch(() => {})
            if (!restart) continue
            await books.journal.close()
            books = testBooks(t, database, { directory: books.directory, batchMax: 3 })
          }
          await books.dump.run()
          await books.dump.run()
          const { events, usage, hourly } = await inTheBooks(real)
          assert.equal(events.filter((event) => event.virtual_key_id === virtualKeyId).length, count)
          assert.deepEqual(
            usage.filter(({ limit_id }) => limit_id === limit).map(({ posted }) => posted),
            [BigInt(count) * 7n],
          )
          const requests = hourly.filter((row) => row.virtual_key_id === virtualKeyId).map((row) => row.requests)
          assert.equal(
            requests.reduce((sum, one) => sum + one, 0n),
            BigInt(count),
          )
          assert.equal(books.dump.applied, books.journal.end)
        },
      ),
      { numRuns: kind === 'postgres' ? 12 : 5 },
    )
  })

  test('F10 a journal read a second time from its beginning adds nothing', async (t) => {
    const database = await open(t)
    const { write, dump, journal } = testBooks(t, database)
    await write([settled({ charges: [charge(limitA, 5)] }), corrected({ charges: [charge(limitA, -2)] })])
    await dump.run()
    const before = await inTheBooks(database)
    await database.db.updateTable('journal_positions').set({ applied: 0n }).execute()
    await dump.readPosition()
    await dump.run()
    assert.deepEqual(await inTheBooks(database), before)
    assert.equal(dump.applied, journal.end)
  })

  test('U11 what an admin sets back leaves the window but not the lifetime total; a late settlement counts in both', async (t) => {
    const database = await open(t)
    const { write, dump } = testBooks(t, database)
    await write([
      settled({ charges: [charge(limitA, 100)] }),
      corrected({ charges: [charge(limitA, -60)] }),
      corrected({ requestId: newId(), reason: 'late', charges: [charge(limitA, 5)] }),
    ])
    await dump.run()
    const { usage, closed, corrections } = await inTheBooks(database)
    assert.equal(usage[0]?.posted, 45n)
    assert.deepEqual(closed, [{ limit_id: limitA, metric: 'cost', posted: 60n }])
    assert.equal(corrections.length, 2)
  })

  test('T15 a dump moves usage and nothing else: a maximum or a window edited at the same moment stays', async (t) => {
    const database = await open(t)
    const { db } = database
    const { write, dump } = testBooks(t, database)
    const limit = { id: limitA, scope_kind: 'global', metric: 'cost', max_nano_usd: 5n, window: '1d' } as const
    await db.insertInto('limits').values(limit).execute()
    await write([settled({ charges: [charge(limitA, 100)] }), corrected({ charges: [charge(limitA, -60)] })])
    await db.updateTable('limits').set({ max_nano_usd: 9n, window: '1w' }).execute()
    const edited = await db.selectFrom('limits').selectAll().execute()
    await dump.run()
    assert.deepEqual(await db.selectFrom('limits').selectAll().execute(), edited)
    assert.equal((await inTheBooks(database)).usage[0]?.posted, 40n)
  })

  test('a refusal is an event without sums; the same attempt number of another request is another event', async (t) => {
    const database = await open(t)
    const { write, dump } = testBooks(t, database)
    const refused = settled({ attempt: 0, requests: 0, inputTokens: 0, outputTokens: 0, costNanoUsd: '0' })
    await write([
      { t: 'refuse', event: { ...refused.event, refusedCode: 'budget_exceeded', usageSource: null } },
      settled(),
    ])
    await dump.run()
    const { events, hourly } = await inTheBooks(database)
    assert.deepEqual([events.length, hourly.length], [2, 1])
  })

  test('a single bad fact goes to quarantine with its error, and everything around it lands', async (t) => {
    const database = await open(t)
    const { write, dump, quarantine, directory, journal } = testBooks(t, database)
    const good = () => settled({ charges: [charge(limitA, 1)] })
    const bad = [
      settled({ requestId: 'not a uuid' }),
      settled({ charges: [charge(limitA, 2n ** 63n)] }),
      settled({ charges: [[limitA, 1, NOON, 'cost', 'twelve']] }),
      { t: 'void', event: { ...good().event, endpoint: null } } as unknown as Fact,
    ]
    const facts: Fact[] = []
    for (const fact of bad) facts.push(good(), good(), fact)
    await write([...facts, good()])
    assert.deepEqual(await dump.run(), { facts: facts.length + 1, torn: 0 })
    const { events, usage } = await inTheBooks(database)
    assert.equal(events.length, 2 * bad.length + 1)
    assert.equal(usage[0]?.posted, BigInt(2 * bad.length + 1))
    assert.equal(quarantine.count, bad.length)
    const files = readdirSync(join(directory, 'quarantine')).sort()
    const kept = files.map((file) => JSON.parse(readFileSync(join(directory, 'quarantine', file), 'utf8')))
    assert.deepEqual(
      kept.map(({ fact }) => fact),
      JSON.parse(JSON.stringify(bad)),
    )
    assert.match(kept[0].why, /invalid input syntax for type uuid/)
    assert.equal(dump.applied, journal.end)
  })

  test('an id in capitals lands once, also in a batch with events that are there already', async (t) => {
    const database = await open(t)
    const { write, dump, quarantine } = testBooks(t, database)
    const [known, odd] = [settled({ charges: [charge(limitA, 1)] }), settled({ charges: [charge(limitA, 1)] })]
    const capitals = { ...odd, event: { ...odd.event, requestId: odd.event.requestId.toUpperCase() } }
    await write([known])
    await dump.run()
    await write([known, capitals, odd])
    await dump.run()
    const { events, usage } = await inTheBooks(database)
    assert.equal(events.length, 2)
    assert.equal(usage[0]?.posted, 2n)
    assert.equal(quarantine.count, 0)
  })

  test('T11 F09 one impossible value among 5,000 facts, of keys and limits that are gone, in a month without a partition: the rest lands', async (t) => {
    const database = await open(t)
    const books = testBooks(t, database)
    // A month that an admin has dropped, and that comes up again.
    const [gone, goneKey] = [newId(), newId()]
    const lastMonth = Date.now() - 40 * 86_400_000
    await books.write([settled({ requestId: idAt(lastMonth) })])
    await books.dump.run()
    await new Partitions(database.db).dropBefore(lastMonth + 62 * 86_400_000)
    const facts = Array.from(
      { length: 5_000 },
      (_, n): Fact =>
        settled({
          requestId: n % 10 === 0 ? idAt(lastMonth + n) : newId(),
          virtualKeyId: goneKey,
          charges: [charge(gone, n === 3_210 ? 2n ** 63n : 1)],
        }),
    )
    await books.write(facts)
    // The next start, whose memory knows no partition.
    const again = testBooks(t, database, { directory: books.directory })
    assert.deepEqual(await again.dump.run(), { facts: 5_000, torn: 0 })
    assert.equal(again.quarantine.count, 1)
    const { events, usage } = await inTheBooks(database)
    assert.equal(events.filter(({ virtual_key_id: key }) => key === goneKey).length, 4_999)
    assert.deepEqual(
      usage.map(({ limit_id, posted }) => [limit_id, posted]),
      [[gone, 4_999n]],
    )
  })

  test('a table that is missing costs no fact: nothing goes to quarantine, and it lands when the table is back', async (t) => {
    const database = await open(t)
    const { write, dump, quarantine } = testBooks(t, database)
    await write([settled({ charges: [charge(limitA, 1)] })])
    await sql`alter table limit_usage rename to hidden`.execute(database.db)
    await assert.rejects(dump.run(), /limit_usage/)
    assert.equal(quarantine.count, 0)
    await sql`alter table hidden rename to limit_usage`.execute(database.db)
    await dump.run()
    assert.equal((await inTheBooks(database)).usage[0]?.posted, 1n)
  })

  test('garbage in the journal is kept in quarantine and passed over', async (t) => {
    const database = await open(t)
    const first = testBooks(t, database)
    await first.write([settled()])
    await first.journal.close()
    appendFileSync(first.journal.segments.at(-1)?.path ?? '', '\0garbage\n{"t":"settle"}\n{"torn":')
    const { write, dump, quarantine, journal } = testBooks(t, database, { directory: first.directory })
    await write([settled()])
    assert.deepEqual(await dump.run(), { facts: 3, torn: 1 })
    assert.equal(quarantine.count, 2)
    assert.equal((await inTheBooks(database)).events.length, 2)
    assert.equal(dump.applied, journal.end)
  })

  test('a bad fact and the garbage behind it are both kept, once, with the time at which they came', async (t) => {
    const database = await open(t)
    const first = testBooks(t, database)
    await first.write([settled({ requestId: 'not a uuid' })])
    await first.journal.close()
    appendFileSync(first.journal.segments.at(-1)?.path ?? '', 'garbage\n')
    const { dump, quarantine, clock } = testBooks(t, database, { directory: first.directory })
    await dump.run()
    assert.equal(quarantine.count, 2)
    assert.deepEqual([quarantine.addedAfter(clock.now() - 1), quarantine.addedAfter(clock.now())], [2, 0])
    // The same journal, read by somebody who believes that nothing of it is in the books.
    await sql`update journal_positions set applied = 0`.execute(database.db)
    const again = testBooks(t, database, { directory: first.directory })
    again.clock.advance(60_000)
    await again.dump.run()
    assert.deepEqual([again.quarantine.count, again.quarantine.addedAfter(clock.now())], [2, 0])
  })

  test('each event lies in the partition of its month, also one from a clock that was years out', async (t) => {
    const database = await open(t)
    const { write, dump, clock } = testBooks(t, database)
    const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7).replace('-', '_')
    const lastMonth = clock.now() - 32 * 86_400_000
    const farOff = Date.UTC(2044, 1, 3)
    for (const at of [clock.now(), lastMonth, farOff]) await write([settled({ requestId: idAt(at) })])
    await dump.run()
    const where = async () => {
      const { rows } = await sql<{ name: string }>`
        select tableoid::regclass::text as name from usage_events order by request_id`.execute(database.db)
      return rows.map(({ name }) => name)
    }
    const usual = [`usage_events_${monthOf(lastMonth)}`, `usage_events_${monthOf(clock.now())}`]
    assert.deepEqual(await where(), [...usual, 'usage_events_default'])
    // Years later that month comes: its rows move out of the net.
    clock.step(farOff)
    await write([settled({ requestId: idAt(farOff) })])
    await dump.run()
    assert.deepEqual(await where(), [...usual, 'usage_events_2044_02', 'usage_events_2044_02'])
  })

  test('U06 what was seen moves last use forward column by column, and what is gone meanwhile is passed over', async (t) => {
    const database = await open(t)
    const { db } = database
    const { write, dump } = testBooks(t, database)
    const user = { id: newId(), name: 'ada' }
    const key = { id: newId(), name: 'notebook', hash: 'a'.repeat(64), key_start: 'sk-', user_id: user.id }
    await db.insertInto('users').values(user).execute()
    await db.insertInto('virtual_keys').values(key).execute()
    const seen = (at: number, address: string | null = '10.0.0.1', userId: string | null = user.id): Fact => {
      return { t: 'seen', at, virtualKeyId: key.id, userId, address }
    }
    await write([
      seen(NOON + 5),
      seen(NOON + 9, '10.0.0.2'),
      seen(NOON + 7),
      seen(NOON, null),
      seen(NOON, 'x', newId()),
    ])
    await dump.run()
    await write([seen(NOON + 1), seen(NOON + 2, '10.0.0.2')])
    await dump.run()
    const { last_used_at, name, updated_at, created_at } = await db
      .selectFrom('virtual_keys')
      .selectAll()
      .executeTakeFirstOrThrow()
    assert.deepEqual([last_used_at, name, updated_at], [NOON + 9, 'notebook', created_at])
    assert.equal((await db.selectFrom('users').selectAll().executeTakeFirstOrThrow()).last_used_at, NOON + 9)
    const ips = await db.selectFrom('user_ips').selectAll().orderBy('address').execute()
    assert.deepEqual(ips, [
      { user_id: user.id, address: '10.0.0.1', first_seen_at: NOON + 1, last_seen_at: NOON + 7 },
      { user_id: user.id, address: '10.0.0.2', first_seen_at: NOON + 2, last_seen_at: NOON + 9 },
    ])
  })

  test('U07 a disabled user and a disabled key are written behind; the first reason stands', async (t) => {
    const database = await open(t)
    const { db } = database
    const { write, dump } = testBooks(t, database)
    const edited = { updated_at: new Date(NOON - 1_000) }
    const user = { id: newId(), name: 'ada', ...edited }
    const key = { id: newId(), name: 'notebook', hash: 'b'.repeat(64), key_start: 'sk-', ...edited }
    await db.insertInto('users').values(user).execute()
    await db.insertInto('virtual_keys').values(key).execute()
    await write([
      { t: 'disable', at: NOON, kind: 'user', id: user.id, reason: 'first' },
      { t: 'disable', at: NOON + 1, kind: 'user', id: user.id, reason: 'second' },
      {
        t: 'disable',
        at: NOON,
        kind: 'virtual_key',
        id: key.id,
        reason: 'leaked',
        actor: { id: null, name: 'root', address: '127.0.0.1' },
      },
    ])
    await dump.run()
    const row = await db.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    assert.deepEqual([row.disabled_at, row.disabled_reason], [NOON, 'first'])
    assert.equal((await db.selectFrom('virtual_keys').selectAll().executeTakeFirstOrThrow()).active, false)
    const audit = await db.selectFrom('audit_log').selectAll().orderBy('action').execute()
    assert.deepEqual(
      audit.map((line) => [line.action, line.actor_name, line.address, line.entity_name, line.at]),
      [
        ['user.disable', 'system', null, 'ada', NOON],
        ['virtual_key.disable', 'root', '127.0.0.1', 'notebook', NOON],
      ],
      'who did it is in the audit log, once',
    )
  })

  test('a user whom an admin has edited since is not disabled behind the admin’s back', async (t) => {
    const database = await open(t)
    const { write, dump } = testBooks(t, database)
    const user = { id: newId(), name: 'ada', updated_at: new Date(NOON + 1) }
    await database.db.insertInto('users').values(user).execute()
    await write([{ t: 'disable', at: NOON, kind: 'user', id: user.id, reason: 'too late' }])
    await dump.run()
    assert.equal((await database.db.selectFrom('users').selectAll().executeTakeFirstOrThrow()).disabled_at, null)
  })

  test('files the books wholly have are removed, after a checkpoint', async (t) => {
    const database = await open(t)
    const calls: string[] = []
    const watched = { ...database, checkpoint: async () => void calls.push('checkpoint') }
    const { write, dump, journal } = testBooks(t, watched, { journal: { segmentBytes: 1_000 } })
    for (let round = 0; round < 4; round++) await write([settled()])
    assert.ok(journal.segments.length > 1)
    await dump.run()
    assert.deepEqual([journal.segments.length, calls], [1, ['checkpoint']])
    await dump.run()
    assert.deepEqual(calls, ['checkpoint'])
  })

  if (kind === 'postgres') {
    test('F12 two gateways that write the same limits at once lose nothing and never deadlock', async (t) => {
      const database = await open(t)
      const both = [testBooks(t, database, { batchMax: 20 }), testBooks(t, database, { batchMax: 20 })]
      const limits = Array.from({ length: 30 }, () => newId())
      for (const [index, { write }] of both.entries()) {
        const inOrder = index === 0 ? limits : [...limits].reverse()
        for (let round = 0; round < 10; round++) {
          await write(Array.from({ length: 20 }, () => settled({ charges: inOrder.map((limit) => charge(limit, 1)) })))
        }
      }
      await Promise.all(both.map(({ dump }) => dump.run()))
      const { usage, events } = await inTheBooks(database)
      assert.equal(events.length, 400)
      assert.deepEqual([...new Set(usage.map(({ posted }) => posted))], [400n])
    })

    test('F09 a server that goes away in the middle and comes back: the rest lands, nothing twice', async (t) => {
      const database = await open(t)
      const { write, dump } = testBooks(t, database, { batchMax: 10 })
      for (let round = 0; round < 20; round++) {
        await write(Array.from({ length: 10 }, () => settled({ charges: [charge(limitA, 1)] })))
      }
      const running = dump.run()
      const killed = sql`
        select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
      let failed = false
      const failure = running.catch(() => {
        failed = true
      })
      while (!failed && (dump.applied ?? 0) === 0) await new Promise((resolve) => setImmediate(resolve))
      await killed.execute(database.db)
      await failure
      await dump.run()
      const { usage, events } = await inTheBooks(database)
      assert.deepEqual([events.length, usage[0]?.posted], [200, 200n])
    })
  }
})
