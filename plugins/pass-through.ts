/**
 * Pass-through: a provider's own API under its name, `/{provider}/*`.
 *
 * Paths that name a model are routes of their own here, governed and metered like the rest, and sent on under a path that we write. Every
 * other path is for keys with `passthrough`; it counts as a request, and its bodies go by as streams.
 *
 * Hooks, of the unmetered routes alone: onRequest, which refuses before anything is read; preValidation.
 * Leaves behind: `request.facts` and `request.route` of an unmetered call.
 */
import { PassThrough } from 'node:stream'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { NATIVE_ROUTES } from '../src/admission/endpoints.ts'
import { refusalOfNativeTarget } from '../src/admission/native-path.ts'
import { firstPartOf, pathOf, queryOf } from '../src/admission/target.ts'
import { unmeteredFacts } from '../src/admission/unmetered.ts'
import { routeUnmetered } from '../src/providers/routing.ts'
import { nativeFormat, nativeTarget } from '../src/providers/targets.ts'
import type { Provider } from '../src/store/entities.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route stands under a provider's name; `classic` where the path carries one of Azure's deployments. */
    native?: 'plain' | 'classic'
  }
}

/** Makes paths that begin with a provider's name a matter of their own: every other path stays unknown to strangers. */
const CONSTRAINT = { underProvider: 'yes' }

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const passThrough: FastifyPluginAsync = async function passThrough(fastify) {
  const { store, clock, resting } = fastify.governance

  fastify.addConstraintStrategy({
    name: 'underProvider',
    storage: () => {
      const handlers = new Map<unknown, never>()
      return {
        get: (value) => handlers.get(value) ?? null,
        set: (value, handler) => void handlers.set(value, handler as never),
      }
    },
    deriveConstraint: ({ url = '' }) => (store.providerByName(firstPartOf(url)) === null ? 'no' : 'yes'),
  })

  for (const { path, classic, ...config } of NATIVE_ROUTES) {
    const native = classic === true ? 'classic' : 'plain'
    fastify.post(`/:at${path}`, { config: { ...config, native }, constraints: CONSTRAINT }, (request, reply) =>
      fastify.forward(request, reply),
    )
  }

  fastify.register(async function unmetered(scope) {
    // Files of any size and type, as they come.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

    scope.addHook('onRequest', (request, _reply, done) => {
      const provider = providerOf(request)
      const { principal, method, raw } = request
      if (principal === null) throw new AdmissionOutOfOrder('pass-through')
      const url = raw.url ?? ''
      const path = below(url)
      const refusal = refusalOfNativeTarget(method, path, queryOf(url), nativeTarget(provider, path, '').path)
      if (refusal !== null) throw new GatewayError(refusal)
      const routed = routeUnmetered(principal, provider, { random: Math.random, resting, now: clock.now() })
      if (!routed.ok) throw new GatewayError(routed.refusal)
      request.route = routed.value
      done()
    })

    scope.addHook('preValidation', (request, _reply, done) => {
      const { raw, headers, method } = request
      const url = raw.url ?? ''
      const path = below(url)
      const facts = unmeteredFacts({
        method,
        path,
        query: queryOf(url),
        headers,
        format: nativeFormat(providerOf(request).kind, path),
        body: request.body === raw ? piped(request) : null,
      })
      if (!facts.ok) throw new GatewayError(facts.refusal)
      request.facts = facts.value
      request.readAt = clock.elapsed()
      done()
    })

    scope.route({
      method: METHODS,
      url: '/:at/*',
      config: { endpoint: 'passthrough', format: 'openai', native: 'plain' },
      constraints: CONSTRAINT,
      handler: (request, reply) => fastify.forward(request, reply),
    })
  })

  function providerOf(request: FastifyRequest): Provider {
    const provider = store.providerByName(firstPartOf(request.raw.url ?? ''))
    // The constraint has found it a moment ago.
    if (provider === null) throw new GatewayError({ code: 'not_found', message: 'There is no such path.' })
    return provider
  }
}

export default passThrough

/** What follows the provider's name. */
function below(url: string): string {
  return pathOf(url).slice(1 + firstPartOf(url).length)
}

/** The body as a stream that can be destroyed without its connection, on which the answer must still go out. */
function piped({ raw }: FastifyRequest): PassThrough {
  const body = raw.pipe(new PassThrough())
  raw.once('error', (error) => body.destroy(error))
  // Whatever a provider that has answered early leaves unread is let run off.
  return body.once('close', () => raw.resume()).on('error', () => {})
}
