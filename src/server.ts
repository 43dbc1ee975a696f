/**
 * Server: opens the books, loads the store, starts both listeners and the worker, and closes them in the reverse order.
 *
 * state (data directory, books, store) → declarations → listeners, and with them the worker
 */
import { Cron } from 'croner'
import admin from './admin.ts'
import { startAlerting } from './alerting.ts'
import { OperationsWatch } from './alerts/operations-watch.ts'
import { Closers } from './closers.ts'
import type { Config } from './config.ts'
import type { ReadConfigFile } from './control/read-config.ts'
import { tidyTemporaryUsers } from './control/temporary-users.ts'
import { declare } from './declared.ts'
import { explainFor } from './explain.ts'
import { Extensions } from './extension/extensions.ts'
import { makeFirstKey } from './first-key.ts'
import gateway from './gateway.ts'
import type { Governance } from './governance.ts'
import { createApp, listen, mustBeFree } from './listeners.ts'
import { loadPlugins } from './load-plugins.ts'
import type { createLog } from './log.ts'
import { createMetrics } from './observability.ts'
import type { Books } from './persist/books.ts'
import { Persister } from './persist/persister.ts'
import { Pruner } from './persist/pruner.ts'
import type { Sim } from './sim/server.ts'
import { announceAdmin, openState } from './state.ts'
import { degradations, statusOf } from './status.ts'
import { reloadStore, rollLimits } from './store-loading.ts'
import { systemClock } from './units/clock.ts'
import { ClockWatch } from './units/clock-watch.ts'
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

const IDLE_SWEEP_MS = 100

/** Throws errors whose messages are lines for the operator; then everything that was open has been closed again. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const opened = new Closers(options.log)
  try {
    return await open(options, opened)
  } catch (error) {
    // What could not be closed has been logged; what stopped the start is what the operator must read.
    await opened.close().catch(() => {})
    throw error
  }
}

async function open(options: ServerOptions, opened: Closers): Promise<Server> {
  const { config, file, log, onFatal } = options
  const { settings } = file
  const clock = systemClock
  const startedAt = clock.now()
  const health = new Health()

  await mustBeFree('BURSAR', config.gateway)
  await mustBeFree('BURSAR_ADMIN', config.admin)
  const plugins = config.configFile === null ? [] : await loadPlugins(file, config.configFile)
  const hooks = plugins.map((plugin) => plugin.hooks)
  const extensions = new Extensions(hooks, log)
  const state = await openState(options, opened)
  const { dataDir, books, governance, control, managementKeys, loading } = state
  const { store } = governance
  const sim = await declare({ control, store, file, env: options.env, dataDir: dataDir.path, log })
  if (sim !== null) opened.add(() => sim.close())
  await makeFirstKey(control, store, dataDir.path)

  const alerting = await startAlerting(governance, books.database.db, log)
  opened.add(() => alerting.close())
  const operationsWatch = new OperationsWatch(governance.notices, clock, books.quarantine.count)
  const clockWatch = new ClockWatch(clock, log)
  const pruner = new Pruner({ db: books.database.db, events: settings.database.retention.events, log })
  const persister = new Persister({
    ...books,
    clock,
    log,
    schedule: config.dumpCron,
    steps: [
      { name: 'watch the clock', run: () => clockWatch.look() },
      { name: 'roll rate limits', run: (now) => rollLimits(governance, (metric) => metric !== 'cost', now) },
      { name: 'roll budgets', run: (now) => rollLimits(governance, (metric) => metric === 'cost', now) },
      { name: 'prune', run: (now) => pruner.run(now) },
      { name: 'watch the books', run: () => operationsWatch.look(persister.state) },
    ],
  })
  health.watch(() => degradations({ journal: books.journal, persister }))

  // In turn with the writers, and after a dump: what memory knows and the database does not yet must not be read back as undone.
  const reload = () =>
    control.inTurn(async () => {
      const since = clock.now()
      await persister.run()
      await reloadStore(loading, since)
      await managementKeys.load()
    })

  const tracker = new UsageTracker({ ...governance, log })
  const metrics = createMetrics({ governance, tracker, journal: books.journal, persister, alerting, extensions })
  const gatewayApp = createApp(log, settings.server.bodyLimitBytes)
  gatewayApp.register(gateway, {
    governance,
    database: books.database,
    persister,
    health,
    tracker,
    metrics,
    extensions,
    plugins,
    trustedProxies: config.trustedProxies,
  })
  const adminApp = createApp(log, settings.server.bodyLimitBytes)
  const status = {
    governance,
    database: books.database,
    journal: books.journal,
    persister,
    health,
    clockWatch,
    alerting,
    startedAt,
  }
  adminApp.register(admin, {
    control,
    managementKeys,
    health,
    status: () => statusOf(status),
    reload,
    explain: (asked) => explainFor(governance, asked),
    testAlert: () => alerting.test(),
    metrics,
    metricsOpen: config.metricsOpen,
    secret: state.secret,
  })
  // The admin side goes first, so that the last dump, which comes with the gateway's end, has everything.
  opened.add(() => gatewayApp.close())
  opened.add(() => adminApp.close())

  const tidy = new Cron(
    '0 * * * * *',
    { protect: true, catch: (error) => log.warn({ err: error }, 'temporary users were not tidied') },
    async () => {
      await tidyTemporaryUsers(control, (user, reason) => governance.notices.userDisabled(user, reason))
    },
  )
  opened.add(async () => tidy.stop())

  const gatewayUrl = await listen(gatewayApp, config.gateway, onFatal)
  const adminUrl = await listen(adminApp, config.admin, onFatal)
  announceAdmin(dataDir.path, adminUrl)
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
      const servers = [gatewayApp.server, adminApp.server]
      const idle = setInterval(() => servers.forEach((server) => void server.closeIdleConnections()), IDLE_SWEEP_MS)
      const deadline = setTimeout(() => servers.forEach((server) => void server.closeAllConnections()), drainMs)
      return opened.close().finally(() => {
        clearInterval(idle)
        clearTimeout(deadline)
      })
    },
  }
}

/** Read by both listeners whenever they are asked. */
class Health {
  phase: 'starting' | 'ready' | 'draining' = 'starting'
  #look: () => readonly string[] = () => []

  get reasons(): readonly string[] {
    return this.#look()
  }

  watch(look: () => readonly string[]): void {
    this.#look = look
  }
}
