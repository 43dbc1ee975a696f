/**
 * Assemble: everything behind the listeners, opened, loaded and tied together: what our own server listens for, and what a platform team
 * registers on its own.
 *
 * plugins → state (data directory, books, store) → declarations → worker, gateway and admin, ready to be registered
 */
import { Cron } from 'croner'
import type { FastifyPluginAsync } from 'fastify'
import admin from './admin.ts'
import { startAlerting } from './alerting.ts'
import { OperationsWatch } from './alerts/operations-watch.ts'
import type { Closers } from './closers.ts'
import { tidyTemporaryUsers } from './control/temporary-users.ts'
import { type DeclareParts, declare } from './declared.ts'
import { explainFor } from './explain.ts'
import { Extensions } from './extension/extensions.ts'
import { makeFirstKey } from './first-key.ts'
import gateway from './gateway.ts'
import { loadPlugins } from './load-plugins.ts'
import { createMetrics } from './observability.ts'
import { Persister } from './persist/persister.ts'
import { Pruner } from './persist/pruner.ts'
import { lastRaisedAt } from './persist/repositories/alerts.ts'
import type { Sim } from './sim/server.ts'
import { openState, type State, type StateOptions } from './state.ts'
import { degradations, statusOf } from './status.ts'
import { reloadStore, rollLimits } from './store-loading.ts'
import { systemClock } from './units/clock.ts'
import { ClockWatch } from './units/clock-watch.ts'
import { UsageTracker } from './usage/tracker.ts'

export interface AssembleOptions extends StateOptions {
  readonly env: DeclareParts['env']
}

export interface Line extends State {
  readonly health: Health
  /** What is in flight. */
  readonly tracker: UsageTracker
  /** The simulated provider, where nobody has named another. */
  readonly sim: Sim | null
  /** The flow; with it starts and ends the worker. */
  readonly gateway: FastifyPluginAsync
  /** The admin API. Closed before the gateway, whose last dump has everything then. */
  readonly admin: FastifyPluginAsync
  /** Reads everything from the database again, after somebody has worked on it by hand. */
  reload(): Promise<void>
}

/** Throws errors whose messages are lines for the operator; what has been opened until then is in `opened`. */
export async function assemble(options: AssembleOptions, opened: Closers): Promise<Line> {
  const { config, file, log } = options
  const { settings } = file
  const clock = systemClock
  const startedAt = clock.now()
  const health = new Health()

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
  // The start may have put facts there before anybody watched, and the last dump of the run before after its last look.
  const toldAt = (await lastRaisedAt(books.database.db, 'quarantine')) ?? Number.NEGATIVE_INFINITY
  const told = books.quarantine.count - books.quarantine.addedAfter(toldAt)
  const operationsWatch = new OperationsWatch(governance.notices, clock, told)
  const clockWatch = new ClockWatch(clock, log)
  const pruner = new Pruner({ db: books.database.db, events: settings.database.retention.events, log })
  const watchTheBooks = () => {
    books.quarantine.recount()
    operationsWatch.look(persister.state)
  }
  const persister: Persister = new Persister({
    ...books,
    clock,
    log,
    schedule: config.dumpCron,
    steps: [
      { name: 'watch the clock', run: () => clockWatch.look() },
      { name: 'roll rate limits', run: (now) => rollLimits(governance, (metric) => metric !== 'cost', now) },
      { name: 'roll budgets', run: (now) => rollLimits(governance, (metric) => metric === 'cost', now) },
      { name: 'prune', run: (now) => pruner.run(now) },
      { name: 'watch the books', run: watchTheBooks },
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
  const metrics = createMetrics({ governance, tracker, journal: books.journal, persister, alerting, log, extensions })
  const gatewayOptions = {
    governance,
    database: books.database,
    persister,
    health,
    tracker,
    metrics,
    extensions,
    plugins,
    trustedProxies: config.trustedProxies,
  }
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
  const adminOptions = {
    control,
    managementKeys,
    health,
    status: () => statusOf(status),
    reload,
    explain: (asked: Parameters<typeof explainFor>[1]) => explainFor(governance, asked),
    testAlert: () => alerting.test(),
    metrics,
    metricsOpen: config.metricsOpen,
    secret: state.secret,
  }
  const tidy = new Cron(
    '0 * * * * *',
    { paused: true, protect: true, catch: (error) => log.warn({ err: error }, 'temporary users were not tidied') },
    async () => {
      await tidyTemporaryUsers(control, (user, reason) => governance.notices.userDisabled(user, reason))
    },
  )

  return {
    ...state,
    health,
    tracker,
    sim,
    reload,
    gateway: async (app) => {
      app.register(gateway, gatewayOptions)
      app.addHook('onReady', async () => void tidy.resume())
      app.addHook('preClose', async () => tidy.stop())
    },
    admin: async (app) => void app.register(admin, adminOptions),
  }
}

/** Read by both listeners whenever they are asked. */
export class Health {
  phase: 'starting' | 'ready' | 'draining' = 'starting'
  #look: () => readonly string[] = () => []

  get reasons(): readonly string[] {
    return this.#look()
  }

  watch(look: () => readonly string[]): void {
    this.#look = look
  }
}
