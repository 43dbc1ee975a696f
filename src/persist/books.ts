/**
 * Books: everything that lasts, opened in the one right order and closed in the reverse (DESIGN section 9, "Start").
 *
 * database → gateway lock → migrations → secrets → journal → recovery. What comes out is ready to be loaded from and written to.
 */
import { join } from 'node:path'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { DataDir } from './data-dir.ts'
import { type Database, openDatabase } from './database.ts'
import type { SyncPolicy } from './disk-sync.ts'
import { Dump } from './dump.ts'
import { type GatewayLockError, lockGateway } from './gateway-lock.ts'
import { Journal } from './journal.ts'
import { MigrationError, migrateUp, migrationStatus } from './migrator.ts'
import type { OrphanPolicy } from './orphans.ts'
import { Quarantine } from './quarantine.ts'
import { type RecoverReport, recover } from './recover.ts'
import { openSecrets, type Secrets } from './secrets.ts'

export interface BooksOptions {
  /** Locked by this process; stays open. */
  readonly dataDir: DataDir
  /** `postgres://…`; null: the embedded database. */
  readonly databaseUrl: string | null
  /** BURSAR_SECRET. */
  readonly secret: string
  readonly journal: {
    readonly sync: SyncPolicy
    readonly maxSizeBytes: number
    readonly orphans: OrphanPolicy
  }
  readonly database: {
    readonly atStart: 'retry' | 'stop'
    /** `manual`: a pending migration stops the start. */
    readonly migrations: 'auto' | 'manual'
  }
  readonly clock: Clock
  readonly log: Log
  /** Ends the waiting for a database that is away. */
  readonly signal?: AbortSignal
  /** The database is away, and is waited for. */
  readonly onWaiting?: () => void
  /** How long another gateway on the same database may take to leave, in ms. Default 15 s. */
  readonly lockWaitMs?: number
  /** Another gateway has taken the database over: this one must stop serving. */
  readonly onLockLost: (error: GatewayLockError) => void
}

export interface Books {
  readonly database: Database
  readonly secrets: Secrets
  readonly journal: Journal
  readonly dump: Dump
  readonly quarantine: Quarantine
  readonly recovered: RecoverReport
  /** Journal, lock, database. The persister is closed before, by whoever started it. Harmless when called twice. */
  close(): Promise<void>
}

/** Throws when something is missing or in the way, after closing what was open; the messages are lines for the operator. */
export async function openBooks(options: BooksOptions): Promise<Books> {
  const { dataDir, databaseUrl, clock, log, signal, onWaiting } = options
  const opened: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne()
  }
  try {
    const database = await openDatabase({
      ...(databaseUrl === null ? {} : { url: databaseUrl }),
      ...(signal === undefined ? {} : { signal }),
      ...(onWaiting === undefined ? {} : { onWaiting }),
      dataDir: dataDir.path,
      log,
      // The embedded database is nobody else's to bring back: what keeps it from opening will not pass by waiting.
      atStart: databaseUrl === null ? 'stop' : options.database.atStart,
    })
    opened.push(() => database.close())
    if (databaseUrl !== null) {
      const { lockWaitMs: waitMs = 15_000, onLockLost: onLost } = options
      const lock = await lockGateway({ url: databaseUrl, waitMs, clock, log, onLost })
      opened.push(() => lock.release())
    }
    await migrate(database, options)
    const secrets = await openSecrets(database.db, options.secret)
    const { sync, maxSizeBytes, orphans } = options.journal
    const journal = new Journal({ directory: join(dataDir.path, 'journal'), log, sync, maxSizeBytes })
    opened.push(() => journal.close())
    const directory = join(dataDir.path, 'quarantine')
    const quarantine = new Quarantine({ directory, journalId: journal.id, clock, log })
    const dump = new Dump({ database, journal, quarantine, clock, log })
    const recovered = await recover({ journal, dump, quarantine, clock, orphans })
    if (recovered.facts > 0 || recovered.torn > 0)
      log.info({ ...recovered }, 'journal of the last run brought into the books')
    tellOfClock(recovered, options)
    return { database, secrets, journal, dump, quarantine, recovered, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function migrate({ db }: Database, { database: { migrations }, log }: BooksOptions): Promise<void> {
  if (migrations === 'auto') {
    const applied = await migrateUp(db)
    if (applied.length > 0) log.info({ applied }, 'database migrated')
    return
  }
  const missing = (await migrationStatus(db)).filter(({ state }) => state !== 'applied')
  if (missing.length === 0) return
  const names = missing.map(({ name, state }) => `${name} (${state})`).join(', ')
  throw new MigrationError(`migrations are set to manual and these are not applied as they are here: ${names}`)
}

/** More than clocks of one machine differ by. */
const CLOCK_STEP_MS = 5_000

/**
 * A clock that has gone back between two runs reopens no window: one that had begun stays current until the clock is there again, at most
 * for its own length. But events of this run will carry times before those of the last, and somebody should set the clock right.
 */
function tellOfClock({ newestAt }: RecoverReport, { clock, log }: BooksOptions): void {
  if (newestAt === null) return
  const behindMs = newestAt - clock.now()
  if (behindMs <= CLOCK_STEP_MS) return
  const fields = { behindMs, lastRun: new Date(newestAt).toISOString() }
  log.warn(
    fields,
    'the clock is behind the last fact of the run before: set it right, times in the books would run backwards',
  )
}
