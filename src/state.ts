/**
 * State: everything that lasts, opened, locked and loaded: what a gateway serves from, and what a command works on while none runs.
 *
 * data directory → books (database, lock, migrations, journal, recovery) → store → control
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Closers } from './closers.ts'
import type { Config } from './config.ts'
import { Control } from './control/control.ts'
import { ManagementKeys } from './control/management-keys.ts'
import type { ReadConfigFile } from './control/read-config.ts'
import { createGovernance, type Governance } from './governance.ts'
import type { createLog } from './log.ts'
import { type Books, openBooks } from './persist/books.ts'
import { type DataDir, openDataDir, readOrCreateSecretFile } from './persist/data-dir.ts'
import { type LoadParts, loadStore } from './store-loading.ts'
import { systemClock } from './units/clock.ts'

const ADMIN_URL = 'admin-url'

export interface StateOptions {
  readonly config: Config
  /** bursar.yaml, or what an empty one means. */
  readonly file: ReadConfigFile
  readonly log: ReturnType<typeof createLog>
  /** Ends the waiting for a database that is away. */
  readonly signal?: AbortSignal
  /** It is away, and is waited for. */
  readonly onWaiting?: () => void
  /** How long another gateway on the same database may take to leave, in ms. */
  readonly lockWaitMs?: number
  /** Something that cannot be worked on with has happened. */
  readonly onFatal: (error: Error) => void
}

export interface State {
  readonly dataDir: DataDir
  readonly books: Books
  readonly governance: Governance
  readonly control: Control
  readonly managementKeys: ManagementKeys
  readonly rootKey: string
  /** BURSAR_SECRET, given or made. */
  readonly secret: string
  readonly loading: LoadParts
}

/** Throws errors whose messages are lines for the operator; what has been opened until then is in `opened`. */
export async function openState(options: StateOptions, opened: Closers): Promise<State> {
  const { config, file, log } = options
  const { settings } = file
  const clock = systemClock
  const dataDir = openDataDir(config.dataDir)
  opened.add(async () => dataDir.release())
  // Of a holder that was killed.
  rmSync(join(dataDir.path, ADMIN_URL), { force: true })
  const rootKey = config.adminKey ?? readOrCreateSecretFile(dataDir.path, 'admin-key')
  if (config.databaseUrl === null && !existsSync(join(dataDir.path, 'database'))) {
    log.info({}, 'first start: making the embedded database takes some seconds')
  }
  const secret = config.secret ?? readOrCreateSecretFile(dataDir.path, 'secret')
  const books = await openBooksOf(options, dataDir, secret)
  opened.add(() => books.close())

  const governance = createGovernance({ settings, clock, facts: books.journal, log })
  const { store, ledger } = governance
  const loading = { books, governance, log }
  await loadStore(loading)
  const control = new Control({
    db: books.database.db,
    store,
    ledger,
    facts: books.journal,
    secrets: books.secrets,
    settings,
    clock,
    log,
  })
  const managementKeys = new ManagementKeys(control, rootKey)
  await managementKeys.load()
  return { dataDir, books, governance, control, managementKeys, rootKey, secret, loading }
}

function openBooksOf(
  { config, file, log, signal, onWaiting, lockWaitMs, onFatal }: StateOptions,
  dataDir: DataDir,
  secret: string,
): Promise<Books> {
  return openBooks({
    dataDir,
    databaseUrl: config.databaseUrl,
    secret,
    journal: file.settings.journal,
    database: file.settings.database,
    clock: systemClock,
    log,
    ...(signal === undefined ? {} : { signal }),
    ...(onWaiting === undefined ? {} : { onWaiting }),
    ...(lockWaitMs === undefined ? {} : { lockWaitMs }),
    onLockLost: onFatal,
  })
}

/** Leaves word for commands on this data directory where its admin API is. */
export function announceAdmin(dataDir: string, adminUrl: string): void {
  writeFileSync(join(dataDir, ADMIN_URL), `${adminUrl}\n`, { mode: 0o600 })
}

/** Where the admin API of the process that holds the data directory is; null while it has not said so. */
export function announcedAdmin(dataDir: string): string | null {
  const path = join(dataDir, ADMIN_URL)
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null
}
