/**
 * Health: whether the process is up (`/livez`) and whether it should be sent traffic (`/readyz`). Not wrapped: routes and nothing else.
 *
 * A gateway whose database is away goes on serving from memory and journal, so it stays ready and says what is degraded.
 */
import type { FastifyPluginAsync } from 'fastify'

/** What the process is doing, as its composition knows it. Read at each request. */
export interface HealthState {
  readonly phase: 'starting' | 'ready' | 'draining'
  /** What does not work although requests are served, in words; empty when all is well. */
  readonly reasons: readonly string[]
}

export interface HealthOptions {
  state: HealthState
}

/** Load balancers ask with HEAD, too, and often enough to fill a log. */
const OPTIONS = { logLevel: 'warn', exposeHeadRoute: true } as const

const health: FastifyPluginAsync<HealthOptions> = async function health(fastify, { state }) {
  fastify.get('/livez', OPTIONS, async () => ({ status: 'ok' }))

  fastify.get('/readyz', OPTIONS, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    if (state.phase !== 'ready') return reply.code(503).send({ status: state.phase })
    return state.reasons.length === 0 ? { status: 'ok' } : { status: 'degraded', reasons: state.reasons }
  })
}

export default health
