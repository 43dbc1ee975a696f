/**
 * Create Bursar: the whole of it for a server of somebody else's: two Fastify plugins, everything behind them opened and loaded.
 */
import type { FastifyPluginAsync } from 'fastify'
import { assemble, type Line } from './assemble.ts'
import { Closers } from './closers.ts'
import { readConfig } from './config.ts'
import { readConfigOf } from './control/config-start.ts'
import { createLog } from './log.ts'

export interface BursarOptions {
  /** Default `./data`. */
  readonly dataDir?: string
  /** `postgres://…`; absent = the embedded database in `dataDir`. */
  readonly databaseUrl?: string
  /** Path of a bursar.yaml. Default `./bursar.yaml`, if it exists. */
  readonly configFile?: string
  /** Where all else comes from, provider keys too: the program's own variables. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Another gateway has taken the database over. New requests are refused already; the process should end. */
  readonly onFatal?: (error: Error) => void
}

export interface Bursar extends Pick<Line, 'governance' | 'books' | 'control' | 'reload'> {
  /** The flow, for the root of a server: `/v1/…`, `/livez`, `/readyz`. Its hooks are its own; your other routes stay as they are. */
  readonly gateway: FastifyPluginAsync
  /** The admin API under `/api`, `/docs` and `/metrics`: for a server that strangers cannot reach, never the gateway's. */
  readonly admin: FastifyPluginAsync
  /** Closes what is open, once the servers are closed. Called with the gateway's server; needed only where that was never started. */
  close(): Promise<void>
}

/** Opens the books and loads the store. Throws errors whose messages are lines for the operator. */
export async function createBursar(options: BursarOptions = {}): Promise<Bursar> {
  const { dataDir, databaseUrl, configFile, env = process.env } = options
  const given = { BURSAR_DATA_DIR: dataDir, DATABASE_URL: databaseUrl, BURSAR_CONFIG: configFile }
  const overriding = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const config = readConfig({ ...env, ...overriding }, process.cwd())
  const file = await readConfigOf(config.configFile, env)
  const log = createLog(config.logLevel)
  for (const warning of config.warnings) log.warn({}, warning)
  const opened = new Closers(log)
  let line: Line | null = null
  const onFatal = (error: Error) => {
    log.fatal({ err: error }, error.message)
    if (line !== null) line.health.phase = 'draining'
    options.onFatal?.(error)
  }
  try {
    line = await assemble({ config, file, env, log, onFatal }, opened)
  } catch (error) {
    await opened.close().catch(() => {})
    throw error
  }
  const { governance, books, control, reload, admin, gateway, health } = line
  return {
    governance,
    books,
    control,
    reload,
    admin,
    gateway: async (app) => {
      // Registered first, run last: after the last dump.
      app.addHook('onClose', () => opened.close())
      app.addHook('onReady', async () => {
        health.phase = 'ready'
      })
      app.addHook('preClose', async () => {
        health.phase = 'draining'
      })
      await app.register(gateway)
    },
    close: () => opened.close(),
  }
}
