/**
 * Stored responses: what a provider keeps for a key is reached by that key alone; for everybody else it does not exist.
 *
 * Hooks: preValidation, behind request-facts, for requests that go on with something stored: they go where it lies.
 * Routes: `/v1/responses/{id}` and what is below it. Each counts as a request and is charged nothing.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Refusal } from '../src/admission/decision.ts'
import type { StoredReference } from '../src/admission/request-facts.ts'
import { pathOf, queryOf } from '../src/admission/target.ts'
import { unmeteredFacts } from '../src/admission/unmetered.ts'
import { lyingAt, routeStored } from '../src/providers/routing.ts'
import { ID, type StoredObject } from '../src/usage/stored-objects.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

export interface StoredResponsesOptions {
  /** Asks the books for the owner of what has this id; null for nobody. */
  find: (id: string) => Promise<StoredObject | null>
}

const AWAY: Refusal = {
  code: 'overloaded',
  message: 'The database that knows whose this is cannot be asked at the moment. Try again.',
  retryAfterS: 5,
}

export default fp<StoredResponsesOptions>(
  async function storedResponses(fastify, { find }) {
    const { store, stored, clock } = fastify.governance

    /** The object, if the caller's key has made it. The same words for what is another's and for what does not exist. */
    function owned(object: StoredObject | null, request: FastifyRequest, param?: string): StoredObject {
      if (object !== null && object.virtualKeyId === request.principal?.key?.id) return object
      const message = 'Nothing with this id was stored for this key.'
      throw new GatewayError({ code: 'not_found', message, ...(param === undefined ? {} : { param }) })
    }

    async function lookUp(id: string, request: FastifyRequest): Promise<StoredObject | null> {
      if (!ID.test(id)) return null
      const lately = stored.lately(id)
      if (lately !== null) return lately
      try {
        const found = await find(id)
        if (found !== null) stored.found(id, found)
        return found
      } catch (error) {
        request.log.warn({ err: error }, 'the owner of a stored object could not be looked up')
        throw new GatewayError(AWAY)
      }
    }

    /** Leaves the candidates that can see what the request goes on with. Throws where there is none. */
    async function follow(request: FastifyRequest, refersTo: readonly StoredReference[]): Promise<void> {
      for (const { param, id } of refersTo) {
        const found = await lookUp(id, request)
        // Only keys that may pass through can make a conversation, unseen; the first of them that uses it has it from then on.
        if (found === null && param === 'conversation' && request.principal?.key?.passthrough === true) continue
        const object = owned(found, request, param)
        const at = request.route === null ? null : lyingAt(request.route, object)
        if (at === null) {
          const message = 'What this request goes on with lies at another provider than the one of this model.'
          throw new GatewayError({ code: 'invalid_request', message, param })
        }
        request.route = at
      }
    }

    // Most requests go on with nothing, and need no promise to find that out.
    fastify.addHook('preValidation', (request, _reply, done) => {
      const refersTo = request.facts?.refersTo ?? []
      if (refersTo.length === 0) return done()
      follow(request, refersTo).then(() => done(), done)
    })

    const answer = (request: FastifyRequest, reply: FastifyReply) => fastify.forward(request, reply)
    const preValidation = async (request: FastifyRequest<{ Params: { id: string } }>): Promise<void> => {
      const { principal, headers, method, raw, params } = request
      if (principal === null) throw new AdmissionOutOfOrder('stored-responses')
      const routed = routeStored(principal, owned(await lookUp(params.id, request), request), store)
      if (!routed.ok) throw new GatewayError(routed.refusal)
      const url = raw.url ?? ''
      const path = pathOf(url).slice('/v1/responses'.length)
      const source = {
        method,
        path,
        below: 'responses',
        query: queryOf(url),
        headers,
        format: 'openai',
        body: null,
      } as const
      const facts = unmeteredFacts(source)
      if (!facts.ok) throw new GatewayError(facts.refusal)
      request.route = routed.value
      request.facts = facts.value
      request.readAt = clock.elapsed()
    }

    for (const [method, url] of [
      ['GET', '/v1/responses/:id(^[\\w-]{1,200}$)'],
      ['DELETE', '/v1/responses/:id(^[\\w-]{1,200}$)'],
      ['GET', '/v1/responses/:id(^[\\w-]{1,200}$)/input_items'],
      ['POST', '/v1/responses/:id(^[\\w-]{1,200}$)/cancel'],
    ] as const) {
      const config = { format: 'openai', endpoint: 'passthrough' } as const
      fastify.route<{ Params: { id: string } }>({ method, url, config, preValidation, handler: answer })
    }
  },
  {
    name: 'stored-responses',
    fastify: '5.x',
    dependencies: ['governance', 'request-facts', 'proxy'],
    decorators: { fastify: ['governance', 'forward'], request: ['principal', 'facts', 'route'] },
  },
)
