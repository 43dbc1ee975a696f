import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import type { ChargeLine } from '../../src/ledger/charges.ts'
import { Partitions } from '../../src/persist/partitions.ts'
import { Pruner } from '../../src/persist/pruner.ts'
import { compareBooks, rebuildBooks } from '../../src/persist/rebuild.ts'
import { parseDuration } from '../../src/units/duration.ts'
import { newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { inTheBooks, testBooks } from '../helpers/books.ts'
import { forEachDatabase } from '../helpers/databases.ts'
import { corrected, settled } from '../helpers/facts.ts'

const DAY = 86_400_000
const KEPT = 364 * DAY
const HOUR_AGO = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000

forEachDatabase((_kind, open) => {
  async function filled(t: Parameters<typeof open>[0]) {
    const database = await open(t)
    const books = testBooks(t, database)
    const [limit, other] = [newId(), newId()]
    const charge = (id: string, amount: number, count = 1): ChargeLine => [id, count, HOUR_AGO, 'cost', `${amount}`]
    const facts = Array.from({ length: 20 }, (_, n) =>
      settled({
        endedAt: HOUR_AGO + n,
        model: n % 2 === 0 ? 'gpt-4o' : null,
        costNanoUsd: '1000',
        requests: 1,
        charges: [charge(limit, 1_000), charge(other, 7)],
      }),
    )
    await books.write([...facts, corrected({ charges: [charge(limit, -500)] })])
    await books.dump.run()
    const { db } = database
    const differences = async () => {
      const found = await compareBooks(db, Date.now(), KEPT)
      return { windows: found.windows.differences, hours: found.hours.differences }
    }
    return { db, database, limit, other, facts, differences }
  }

  test('I5 what the dump has added up is what events and corrections add up to', async (t) => {
    const { db } = await filled(t)
    const { windows, hours } = await compareBooks(db, Date.now(), KEPT)
    assert.deepEqual([windows.checked, windows.differences, hours.checked, hours.differences], [2, [], 2, []])
  })

  test('tables that somebody has edited are named row by row, mended as a whole, and then agree', async (t) => {
    const { db, database, limit, other, facts, differences } = await filled(t)
    const [first] = facts
    await db
      .deleteFrom('usage_events')
      .where('request_id', '=', first?.event.requestId ?? '')
      .execute()
    await db.deleteFrom('limit_usage').where('limit_id', '=', other).execute()
    await sql`update usage_hourly set requests = requests + 3 where model is null`.execute(db)
    const foreign = newId()
    await sql`insert into limit_usage values (${foreign}, 1, ${new Date(HOUR_AGO)}, 'requests', 5)`.execute(db)

    const { windows, hours } = await differences()
    assert.deepEqual(
      new Map(windows.map(({ limitId, posted, recomputed }) => [limitId, [posted, recomputed]])),
      new Map([
        [limit, [19_500n, 18_500n]],
        [other, [0n, 133n]],
        [foreign, [5n, 0n]],
      ]),
    )
    assert.deepEqual(
      hours
        .map((hour) => [hour.model ?? 'none', hour.requests, hour.recomputedRequests, hour.recomputedCostNanoUsd])
        .sort(),
      [
        ['gpt-4o', 10n, 9n, 9_000n],
        ['none', 13n, 10n, 10_000n],
      ],
    )
    const before = await inTheBooks(database)
    assert.deepEqual(await inTheBooks(database), before, 'comparing changes nothing')
    const mended = await rebuildBooks(db, Date.now(), KEPT)
    assert.equal(mended.windows.differences.length, 3)
    assert.deepEqual(await differences(), { windows: [], hours: [] })
    const { usage } = await inTheBooks(database)
    assert.deepEqual(
      new Map(usage.map(({ limit_id, posted }) => [limit_id, posted])),
      new Map([
        [limit, 18_500n],
        [other, 133n],
        [foreign, 0n],
      ]),
    )
  })

  test('U05 what has lost its events to the retention is neither a difference nor rebuilt to nothing', async (t) => {
    const { db, database, limit, differences } = await filled(t)
    const longAgo = Date.now() - 40 * DAY
    await sql`insert into limit_usage values (${limit}, 1, ${new Date(longAgo)}, 'cost', 77)`.execute(db)
    await sql`
      insert into usage_hourly values (${new Date(Math.floor(longAgo / 3_600_000) * 3_600_000)}, null, null, null, null, 'openai',
        'gpt-4o', 9, 9, 9, 0, 0, 0, 9)`.execute(db)
    // Its months have gone, as the pruner takes them: whatever the retention says now.
    await new Partitions(db).dropBefore(longAgo + 2 * DAY)
    assert.deepEqual((await differences()).windows, [])
    await rebuildBooks(db, Date.now(), KEPT)
    const { usage, hourly } = await inTheBooks(database)
    assert.ok(usage.some(({ posted }) => posted === 77n))
    assert.ok(hourly.some(({ requests }) => requests === 9n))
  })

  test('U05 a window of a young limit that the pruner has closed is not put back: the lifetime total stays', async (t) => {
    const database = await open(t)
    const { write, dump, clock } = testBooks(t, database)
    const { db } = database
    const [now, limit] = [clock.now(), newId()]
    const began = now - 60 * DAY
    // Younger than the retention, counted anew twice, in windows that are longer than it.
    await sql`
      insert into limits (id, scope_kind, metric, max_nano_usd, "window", align, count_number, created_at)
      values (${limit}, 'global', 'cost', 1000, '90d', 'fixed', 3, ${new Date(now)})`.execute(db)
    const charges = [1, 2, 3].map((count): ChargeLine => [limit, count, began, 'cost', '5'])
    await write(charges.map((charge) => settled({ endedAt: now - 1000, charges: [charge] })))
    await dump.run()
    const events = parseDuration('30d')
    assert.ok(events)
    assert.equal((await new Pruner({ db, events, log: silentLog }).run(now))?.windows, 1)

    const kept = 30 * DAY
    const { windows } = await compareBooks(db, now, kept)
    assert.deepEqual([windows.checked, windows.differences], [2, []])
    await rebuildBooks(db, now, kept)
    const { usage, closed } = await inTheBooks(database)
    assert.deepEqual(
      usage.map(({ count_number, posted }) => [count_number, posted]),
      [
        [2, 5n],
        [3, 5n],
      ],
    )
    assert.deepEqual(closed, [{ limit_id: limit, metric: 'cost', posted: 5n }])

    await sql`delete from limit_usage where count_number = 3`.execute(db)
    const edited = await compareBooks(db, now, kept)
    assert.deepEqual(
      edited.windows.differences.map(({ countNumber, posted, recomputed }) => [countNumber, posted, recomputed]),
      [[3, 0n, 5n]],
      'what the pruner leaves is still compared',
    )
  })
})
