/** Local admin: the admin API in this process, on a data directory that no gateway holds. Listens nowhere, and starts no worker. */
import admin from './admin.ts'
import { Closers } from './closers.ts'
import { type AdminClient, refusedCall } from './commands/admin-client.ts'
import type { Config } from './config.ts'
import type { ReadConfigFile } from './control/read-config.ts'
import { CLI_ACTOR } from './control/work.ts'
import { explainFor } from './explain.ts'
import { createApp } from './listeners.ts'
import type { createLog } from './log.ts'
import { createMetrics } from './observability.ts'
import { Persister } from './persist/persister.ts'
import { openState } from './state.ts'
import { statusOf } from './status.ts'
import { systemClock } from './units/clock.ts'
import { ClockWatch } from './units/clock-watch.ts'
import { UsageTracker } from './usage/tracker.ts'

export interface LocalAdminOptions {
  readonly config: Config
  readonly file: ReadConfigFile
  readonly log: ReturnType<typeof createLog>
}

const NO_PLUGINS = { failures: [], refusalCodes: [] }
const NO_ALERTING = { waiting: 0, test: async () => null, close: async () => {} }

/** Throws errors whose messages are lines for the operator, `DataDirError` where another process holds the directory. */
export async function localAdmin({ config, file, log }: LocalAdminOptions): Promise<AdminClient> {
  const opened = new Closers(log)
  try {
    const startedAt = systemClock.now()
    const onFatal = (error: Error) => log.fatal({ err: error }, error.message)
    // Nobody stands by while a command waits: a database that is in use, or away, is said at once.
    const stopping = {
      ...file,
      settings: { ...file.settings, database: { ...file.settings.database, atStart: 'stop' as const } },
    }
    const { books, governance, control, managementKeys, rootKey, secret } = await openState(
      { config, file: stopping, log, lockWaitMs: 0, onFatal },
      opened,
    )
    const persister = new Persister({ ...books, clock: systemClock, log })
    const health = { phase: 'ready', reasons: [] } as const
    const parts = { governance, journal: books.journal, persister, alerting: NO_ALERTING, log }
    const app = createApp(log, file.settings.server.bodyLimitBytes)
    app.register(admin, {
      control,
      managementKeys,
      health,
      status: () =>
        statusOf({
          ...parts,
          database: books.database,
          health,
          clockWatch: new ClockWatch(systemClock, log),
          startedAt,
        }),
      reload: async () => {},
      explain: (asked) => explainFor(governance, asked),
      testAlert: NO_ALERTING.test,
      metrics: createMetrics({ ...parts, extensions: NO_PLUGINS, tracker: new UsageTracker({ ...governance, log }) }),
      metricsOpen: false,
      secret,
    })
    // What was changed may have left facts in the journal, such as a limit's reset.
    opened.add(() => persister.close())
    opened.add(() => governance.counter.close())
    opened.add(() => app.close())
    await app.ready()
    return {
      async open(method, path, body) {
        const isStream = body !== undefined && 'stream' in body
        const answer = await app.inject({
          method,
          url: `/api${path}`,
          headers: {
            authorization: `Bearer ${rootKey}`,
            ...(isStream ? { 'content-type': String((body as { type: string }).type) } : {}),
          },
          // From where, in the audit log.
          remoteAddress: CLI_ACTOR.address ?? '',
          payloadAsStream: true,
          ...(body === undefined
            ? {}
            : { payload: isStream ? (body as { stream: NodeJS.ReadableStream }).stream : body }),
        })
        if (answer.statusCode < 300) return answer.stream()
        let text = ''
        for await (const piece of answer.stream()) text += String(piece)
        throw refusedCall(answer.statusCode, text)
      },
      close: () => opened.close(),
    }
  } catch (error) {
    await opened.close().catch(() => {})
    throw error
  }
}
