/**
 * Server: opens the books, loads the store, starts both listeners and the worker, and closes them in the reverse order.
 *
 * data directory → books (database, lock, migrations, journal, recovery) → store → declarations → listeners, and with them the worker
 */
import { Cron } from 'croner'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { frameworkErrors } from '../plugins/error-handler.ts'
import admin from './admin.ts'
import type { Config, Listener } from './config.ts'
import { Control } from './control/control.ts'
import { ManagementKeys } from './control/management-keys.ts'
import type { ReadConfigFile } from './control/read-config.ts'
import { tidyTemporaryUsers } from './control/temporary-users.ts'
import { declare } from './declared.ts'
import { explainFor } from './explain.ts'
import { makeFirstKey } from './first-key.ts'
import gateway from './gateway.ts'
import { createGovernance, type Governance } from './governance.ts'
import type { createLog } from './log.ts'
import { type Books, openBooks } from './persist/books.ts'
import { type DataDir, openDataDir, readOrCreateSecretFile } from './persist/data-dir.ts'
import { Persister } from './persist/persister.ts'
import type { Sim } from './sim/server.ts'
import { degradations, statusOf } from './status.ts'
import { loadStore, reloadStore } from './store-loading.ts'
import { systemClock } from './units/clock.ts'
import { ClockWatch } from './units/clock-watch.ts'
import { newId } from './units/id.ts'
import { UsageTracker } from './usage/tracker.ts'

export interface ServerOptions {
  readonly config: Config
  /** bursar.yaml, or what an empty one means. */
  readonly file: ReadConfigFile
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: ReturnType<typeof createLog>
  /** Ends the waiting for a database that is away at the start. */
  readonly signal?: AbortSignal
  /** Something that cannot be served on with has happened: the caller stops the server. */
  readonly onFatal: (error: Error) => void
}

export interface Server {
  readonly gatewayUrl: string
  readonly adminUrl: string
  readonly governance: Governance
  readonly books: Books
  /** Where the root key of the admin API is; null when it was given in the environment. */
  readonly adminKeyFile: string | null
  readonly sim: Sim | null
  /** Reads everything from the database again, after somebody has worked on it by hand. */
  reload(): Promise<void>
  /** Refuses new work, lets what runs finish up to `drainMs`, settles, dumps, closes. Harmless when called twice. */
  close(drainMs: number): Promise<void>
}

/** Longest names in a path: a model name of 256 characters, each of which may be escaped. */
const PARAM_LENGTH_MAX = 1_024

