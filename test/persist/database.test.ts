import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { sql } from 'kysely'
import { parseTimestamptz } from '../../src/persist/column-types.ts'
import { isUnreachable, openDatabase } from '../../src/persist/database.ts'
import { timestamp } from '../../src/persist/tables.ts'
import { silentLog } from '../../src/units/log.ts'
import { copyEmptyEmbedded, forEachDatabase, temporaryDirectory } from '../helpers/databases.ts'
import { freePort } from '../helpers/ports.ts'

forEachDatabase((kind, open) => {
  test('BIGINT is a bigint and timestamptz a number of ms, there and back, in both databases', async (t) => {
    const { db } = await open(t)
    const values = [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
    const times = [0, 1, -1, Date.UTC(2026, 10, 21, 23, 59, 59, 999), Date.UTC(1950, 0, 1), Number.POSITIVE_INFINITY]
    for (const value of values) {
      const { rows } = await sql<{ value: bigint }>`select ${value}::bigint as value`.execute(db)
      assert.strictEqual(rows[0]?.value, value)
    }
    for (const time of times) {
      const { rows } = await sql<{ time: number }>`select ${timestamp(time)}::timestamptz as time`.execute(db)
      assert.strictEqual(rows[0]?.time, time)
    }
    await db.transaction().execute(async (trx) => {
      await sql`set local time zone 'Asia/Kathmandu'`.execute(trx)
      const { rows } = await sql<{ time: number }>`select ${timestamp(1_234)}::timestamptz as time`.execute(trx)
      assert.strictEqual(rows[0]?.time, 1_234)
    })
  })

  test('what one transaction leaves open or sets does not reach the next', async (t) => {
    const { db } = await open(t)
    await assert.rejects(
      db.transaction().execute(async (trx) => {
        await sql`insert into customers (id, name) values (gen_random_uuid(), 'half')`.execute(trx)
        await sql`select 1/0`.execute(trx)
      }),
      /division by zero/,
    )
    assert.equal((await db.selectFrom('customers').selectAll().execute()).length, 0)
  })

  test('a connection cut in the middle fails that call only, and its transaction leaves nothing', async (t) => {
    const database = await open(t)
    const { db } = database
    await assert.rejects(
      db.transaction().execute(async (trx) => {
        await sql`insert into customers (id, name) values (gen_random_uuid(), 'half')`.execute(trx)
        database.breakConnections()
        await sql`select 1`.execute(trx)
      }),
    )
    assert.equal((await db.selectFrom('customers').selectAll().execute()).length, 0)
    await database.ping()
  })

  if (kind === 'postgres') {
    test('connections that the server ends while idle do not end the process', async (t) => {
      const database = await open(t)
      await Promise.all(Array.from({ length: 5 }, () => sql`select pg_sleep(0.01)`.execute(database.db)))
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(database.db)
      await database.ping()
    })

    test('errors that say only that the database cannot serve now are told from those about what was asked', async (t) => {
      const { db } = await open(t)
      const asked = await sql`select no_such_column`.execute(db).catch((error: unknown) => error)
      assert.equal(isUnreachable(asked), false)
      const ended = await sql`select pg_terminate_backend(pg_backend_pid())`
        .execute(db)
        .catch((error: unknown) => error)
      assert.equal(isUnreachable(ended), true)
    })
  } else {
    test('T18 the embedded database is made on first use and keeps what was committed, through a crash and a restart', async (t) => {
      const threads = new Set<Worker>()
      const postMessage = Worker.prototype.postMessage
      t.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...args: Parameters<typeof postMessage>) {
        threads.add(this)
        return postMessage.apply(this, args)
      })
      const dataDir = temporaryDirectory(t)
      await copyEmptyEmbedded(dataDir)
      const first = await openDatabase({ dataDir, log: silentLog })
      assert.equal(first.kind, 'embedded')
      await sql`create table kept as select 1 as n`.execute(first.db)
      await first.checkpoint()
      await sql`insert into kept values (2)`.execute(first.db)
      const [thread] = threads
      const interrupted = sql`insert into kept select n from generate_series(1, 5000000) n`.execute(first.db)
      setImmediate(() => void thread?.terminate())
      await assert.rejects(interrupted, /the embedded database stopped|terminated/)
      await sql`insert into kept values (3)`.execute(first.db)
      await first.close()
      await first.close()
      const second = await openDatabase({ dataDir, log: silentLog })
      t.after(() => second.close())
      const { rows } = await sql<{ n: number }>`select n from kept order by n`.execute(second.db)
      assert.deepEqual(rows, [{ n: 1 }, { n: 2 }, { n: 3 }])
    })

    test('large parameters and large answers pass whole', async (t) => {
      const { db } = await open(t)
      const text = 'ä'.repeat(3_000_000)
      const { rows } = await sql<{ text: string }>`select ${text}::text || ${text}::text as text`.execute(db)
      assert.equal(rows[0]?.text, text + text)
    })
  }
})

test('a database that is not there: retry waits until it is told to stop, stop throws at once', async (t) => {
  const port = await freePort()
  const url = `postgres://nobody@127.0.0.1:${port}/nothing`
  const dataDir = temporaryDirectory(t)
  await assert.rejects(openDatabase({ url, dataDir, log: silentLog, atStart: 'stop' }), /ECONNREFUSED/)
  const controller = new AbortController()
  const warned: string[] = []
  const log = { ...silentLog, warn: (_fields: object, message: string) => void warned.push(message) }
  const waiting = openDatabase({ url, dataDir, log, signal: controller.signal })
  setTimeout(() => controller.abort(), 400)
  await assert.rejects(waiting, /ECONNREFUSED/)
  assert.deepEqual(warned, ['database cannot be reached, trying again until it can'])
})

test('timestamps are read in any form that Postgres writes them', () => {
  for (const [text, at] of [
    ['2026-11-21 21:37:00+00', Date.UTC(2026, 10, 21, 21, 37)],
    ['2026-11-21 21:37:00.123456+00', Date.UTC(2026, 10, 21, 21, 37, 0, 123)],
    ['2026-11-21 21:37:00.5+05:45', Date.UTC(2026, 10, 21, 15, 52, 0, 500)],
    ['12026-11-21 00:00:00+00', Date.UTC(12_026, 10, 21)],
    ['infinity', Number.POSITIVE_INFINITY],
    ['-infinity', Number.NEGATIVE_INFINITY],
  ] as const) {
    assert.equal(parseTimestamptz(text), at, text)
  }
})
