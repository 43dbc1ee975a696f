import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { Pruner } from '../../src/persist/pruner.ts'
import { parseDuration } from '../../src/units/duration.ts'
import { lowestIdAt, newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { inTheBooks, testBooks } from '../helpers/books.ts'
import { postgresDatabases } from '../helpers/databases.ts'
import { settled } from '../helpers/facts.ts'

const DAY = 86_400_000

const open = postgresDatabases()

test('U05 what is beyond its retention goes, months of events whole and windows into closed totals; lifetime totals stay', async (t) => {
  const database = await open(t)
  const { write, dump, clock } = testBooks(t, database)
  const [hourly, lifetime] = [newId(), newId()]
  const now = clock.now()
  const months = [0, 1, 2, 3].map((back) => {
    const date = new Date(now)
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - back, 1, 12)
  })
  for (const at of months) {
    const requestId = `${lowestIdAt(at).slice(0, 14)}7${newId().slice(15)}`
    await write([
      settled({
        requestId,
        endedAt: at,
        charges: [
          [hourly, 1, at, 'cost', '5'],
          [lifetime, 1, 0, 'cost', '5'],
        ],
      }),
    ])
  }
  await dump.run()
  const events = parseDuration('1M')
  assert.ok(events)
  const pruner = new Pruner({ db: database.db, events, log: silentLog })
  const pruned = await pruner.run(now)
  assert.equal(pruned?.partitions.length, 2)
  assert.equal(pruned?.windows, 2)
  const after = await inTheBooks(database)
  assert.equal(after.events.length, 2)
  const ofHourly = after.usage.filter(({ limit_id }) => limit_id === hourly)
  assert.deepEqual(ofHourly.map(({ window_start }) => window_start).sort(), [months[0], months[1]].sort())
  assert.deepEqual(after.closed, [{ limit_id: hourly, metric: 'cost', posted: 10n }])
  assert.deepEqual(
    after.usage.filter(({ limit_id }) => limit_id === lifetime).map(({ posted }) => posted),
    [20n],
    'the window of a lifetime limit began long ago and is still the present one',
  )
  assert.equal(await pruner.run(now + DAY - 1), null, 'once a day')
  assert.deepEqual(await pruner.run(now + DAY), { partitions: [], windows: 0 })
  await write([settled({ requestId: `${lowestIdAt(months[3] ?? 0).slice(0, 14)}7${newId().slice(15)}` })])
  await dump.run()
  const { rows } = await sql<{ count: bigint }>`select count(*) from usage_events`.execute(database.db)
  assert.equal(rows[0]?.count, 3n, 'a late event of a month that is gone still finds a place')
})