/** Throws errors whose messages are lines for the operator; then everything that was open has been closed again. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const opened = new Closers()
  try {
    return await open(options, opened)
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function open(options: ServerOptions, opened: Closers): Promise<Server> {
  const { config, file, log, onFatal } = options
  const { settings } = file
  const clock = systemClock
  const startedAt = clock.now()
  const health: Health = { phase: 'starting', reasons: [] }

  const dataDir = openDataDir(config.dataDir)
  opened.add(async () => dataDir.release())
  const rootKey = config.adminKey ?? readOrCreateSecretFile(dataDir.path, 'admin-key')
  const books = await openBooksOf(options, dataDir)
  opened.add(() => books.close())

  const governance = createGovernance({ settings, clock, facts: books.journal, log })
  const { store, ledger } = governance
  const loading = { books, governance, log }
  await loadStore(loading)
  const tracker = new UsageTracker({ ...governance, log })

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
  const sim = await declare({ control, store, file, env: options.env, dataDir: dataDir.path, log })
  if (sim !== null) opened.add(() => sim.close())
  await makeFirstKey(control, store, dataDir.path)

  const clockWatch = new ClockWatch(clock, log)
  const rolled = (cost: boolean) => [...store.limits.values()].filter(({ metric }) => (metric === 'cost') === cost)
  const persister = new Persister({
    ...books,
    clock,
    log,
    schedule: config.dumpCron,
    steps: [
      { name: 'watch the clock', run: () => clockWatch.look() },
      { name: 'roll rate limits', run: (now) => ledger.roll(rolled(false), now) },
      { name: 'roll budgets', run: (now) => ledger.roll(rolled(true), now) },
    ],
  })
  Object.defineProperty(health, 'reasons', { get: () => degradations({ journal: books.journal, persister }) })

  const reload = async () => {
    await reloadStore(loading)
    await managementKeys.load()
  }

  const gatewayApp = createApp(options, settings.server.bodyLimitBytes)
  gatewayApp.register(gateway, {
    governance,
    database: books.database,
    persister,
    tracker,
    health,
    trustedProxies: config.trustedProxies,
  })
  const adminApp = createApp(options, settings.server.bodyLimitBytes)
  const status = {
    governance,
    database: books.database,
    journal: books.journal,
    persister,
    health,
    clockWatch,
    startedAt,
  }
  adminApp.register(admin, {
    control,
    managementKeys,
    health,
    status: () => statusOf(status),
    reload,
    explain: (asked) => explainFor(governance, asked),
  })
  opened.add(() => adminApp.close())
  opened.add(() => gatewayApp.close())

  const tidy = new Cron(
    '0 * * * * *',
    { protect: true, catch: (error) => log.warn({ err: error }, 'temporary users were not tidied') },
    async () => {
      await tidyTemporaryUsers(control)
    },
  )
  opened.add(async () => tidy.stop())

  const gatewayUrl = await listen(gatewayApp, config.gateway, onFatal)
  const adminUrl = await listen(adminApp, config.admin, onFatal)
  health.phase = 'ready'
  log.info({ gatewayUrl, adminUrl, database: books.database.kind }, 'ready')
  return {
    gatewayUrl,
    adminUrl,
    governance,
    books,
    sim,
    adminKeyFile: config.adminKey === null ? `${dataDir.path}/admin-key` : null,
    reload,
    close(drainMs) {
      health.phase = 'draining'
      // Streams may finish, but not for ever; idle keep-alive connections would hold the close up all that time.
      const idle = setInterval(() => gatewayApp.server.closeIdleConnections(), 100)
      const deadline = setTimeout(() => gatewayApp.server.closeAllConnections(), drainMs)
      return opened.close().finally(() => {
        clearInterval(idle)
        clearTimeout(deadline)
      })
    },
  }
}

interface Health {
  phase: 'starting' | 'ready' | 'draining'
  readonly reasons: readonly string[]
}

function openBooksOf({ config, file, log, signal, onFatal }: ServerOptions, dataDir: DataDir): Promise<Books> {
  return openBooks({
    dataDir,
    databaseUrl: config.databaseUrl,
    secret: config.secret ?? readOrCreateSecretFile(dataDir.path, 'secret'),
    journal: file.settings.journal,
    database: file.settings.database,
    clock: systemClock,
    log,
    ...(signal === undefined ? {} : { signal }),
    onLockLost: onFatal,
  })
}

function createApp({ log }: ServerOptions, bodyLimit: number): FastifyInstance {
  return Fastify({
    loggerInstance: log,
    // One line per request is the usage tracker's; the framework's two would double the cost of logging.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: newId,
    bodyLimit,
    frameworkErrors,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX, ignoreTrailingSlash: true },
    return503OnClosing: false,
  }) as unknown as FastifyInstance
}

async function listen(
  app: FastifyInstance,
  { host, port }: Listener,
  onFatal: (error: Error) => void,
): Promise<string> {
  const address = await app.listen({ host, port })
  app.server.on('error', onFatal)
  return address
}

/** What has been opened, to be closed in the reverse order. */
class Closers {
  readonly #closers: (() => Promise<unknown>)[] = []
  #closing: Promise<void> | null = null

  add(close: () => Promise<unknown>): void {
    this.#closers.push(close)
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
  }
}
