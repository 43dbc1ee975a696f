/**
 * Gate: a plugin's declaration of the metrics it enforces and of how its refusal reads.
 *
 * Gates declare, admission holds: the union of all gates' meters is checked in one step, and no gate knows another. A metric without a
 * gate is counted, not enforced, so that a platform team can leave a plugin out.
 */
import type { Shortfall } from '../ledger/hold.ts'
import type { ErrorCode } from '../schemas/errors.ts'
import { METRICS, type Metric } from '../store/entities.ts'
import { formatUsd } from '../units/money.ts'

export interface Gate {
  readonly name: string
  readonly metrics: readonly Metric[]
  /** What a refusal of this gate is called; its HTTP status is the code's. */
  readonly code: ErrorCode & ('rate_limited' | 'budget_exceeded')
  /** What is full, in words: the subject of the refusal's message. */
  readonly noun: (metric: Metric) => string
}

export const RATE_LIMITER: Gate = {
  name: 'rate-limiter',
  metrics: ['requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency'],
  code: 'rate_limited',
  noun: (metric) => `${metric.replace('_', ' ')} limit`,
}

export const BUDGET_RESOLVER: Gate = {
  name: 'budget-resolver',
  metrics: ['cost'],
  code: 'budget_exceeded',
  noun: () => 'budget',
}

/** An amount of a metric as JSON carries it: dollars as a decimal string, counts as integers. */
export function presentAmount(metric: Metric, amount: bigint): string | number {
  return metric === 'cost' ? formatUsd(amount) : Number(amount)
}

export function metricOf(shortfall: Shortfall): Metric {
  return METRICS[shortfall.metric] as Metric
}
