/**
 * Drain: while the process stops, refuses new work and tells keep-alive clients to leave, so that closing does not wait for them.
 *
 * Hook: onRequest, after auth, so that a stranger learns nothing more than before. Requests in flight are not touched.
 */
import fp from 'fastify-plugin'
import { GatewayError } from './errors.ts'
import type { HealthState } from './health.ts'

export interface DrainOptions {
  readonly state: HealthState
}

/** Long enough for another process to have taken over the port. */
const RETRY_AFTER_S = 5

export default fp<DrainOptions>(
  async function drain(fastify, { state }) {
    fastify.addHook('onRequest', (_request, reply, done) => {
      if (state.phase !== 'draining') return done()
      reply.header('connection', 'close')
      const message = 'This gateway is stopping. Try again shortly.'
      throw new GatewayError({ code: 'overloaded', message, retryAfterS: RETRY_AFTER_S })
    })
  },
  { name: 'drain', fastify: '5.x', dependencies: ['auth'] },
)
