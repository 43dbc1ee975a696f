/**
 * Metrics: counts what the flow does, for `/metrics` on the admin port. After error-handler and usage-tracker, whose refusals and events it
 * listens to.
 *
 * Hooks: none.
 */
import fp from 'fastify-plugin'
import type { Metrics } from '../src/metrics/metrics.ts'

export interface MetricsOptions {
  /** Asked for its text by whoever serves `/metrics`. */
  readonly metrics: Metrics
}

export default fp<MetricsOptions>(
  async function metrics(fastify, { metrics: counted }) {
    fastify.usageTracker.onEvent((event, { estimate }, { overheadMs, ending }) =>
      counted.attemptEnded(event, {
        overheadMs,
        ending,
        expected: { inputTokens: estimate.inputTokens, costNanoUsd: estimate.costNanoUsd },
      }),
    )

    fastify.onRefused((code) => counted.refused(code))
  },
  {
    name: 'metrics',
    fastify: '5.x',
    dependencies: ['error-handler', 'usage-tracker'],
    decorators: { fastify: ['onRefused', 'usageTracker'] },
  },
)
