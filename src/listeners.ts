/** Listeners: the two Fastify instances and their ports. */
import { createServer } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify'
import { clientErrors, frameworkErrors } from '../plugins/error-handler.ts'
import type { Listener } from './config.ts'
import type { createLog } from './log.ts'
import { newId } from './units/id.ts'

/** How long a client may take to send its request; an answer may take as long as it likes. */
const RECEIVE_MS = 300_000

/**
 * What may wait to be sent to a client before its provider is slowed down. Less than the 64 KB that a fast provider's bytes come in: else two of
 * them wait for every slow client.
 */
const UNSENT_BYTES = 16 * 1_024

/** Longest names in a path: a model name of 256 characters, each of which may be escaped. */
const PARAM_LENGTH_MAX = 1_024

/** Fastify options that the gateway needs of its server: errors of parser and router in the caller's format, long model names in paths. */
export const serverOptions = {
  frameworkErrors,
  clientErrorHandler: clientErrors,
  routerOptions: { maxParamLength: PARAM_LENGTH_MAX, ignoreTrailingSlash: true },
  return503OnClosing: false,
} as const satisfies FastifyServerOptions

/**
 * Small buffers are cut out of pieces of this size, and one that is kept keeps its whole piece: with Node's 64 KB every open stream would keep
 * so much for a few hundred bytes.
 */
Buffer.poolSize = 24 * 1_024

/** An instance that nothing is registered on yet. `bodyLimit` in bytes. */
export function createApp(log: ReturnType<typeof createLog>, bodyLimit: number): FastifyInstance {
  return Fastify({
    loggerInstance: log,
    // One line per request is the usage tracker's; the framework's two would double the cost of logging.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: newId,
    requestTimeout: RECEIVE_MS,
    http: { highWaterMark: UNSENT_BYTES },
    bodyLimit,
    ...serverOptions,
    exposeHeadRoutes: false,
    // With options for `http` its types take the server for any kind; it is Node.js's plain one.
  }) as unknown as FastifyInstance
}

/** Refuses an address that cannot be listened on, before anything else is opened. The error is one line for the operator. */
export function mustBeFree(variable: string, { host, port }: Listener): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(explained(error, variable, { host, port }), { cause: error })),
    )
    probe.listen({ host, port }, () => probe.close(() => resolve()))
  })
}

function explained(error: NodeJS.ErrnoException, variable: string, { host, port }: Listener): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `${variable}_PORT: ${host}:${port} is in use by another program; stop it, or write another port`
    case 'EACCES':
      return `${variable}_PORT: this user may not listen on port ${port}; write one from 1024 on`
    default:
      return `${variable}_HOST="${host}": cannot be listened on (${error.code ?? error.message}); write an address of this machine`
  }
}

/** Listens, and gives the address as a URL. */
export async function listen(
  app: FastifyInstance,
  { host, port }: Listener,
  onFatal: (error: Error) => void,
): Promise<string> {
  const address = await app.listen({ host, port })
  app.server.on('error', onFatal)
  return address
}
