/**
 * Request facts: what is asked, read once from path, headers and body, and who may serve it. After auth, before the gates.
 *
 * Hooks: onRequest (encodings that would hide the body), a content-type parser that keeps the bytes as they came, and preValidation,
 * which comes directly behind it.
 * Leaves behind: `request.facts`; `request.route`, the candidates that the key may use; `request.readAt`. A dry run that can get no further is answered here.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Refusal } from '../src/admission/decision.ts'
import { explainRefusal } from '../src/admission/explanation.ts'
import { type RequestSource, readDryRun, readFacts } from '../src/admission/read-facts.ts'
import type { RequestFacts } from '../src/admission/request-facts.ts'
import { firstPartOf, pathModelOf, queryOf } from '../src/admission/target.ts'
import type { Route } from '../src/providers/candidate.ts'
import { route } from '../src/providers/routing.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What is asked; null before the body was read and on routes that are not governed. */
    facts: RequestFacts | null
    /** Where the request may go, first choice first; null like `facts`. */
    route: Route | null
    /** Monotonic ms at which the request had been received whole; 0 before. */
    readAt: number
  }
}

export interface RequestFactsOptions {
  /** Draws providers and their keys by weight; from 0 to 1, 1 excluded. */
  random?: () => number
}

export default fp<RequestFactsOptions>(
  async function requestFacts(fastify, { random = Math.random }) {
    const { store, prices, resting, clock, settings } = fastify.governance
    const { aliases } = settings

    fastify.decorateRequest('facts', null)
    fastify.decorateRequest('route', null)
    fastify.decorateRequest('readAt', 0)

    // Fastify's own parsers would hand over an object, which cannot be sent on byte for byte.
    fastify.removeContentTypeParser(['application/json', 'text/plain'])
    const bodyLimit = settings.server.bodyLimitBytes
    fastify.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit }, (_request, body, done) =>
      done(null, typeof body !== 'string' && body.length < SMALL_BYTES ? Buffer.from(body) : body),
    )

    fastify.addHook('onRequest', (request, _reply, done) => {
      const encoding = request.headers['content-encoding']
      if (encoding === undefined || encoding === 'identity' || request.is404) return done()
      const message = 'This gateway takes bodies as they are, without content-encoding.'
      throw new GatewayError({ code: 'unsupported_media_type', message })
    })

    fastify.addHook('preValidation', (request, reply, done) => {
      const { format, endpoint } = request.routeOptions.config
      if (endpoint == null || endpoint === 'passthrough' || format === undefined) return done()
      request.readAt = clock.elapsed()
      const { principal, headers, params } = request
      if (principal === null) throw new AdmissionOutOfOrder('request-facts')

      const query = queryOf(request.raw.url ?? '')
      const pathModel = pathModelOf(format, params)
      const source = { format, endpoint, pathModel, query, headers, ...bodyOf(request), ...nativeOf(request) }
      const facts = readFacts(source)
      if (!facts.ok) return refuse(facts.refusal, request, reply)
      const routed = route(principal, facts.value, store, { aliases, random, prices, resting, now: clock.now() })
      if (!routed.ok) return refuse(routed.refusal, request, reply)
      request.facts = facts.value
      request.route = routed.value
      done()
    })
  },
  {
    name: 'request-facts',
    fastify: '5.x',
    dependencies: ['governance', 'auth', 'forms'],
    decorators: { fastify: ['governance'], request: ['bursarId', 'principal', 'form'] },
  },
)

/** Smaller bodies are copied: they would else keep what was read with them, 64 KB, as long as their requests last. */
const SMALL_BYTES = 4_096
const NO_BYTES = Buffer.alloc(0)

/** A request without a body has not been through a parser; one that another parser has taken is not what the route takes. */
function bodyOf({ body, form, routeOptions }: FastifyRequest): Pick<RequestSource, 'body' | 'received'> {
  if (form !== null) return { body: NO_BYTES, received: form }
  const takesForm = routeOptions.config.form === true
  if (!takesForm && Buffer.isBuffer(body)) return { body }
  if (!takesForm && (body === undefined || body === null)) return { body: NO_BYTES }
  const type = takesForm ? 'multipart/form-data' : 'application/json'
  throw new GatewayError({ code: 'unsupported_media_type', message: `This route takes a body of type ${type}.` })
}

/** Set where the request has come under a provider's name. */
function nativeOf({ routeOptions, raw }: FastifyRequest): Pick<RequestSource, 'native'> {
  const { native } = routeOptions.config
  return native === undefined ? {} : { native: { provider: firstPartOf(raw.url ?? ''), classic: native === 'classic' } }
}

/** A dry run answers with the reason; everything else is refused for it. */
function refuse(refusal: Refusal, request: FastifyRequest, reply: FastifyReply): void {
  const dryRun = readDryRun(request.headers)
  if (!dryRun.ok || !dryRun.value) throw new GatewayError(refusal)
  reply.send(explainRefusal(refusal))
}
