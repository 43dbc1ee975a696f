/**
 * Server: assembles the line, starts both listeners, and with them the worker, and closes them in the reverse order.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { assemble } from './assemble.ts'
import { Closers } from './closers.ts'
import type { Config } from './config.ts'
import type { ReadConfigFile } from './control/read-config.ts'
import type { Governance } from './governance.ts'
import { createApp, listen, mustBeFree } from './listeners.ts'
import type { createLog } from './log.ts'
import type { Books } from './persist/books.ts'
import type { Sim } from './sim/server.ts'
import { announceAdmin } from './state.ts'
import { VERSION } from './version.ts'
import { openWaitingRoom, type WaitingRoom } from './waiting-room.ts'

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

  await mustBeFree('BURSAR', config.gateway)
  await mustBeFree('BURSAR_ADMIN', config.admin)
  let waiting: Promise<WaitingRoom | null> = Promise.resolve(null)
  opened.add(async () => (await waiting)?.close())
  const onWaiting = () => {
    waiting = openWaitingRoom(config.gateway).catch((error) => {
      log.warn({ err: error }, 'nobody can be told that the gateway waits for its database')
      return null
    })
  }
  const line = await assemble({ ...options, onWaiting }, opened)
  const { dataDir, books, governance, sim, health, tracker, reload } = line

  const gatewayApp = createApp(log, settings.server.bodyLimitBytes)
  gatewayApp.register(line.gateway)
  const adminApp = createApp(log, settings.server.bodyLimitBytes)
  adminApp.register(line.admin)
  // The admin side goes first, so that the last dump, which comes with the gateway's end, has everything.
  opened.add(() => gatewayApp.close())
  opened.add(() => adminApp.close())

  const waitingRoom = await waiting
  // Made ready before, so that the address is nobody's for a moment only.
  await gatewayApp.ready()
  await waitingRoom?.close()
  const gatewayUrl = await listen(gatewayApp, waitingRoom?.address ?? config.gateway, onFatal)
  const adminUrl = await listen(adminApp, config.admin, onFatal)
  announceAdmin(dataDir.path, adminUrl)
  health.phase = 'ready'
  log.info({ version: VERSION, gatewayUrl, adminUrl, database: books.database.kind }, 'ready')
  return {
    gatewayUrl,
    adminUrl,
    governance,
    books,
    sim,
    adminKeyFile: config.adminKey === null ? `${dataDir.path}/admin-key` : null,
    reload,
    async close(drainMs) {
      health.phase = 'draining'
      // Streams may finish, but not for ever; idle keep-alive connections would hold the close up all that time.
      const servers = [gatewayApp.server, adminApp.server]
      const idle = setInterval(() => servers.forEach((server) => void server.closeIdleConnections()), IDLE_SWEEP_MS)
      let isLate = false
      const deadline = setTimeout(() => {
        isLate = true
        servers.forEach((server) => void server.closeAllConnections())
      }, drainMs)
      try {
        // So long somebody still listens, who sends new work elsewhere and tells load balancers why.
        while (tracker.endingAttempts > 0 && !isLate) await delay(IDLE_SWEEP_MS)
        await opened.close()
      } finally {
        clearInterval(idle)
        clearTimeout(deadline)
      }
    },
  }
}
