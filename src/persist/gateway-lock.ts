/**
 * One gateway per database: a second one would double every cap, so it waits and then stops with the holder's name (DESIGN section 9).
 *
 * A session-level advisory lock on a connection of its own: Postgres drops it with the session, whatever ends it. For the embedded
 * database the lock of the data directory does this work. Behind a pooler that shares sessions between transactions (PgBouncer in
 * transaction mode) session locks mean nothing: give the gateway a direct connection.
 */
import pg from 'pg'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import { APPLICATION_NAME } from './database.ts'

export interface GatewayLock {
  /** Lets the next gateway in. */
  release(): Promise<void>
}

export interface GatewayLockOptions {
  readonly url: string
  /** How long to wait for the holder to leave, in ms. */
  readonly waitMs: number
  readonly clock: Clock
  readonly log: Log
  /** The lock was lost with its connection and somebody else holds it now: this gateway must stop serving. */
  readonly onLost: (error: GatewayLockError) => void
}

/** Another gateway serves from this database; the message is one line for the operator. */
export class GatewayLockError extends Error {
  override readonly name = 'GatewayLockError'
}

/** Any pair of numbers that nobody else uses on this database; the first is "burs". */
const LOCK = [0x62757273, 1] as const
const RETRY_MS = 250

/** Takes the lock. Throws {@link GatewayLockError} when somebody still holds it after `waitMs`. */
export async function lockGateway(options: GatewayLockOptions): Promise<GatewayLock> {
  const { log, onLost } = options
  let released = false
  const takenBack = (): boolean => released
  let client = await take(options, takenBack, { again: false })
  watch()
  return {
    async release() {
      released = true
      await client.end()
    },
  }

  /** A broken connection has dropped the lock: take it again at once, or give up for good when somebody else has it. */
  function watch(): void {
    client.once('error', (error) => {
      if (released) return
      log.warn({ err: error }, 'connection of the gateway lock broke, taking the lock again')
      client.on('error', () => {})
      void retake()
    })
  }

  async function retake(): Promise<void> {
    while (!released) {
      try {
        client = await take(options, takenBack, { again: true })
        if (released) return await client.end()
        log.info({}, 'gateway lock taken again')
        return watch()
      } catch (error) {
        if (error instanceof GatewayLockError) return onLost(error)
        await delay(RETRY_MS)
      }
    }
  }
}

async function take(
  { url, log, clock, waitMs }: GatewayLockOptions,
  givenUp: () => boolean,
  { again }: { readonly again: boolean },
): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: APPLICATION_NAME, keepAlive: true })
  const broken = (): void => {}
  client.on('error', broken)
  try {
    await client.connect()
    const deadline = clock.elapsed() + (again ? 0 : waitMs)
    for (let told = false; !givenUp(); told = true) {
      const { rows } = await client.query('select pg_try_advisory_lock($1, $2) as taken', [...LOCK])
      if (rows[0].taken) break
      const holder = await holderOf(client)
      // Our own former session may linger where only the network between broke: it is nobody else, and the server will notice.
      const isOurselves = again && holder.startsWith(`${APPLICATION_NAME} `)
      if (!isOurselves && clock.elapsed() >= deadline) {
        throw new GatewayLockError(`another gateway works with this database: ${holder}; stop it first`)
      }
      if (!told) log.warn({ holder, waitMs }, 'another gateway works with this database, waiting for it to stop')
      await delay(RETRY_MS)
    }
    client.off('error', broken)
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
}

async function holderOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query(
    `select a.application_name, a.client_addr, a.backend_start
     from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.classid::bigint = $1 and l.objid::bigint = $2 and l.objsubid = 2 and l.granted
       and l.database = (select oid from pg_database where datname = current_database())`,
    [...LOCK],
  )
  const holder = rows[0]
  if (holder === undefined) return 'one that is just leaving'
  const from = holder.client_addr === null ? 'on the same machine' : `from ${holder.client_addr}`
  return `${holder.application_name || 'unnamed'} ${from}, connected since ${holder.backend_start.toISOString()}`
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
