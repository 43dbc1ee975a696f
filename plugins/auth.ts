/**
 * Auth: who is asking. First hook of the flow, so a stranger costs no parsing of a body.
 *
 * Hook: onRequest.
 * Leaves behind: `request.bursarId` and the header `x-bursar-request-id`; `request.principal`.
 */
import fp from 'fastify-plugin'
import type { ApiFormat, Endpoint } from '../src/admission/request-facts.ts'
import { refusalOfTarget } from '../src/admission/target.ts'
import { AddressReader, compileCidrs } from '../src/auth/address.ts'
import { authenticate } from '../src/auth/authenticate.ts'
import { readCredential } from '../src/auth/credential.ts'
import { FailedAttempts } from '../src/auth/failed-attempts.ts'
import { PresentedKeys } from '../src/auth/presented-keys.ts'
import type { Principal } from '../src/auth/principal.ts'
import { isId, newId } from '../src/units/id.ts'
import { GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The request's id (UUIDv7) in headers, logs and events; empty before auth. */
    bursarId: string
    /** Who is charged; null before auth and on paths that do not exist. */
    principal: Principal | null
  }
  interface FastifyContextConfig {
    /** The API whose shapes the route's callers speak; absent = told by the path. */
    format?: ApiFormat
    /** The route family; null or absent where nothing is governed, such as lists of models. */
    endpoint?: Endpoint | null
  }
}

export interface AuthOptions {
  /** CIDR list: whose `X-Forwarded-For` counts. Absent = nobody's. */
  trustedProxies?: readonly string[]
}

export default fp<AuthOptions>(
  async function auth(fastify, { trustedProxies = [] }) {
    const { store, addresses, clock, settings } = fastify.governance
    const parts = { store, addresses, requireKey: settings.requireKey }
    const trusted = compileCidrs(trustedProxies, (entry) => {
      throw new TypeError(`trusted proxy "${entry}" is neither an address nor a CIDR range`)
    })
    const failures = new FailedAttempts()
    const presented = new PresentedKeys()
    const reader = new AddressReader(trustedProxies.length > 0 ? trusted : null)

    fastify.decorateRequest('bursarId', '')
    fastify.decorateRequest('principal', null)

    fastify.addHook('onRequest', (request, reply, done) => {
      // A server that makes such ids itself has them in its log lines already: one id, not two.
      request.bursarId = isId(request.id) ? request.id : newId()
      reply.header('x-bursar-request-id', request.bursarId)
      const refusal = refusalOfTarget(request.raw.url ?? '/')
      if (refusal !== null) throw new GatewayError(refusal)
      if (request.is404) return done()

      const { headers, socket } = request
      const client = reader.read(socket.remoteAddress, headers['x-forwarded-for']?.toString())
      const hashOf = (key: string) => presented.hashOf(key, socket)
      const result = authenticate(readCredential(headers), client, parts, clock.now(), hashOf)
      if (!result.ok) {
        const waitMs = result.refusal.code === 'key_unknown' ? failures.delayAfter(client?.key ?? '', clock.now()) : 0
        if (waitMs === 0) throw new GatewayError(result.refusal)
        // Who guesses keys waits for each answer; a good key from the same address does not.
        setTimeout(() => done(new GatewayError(result.refusal)), waitMs).unref()
        return
      }
      request.principal = result.value
      done()
    })
  },
  { name: 'auth', fastify: '5.x', dependencies: ['governance'], decorators: { fastify: ['governance'] } },
)
