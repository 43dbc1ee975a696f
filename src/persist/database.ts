/**
 * The database: one code path for both kinds. An external Postgres and the embedded one (PGlite) are reached through the same `pg` pool
 * and the same kysely dialect; what differs is decided here and nowhere else.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { Log } from '../units/log.ts'
import { COLUMN_TYPES } from './column-types.ts'
import { EmbeddedDatabase } from './embedded.ts'
import type { Tables } from './tables.ts'

export interface Database {
  readonly db: Kysely<Tables>
  readonly kind: 'postgres' | 'embedded'
  /** Asks the database for nothing. Throws when it does not answer. */
  ping(): Promise<void>
  /** Makes sure that what has been committed survives a power cut: to be called before the journal forgets it. */
  checkpoint(): Promise<void>
  /** Cuts every connection that is in use, so that calls waiting for a database that has gone silent fail now. */
  breakConnections(): void
  /** Harmless when called twice. */
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://…`; absent: the embedded database under `dataDir`. */
  readonly url?: string | undefined
  /** The locked data directory. */
  readonly dataDir: string
  readonly log: Log
  /** When the database cannot be reached: `retry` (default) waits for it, `stop` throws. */
  readonly atStart?: 'retry' | 'stop'
  /** Ends the waiting. */
  readonly signal?: AbortSignal
  /** It is away, and is waited for. Called once. */
  readonly onWaiting?: () => void
  /** Connections of the pool; the embedded database has one session and takes no notice. */
  readonly connectionsMax?: number
}

const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 5_000
const CONNECT_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 10_000

/** How our connections show in `pg_stat_activity`, and the lock's holder to a second gateway. No other process has the same. */
export const APPLICATION_NAME = `bursar ${hostname().slice(0, 32)}:${process.pid}:${randomBytes(4).toString('hex')}`

/** Opens the database and waits until it answers. Throws the connection's error with `atStart: 'stop'` or when `signal` aborts. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const database = options.url === undefined ? embedded(options) : external(options, options.url)
  try {
    await untilItAnswers(database, options)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

function external({ log, connectionsMax = 10 }: DatabaseOptions, url: string): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax,
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    types: COLUMN_TYPES,
  })
  return { kind: 'postgres', ...throughPool(pool, log), checkpoint: async () => {} }
}

function embedded({ dataDir, log }: DatabaseOptions): Database {
  const server = new EmbeddedDatabase(join(dataDir, 'database'), log)
  const pool = new pg.Pool({
    stream: () => server.connect(),
    max: 1,
    user: 'postgres',
    database: 'postgres',
    host: 'embedded',
    port: 5_432,
    ssl: false,
    application_name: APPLICATION_NAME,
    // Its only session: nothing is saved by ending it.
    idleTimeoutMillis: 0,
    types: COLUMN_TYPES,
  })
  const opened = throughPool(pool, log)
  return {
    kind: 'embedded',
    ...opened,
    async checkpoint() {
      await sql`checkpoint`.execute(opened.db)
      await server.sync()
    },
    async close() {
      await opened.close()
      await server.close()
    },
  }
}

function throughPool(pool: pg.Pool, log: Log): Pick<Database, 'db' | 'ping' | 'breakConnections' | 'close'> {
  const inUse = new Set<pg.PoolClient>()
  pool.on('acquire', (client) => inUse.add(client))
  pool.on('release', (_error, client) => inUse.delete(client))
  pool.on('remove', (client) => inUse.delete(client))
  // A connection that breaks while idle, or between two statements, is an event without a caller: unheard it would end the process.
  pool.on('connect', (client) => client.on('error', (error) => log.debug({ err: error }, 'database connection broke')))
  pool.on('error', () => {})
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  let closed: Promise<void> | null = null
  return {
    db,
    async ping() {
      await sql`select 1`.execute(db)
    },
    breakConnections() {
      for (const client of inUse) client.connection.stream.destroy()
    },
    close() {
      closed ??= db.destroy().then(() => (pool.ended ? undefined : pool.end()))
      return closed
    },
  }
}

async function untilItAnswers(database: Database, options: DatabaseOptions): Promise<void> {
  const { log, atStart = 'retry', signal, onWaiting } = options
  for (let waitMs = RETRY_MS_MIN, told = false; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      await database.ping()
      if (told) log.info({}, 'database answers')
      return
    } catch (error) {
      if (atStart === 'stop' || signal?.aborted === true || !isUnreachable(error)) throw error
      if (!told) {
        log.warn({ err: error }, 'database cannot be reached, trying again until it can')
        onWaiting?.()
      }
      told = true
    }
    await pause(waitMs, signal)
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
    function end(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
  })
}

/**
 * Whether an error says nothing about what was asked, only that the database cannot serve now: no connection, starting up, shutting
 * down, out of connections or of disk, a standby. The same may be asked again later.
 */
export function isUnreachable(error: unknown): boolean {
  // What pg throws without the server's word is about the connection.
  if (!(error instanceof pg.DatabaseError)) return error instanceof Error
  return /^(08|53|57P|58|25006)/.test(error.code ?? '')
}
