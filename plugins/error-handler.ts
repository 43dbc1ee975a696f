/**
 * Error handler: every refusal and error leaves through here, in the shape that the caller's SDK expects.
 *
 * Hooks: none; Fastify's error handler, its handler for paths that do not exist, and a list of the routes, by which a wrong method on
 * a known path is told from an unknown path. Registered before the routes whose errors it renders.
 * Leaves behind: `fastify.onRefused`, for whoever counts what is refused.
 */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { clientErrorResponse } from '../src/admission/client-error.ts'
import type { Refusal } from '../src/admission/decision.ts'
import { errorBody, errorHeaders, formatOfPath, statusOf } from '../src/admission/error-body.ts'
import { refusalOfError } from '../src/admission/error-refusal.ts'
import { KnownPaths } from '../src/admission/known-paths.ts'
import { pathOf, refusalOfTarget } from '../src/admission/target.ts'
import { traceIdOf } from '../src/admission/trace.ts'
import { isId, newId } from '../src/units/id.ts'
import { GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Calls back with the code of everything that is refused: on the plugin's routes, on paths that do not exist, and before any route. */
    onRefused(listener: RefusalListener): void
  }
}

export type RefusalListener = (code: string) => void

/** By Node.js's server: what its parser and the router refuse, nobody's route has seen. */
const listeners = new WeakMap<object, RefusalListener[]>()

export default fp(
  async function errorHandler(fastify) {
    const paths = new KnownPaths()
    const told: RefusalListener[] = []
    listeners.set(fastify.server, told)

    fastify.decorate('onRefused', (listener: RefusalListener) => void told.push(listener))

    fastify.addHook('onRoute', ({ url, method }) => paths.add(url, [method].flat()))

    fastify.setErrorHandler((error, request, reply) => {
      const refusal = refusalFor(error, request, reply)
      const methods = refusal.code === 'not_found' ? paths.methodsOf(pathOf(urlOf(request))) : []
      if (methods.length === 0 || methods.includes(request.method)) return answer(refusal, request, reply, told)
      reply.header('allow', methods.join(', '))
      const message = `This path takes ${methods.join(', ')}, not ${request.method}.`
      return answer({ code: 'method_not_allowed', message }, request, reply, told)
    })

    // Thrown, so that a path that does not exist leaves like every other refusal.
    fastify.setNotFoundHandler((request) => {
      throw new GatewayError(notFoundOf(request))
    })
  },
  { name: 'error-handler', fastify: '5.x' },
)

/** For Fastify's option `clientErrorHandler`: what Node.js's parser cannot take. */
export function clientErrors(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (!socket.writable) {
    socket.destroy()
    return
  }
  tell('invalid_request', listenersOf('server' in socket ? socket.server : null))
  socket.end(clientErrorResponse(error.code))
}

/**
 * For Fastify's option `frameworkErrors`: what the router itself cannot take, before any route or hook is known.
 */
export function frameworkErrors(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  answer(refusalFor(error, request, reply), request, reply, listenersOf(request.server.server))
}

function listenersOf(server: unknown): readonly RefusalListener[] {
  return (typeof server === 'object' && server !== null && listeners.get(server)) || []
}

function tell(code: string, told: readonly RefusalListener[]): void {
  for (const listener of told) listener(code)
}

function refusalFor(error: unknown, request: FastifyRequest, reply: FastifyReply): Refusal {
  if (error instanceof GatewayError) return error.refusal
  // A body that cannot be read is no news where nobody would have read it.
  if (request.is404 && isOfBody(error)) return notFoundOf(request)
  const refusal = refusalOfError(error, requestIdOf(request, reply))
  // The caller learns nothing of a bug; we learn all of it.
  if (refusal.code === 'internal') request.log.error({ err: error }, 'internal error')
  return refusal
}

/** Fastify's errors of a body, by their code. */
function isOfBody(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('FST_ERR_CTP_')
}

function notFoundOf(request: FastifyRequest): Refusal {
  return refusalOfTarget(urlOf(request)) ?? { code: 'not_found', message: 'There is no such path.' }
}

function answer(
  refusal: Refusal,
  request: FastifyRequest,
  reply: FastifyReply,
  told: readonly RefusalListener[],
): FastifyReply {
  const status = statusOf(refusal)
  tell(refusal.code, told)
  requestIdOf(request, reply)
  logRefusal(refusal, status, request)
  const path = pathOf(urlOf(request))
  const { native, format: own } = request.routeOptions?.config ?? {}
  // One form for all providers' own APIs, whichever they are.
  const format = native !== undefined ? 'openai' : (own ?? formatOfPath(path, request.headers))
  // An attempt that ended in an error may have cost something all the same; whoever settled it has said so already.
  const headers = reply.hasHeader('x-bursar-cost-usd') ? {} : { 'x-bursar-cost-usd': '0.00' }
  // Fastify would close a connection whose body it has left unread, and Node.js one whose client wants it closed; most clients send theirs to its
  // end before they read why. So what still comes is taken in and forgotten, for as long as a request may take.
  if (refusal.code === 'request_too_large') reply.header('connection', 'keep-alive')
  return reply
    .code(status)
    .headers({ ...errorHeaders(refusal), ...headers })
    .send(errorBody(refusal, format))
}

/** The one log line of a request that was turned away. One that was let through has a line of its own, which says how it ended. */
function logRefusal({ code, details }: Refusal, status: number, request: FastifyRequest): void {
  // Also called for the admin API and for paths that do not exist, where nobody has put any of this on the request.
  const { principal, facts, admitted } = request as Partial<FastifyRequest>
  if (admitted != null) {
    request.log.debug({ code, status }, 'answered with an error')
    return
  }
  const line = {
    decision: 'refused',
    code,
    status,
    ...principal?.ids,
    limitId: limitIdOf(details),
    model: facts?.requestedModel ?? null,
    endpoint: request.routeOptions?.config?.endpoint ?? null,
    traceId: traceIdOf(request.headers),
  }
  request.log.info(line, 'request refused')
}

function limitIdOf(details: unknown): unknown {
  return typeof details === 'object' && details !== null && 'limit_id' in details ? details.limit_id : null
}

/** Auth has given the request its id, unless the error came before it. */
function requestIdOf(request: FastifyRequest, reply: FastifyReply): string {
  const known = reply.getHeader('x-bursar-request-id')
  if (typeof known === 'string') return known
  const id = request.bursarId || (isId(request.id) ? request.id : newId())
  reply.header('x-bursar-request-id', id)
  return id
}

function urlOf(request: FastifyRequest): string {
  return request.raw.url ?? '/'
}
