/**
 * Metrics: counts what the flow does, for `/metrics` on the admin port. After usage-tracker, whose events it listens to.
 *
 * Hook: onError, through which every refusal passes.
 */
import fp from 'fastify-plugin'
import { refusalOfError } from '../src/admission/error-refusal.ts'
import type { Metrics } from '../src/metrics/metrics.ts'
import { GatewayError } from './errors.ts'

export interface MetricsOptions {
  /** Asked for its text by whoever serves `/metrics`. */
  readonly metrics: Metrics
}

export default fp<MetricsOptions>(
  async function metrics(fastify, { metrics: counted }) {
    fastify.usageTracker.onEvent((event, { estimate }, { overheadMs }) =>
      counted.attemptEnded(event, {
        overheadMs,
        expected: { inputTokens: estimate.inputTokens, costNanoUsd: estimate.costNanoUsd },
      }),
    )

    fastify.addHook('onError', (_request, _reply, error, done) => {
      counted.refused(error instanceof GatewayError ? error.refusal.code : refusalOfError(error, '').code)
      done()
    })
  },
  { name: 'metrics', fastify: '5.x', dependencies: ['usage-tracker'], decorators: { fastify: ['usageTracker'] } },
)
