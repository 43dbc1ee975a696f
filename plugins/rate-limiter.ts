/**
 * Rate limiter: the gate for requests, tokens and concurrency. Admission holds on the union of all gates in one step; without this
 * plugin these metrics are counted, not enforced.
 */
import fp from 'fastify-plugin'
import { RATE_LIMITER } from '../src/admission/gate.ts'

export default fp(
  async function rateLimiter(fastify) {
    fastify.governance.admission.enforce(RATE_LIMITER)
  },
  { name: 'rate-limiter', fastify: '5.x', dependencies: ['governance'], decorators: { fastify: ['governance'] } },
)
