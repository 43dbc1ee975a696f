import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { APPLICATION_NAME } from '../../src/persist/database.ts'
import { GatewayLockError, lockGateway } from '../../src/persist/gateway-lock.ts'
import { systemClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { postgresDatabases } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'

const open = postgresDatabases()

function options(url: string | null, waitMs = 0) {
  const lost: GatewayLockError[] = []
  const onLost = (error: GatewayLockError) => void lost.push(error)
  return { url: url ?? '', waitMs, clock: systemClock, log: silentLog, onLost, lost }
}

test('a second gateway on the same database is refused with the name of the first', async (t) => {
  const { url } = await open(t)
  const first = await lockGateway(options(url))
  t.after(() => first.release())
  await assert.rejects(lockGateway(options(url)), (error: unknown) => {
    assert.ok(error instanceof GatewayLockError)
    assert.ok(error.message.includes(`${APPLICATION_NAME} from 127.0.0.1, connected since `), error.message)
    return true
  })
})

test('a second gateway that waits gets in when the first has left; another database is another matter', async (t) => {
  const { url } = await open(t)
  const first = await lockGateway(options(url))
  const second = lockGateway(options(url, 30_000))
  const elsewhere = await lockGateway(options((await open(t)).url))
  await elsewhere.release()
  await first.release()
  await (await second).release()
})

test('a lock lost with its connection is taken again', async (t) => {
  const { url, db } = await open(t)
  const first = options(url)
  const lock = await lockGateway(first)
  t.after(() => lock.release())
  const holders = async () => {
    const { rows } = await sql<{ pid: number }>`
      select pid from pg_locks where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())`.execute(db)
    return rows.map(({ pid }) => pid)
  }
  const [before] = await holders()
  await sql`select pg_terminate_backend(${before})`.execute(db)
  await eventually(async () => {
    const [now] = await holders()
    assert.ok(now !== undefined && now !== before)
  })
  assert.deepEqual(first.lost, [])
})

test('a gateway whose lock went to somebody else is told so', async (t) => {
  const { url, db } = await open(t)
  const first = options(url)
  const lock = await lockGateway(first)
  t.after(() => lock.release())
  // Somebody who is not this process takes the lock in the moment the connection breaks.
  await db.connection().execute(async (other) => {
    await sql`set application_name = 'bursar elsewhere:1'`.execute(other)
    const pid = sql<{
      pid: number
    }>`select pid from pg_locks where locktype = 'advisory' and granted and pid <> pg_backend_pid()`
    const holder = (await pid.execute(other)).rows[0]?.pid
    await sql`select pg_terminate_backend(${holder}), pg_advisory_lock(${0x62757273}, 1)`.execute(other)
    await eventually(() => assert.match(first.lost[0]?.message ?? '', /bursar elsewhere:1/))
  })
})
