/**
 * `/metrics` for Prometheus, beside the admin API. With a management key that may see everything, unless BURSAR_METRICS_OPEN says otherwise.
 */
import type { FastifyPluginAsync } from 'fastify'
import authentication from './authentication.ts'
import type { AdminApiOptions } from './options.ts'

/** Asked every few seconds. */
const OPTIONS = { logLevel: 'warn', schema: { hide: true } } as const

const metrics: FastifyPluginAsync<AdminApiOptions> = async function metrics(fastify, options) {
  if (!options.metricsOpen) fastify.register(authentication, options)
  fastify.get('/metrics', OPTIONS, async (_request, reply) => {
    reply.type(options.metrics.contentType).header('cache-control', 'no-store')
    return await options.metrics.text()
  })
}

export default metrics
