/** `bursar serve`: starts the server, says where it is, and stops it when told to. */

import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import process from 'node:process'
import closeWithGrace from 'close-with-grace'
import { ANONYMOUS } from './auth/principal.ts'
import { hashKey } from './auth/virtual-key.ts'
import { readConfig } from './config.ts'
import { readConfigOf } from './control/config-start.ts'
import { usableKeyFile } from './first-key.ts'
import { createLog } from './log.ts'
import { listModels } from './providers/catalogue.ts'
import { type Server, startServer } from './server.ts'
import { VERSION } from './version.ts'

/** What a stop may take beyond the drain: the last dump and the closing of the database. */
const CLOSE_MARGIN_MS = 15_000

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const
const SAME_SIGNAL_MS = 500
/** Those that are handled here, or that must not stop anything. */
const OWN_SIGNALS: ('SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGUSR2')[] = [...STOP_SIGNALS, 'SIGHUP', 'SIGUSR2']

/** Resolves when the server is ready. Throws errors whose messages are lines for the operator. */
export async function serve(env: Readonly<Record<string, string | undefined>>, cwd: string): Promise<void> {
  const config = readConfig(env, cwd)
  const file = await readConfigOf(config.configFile, env)
  const log = createLog(config.logLevel)
  for (const warning of config.warnings) log.warn({}, warning)

  const { drainMs } = file.settings.server
  const starting = new AbortController()
  let server: Server | null = null
  let fatal: Error | null = null
  const delay = drainMs + CLOSE_MARGIN_MS
  const onTimeout = () => log.fatal({ delay }, 'stopping took too long; what is in the journal is safe')
  const grace = closeWithGrace({ delay, logger: false, skip: OWN_SIGNALS, onTimeout }, async ({ err }) => {
    if (err !== undefined) log.fatal({ err }, 'stopping because of an error')
    starting.abort()
    await server?.close(drainMs)
    // Thrown, so that whoever restarts what has failed sees that it has.
    if (fatal !== null) throw fatal
    log.info({}, 'stopped')
  })
  stopOnSignals(log, grace.close)
  const onFatal = (error: Error) => {
    log.fatal({ err: error }, error.message)
    fatal = error
    void grace.close()
  }
  let running: Server
  try {
    running = await startServer({ config, file, env, log, signal: starting.signal, onFatal })
  } catch (error) {
    // Its own handler would turn a failed start into a clean exit.
    grace.uninstall()
    throw error
  }
  server = running
  process.on('SIGHUP', () => running.reload().catch((error) => log.error({ err: error }, 'reload failed')))
  process.stdout.write(banner(running, config.dataDir, cwd))
}

/**
 * The first signal stops with grace, a second one at once. npm hands the terminal's Ctrl-C on to a process that has had it already: what comes
 * within a moment of the first is the same one.
 */
function stopOnSignals(log: ReturnType<typeof createLog>, stop: () => void): void {
  let firstAt: number | null = null
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      const at = performance.now()
      if (firstAt === null) {
        firstAt = at
        log.info({ signal }, 'stopping: requests in flight may finish; a second signal ends at once')
        stop()
      } else if (at - firstAt > SAME_SIGNAL_MS) {
        log.warn({ signal }, 'ending at once')
        process.exit(1)
      }
    })
  }
}

function banner(server: Server, dataDir: string, cwd: string): string {
  const { store } = server.governance
  const providers = [...store.providers.values()].filter(({ enabled }) => enabled).map(({ name }) => name)
  const simulated =
    server.sim === null ? '' : '  (simulated; no provider is configured: set OPENAI_API_KEY, for example)'
  const lines = [
    `Bursar ${VERSION}`,
    `  gateway    ${server.gatewayUrl}`,
    `  admin      ${server.adminUrl}  (reference: ${server.adminUrl}/docs)`,
    `  admin key  ${server.adminKeyFile === null ? 'as in BURSAR_ADMIN_KEY' : shown(server.adminKeyFile, cwd)}`,
    `  database   ${server.books.database.kind === 'embedded' ? `embedded, in ${shown(dataDir, cwd)}` : 'Postgres'}`,
    `  providers  ${providers.join(', ') || 'none'}${simulated}`,
    '',
  ]
  lines.push('Try it:', '', exampleCall(server, dataDir, cwd), '')
  return `${lines.join('\n')}\n`
}

/** A `curl` that works as pasted: a chat, else with what there is at hand. */
function exampleCall(server: Server, dataDir: string, cwd: string): string {
  return (
    exampleChat(server, dataDir, cwd) ??
    (server.adminKeyFile === null
      ? `  curl -i ${server.gatewayUrl}/readyz`
      : `  curl -i ${server.adminUrl}/api/virtual-keys -H "Authorization: Bearer $(cat ${quoted(shown(server.adminKeyFile, cwd))})"`)
  )
}

/** With a key that this installation has made itself, or without one where none is asked for; null where neither may use any model. */
function exampleChat({ governance, gatewayUrl }: Server, dataDir: string, cwd: string): string | null {
  const { store, clock, settings } = governance
  const now = clock.now()
  const keyFile = usableKeyFile(store, dataDir, now)
  const anybody = settings.requireKey ? null : ANONYMOUS
  const principal =
    keyFile === null ? anybody : store.principalByHash(hashKey(readFileSync(keyFile, 'utf8').trim()), now)
  if (principal === null) return null
  const models = listModels(store, principal).map(({ model }) => model)
  const model = PREFERRED.find((name) => models.includes(name)) ?? models[0]
  if (model === undefined) return null
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }], max_tokens: 50 })
  return [
    `  curl -i ${gatewayUrl}/v1/chat/completions \\`,
    ...(keyFile === null ? [] : [`    -H "Authorization: Bearer $(cat ${quoted(shown(keyFile, cwd))})" \\`]),
    "    -H 'Content-Type: application/json' \\",
    `    -d '${body}'`,
  ].join('\n')
}

/** Small and cheap ones first. */
const PREFERRED = ['sim-small', 'gpt-4o-mini', 'claude-haiku-4-5', 'gemini-2.5-flash', 'mistral-small-latest']

/** A path as somebody in the working directory would write it. */
function shown(path: string, cwd: string): string {
  const short = relative(cwd, path)
  return short === '' || short.startsWith('..') ? path : short
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
