/**
 * The headers by which clients see their limits (CONTRACT section 3.3): of each kind the tightest limit of the chain, that is the one
 * with the smallest remainder among the enforced ones that are the caller's own; ties go to the chain's order.
 */
import type { MeterReading } from '../ledger/reading.ts'
import { type Limit, METRICS, type Metric } from '../store/entities.ts'
import { formatResetDuration } from '../units/duration.ts'
import { formatUsd } from '../units/money.ts'
import type { Chain } from './chain.ts'
import { resetsAt } from './presentation.ts'

type Tightest = { readonly limit: Limit; readonly reading: MeterReading }

/** Header names and values, for `now` (ms). */
export function limitHeaders(
  chain: Chain,
  read: (limitId: string, now: number) => MeterReading | null,
  now: number,
): Record<string, string> {
  const headers: Record<string, string> = {}
  const budget = tightest('cost')
  if (budget !== null) {
    headers['x-bursar-budget-remaining-usd'] = formatUsd(budget.reading.remaining)
    const until = resetsAt(budget.limit, budget.reading)
    if (until !== null) headers['x-bursar-budget-resets-at'] = until
  }
  for (const metric of ['requests', 'tokens'] as const) {
    const rate = tightest(metric)
    if (rate === null) continue
    headers[`x-ratelimit-limit-${metric}`] = rate.reading.max.toString()
    headers[`x-ratelimit-remaining-${metric}`] = rate.reading.remaining.toString()
    if (Number.isFinite(rate.reading.windowEnd)) {
      headers[`x-ratelimit-reset-${metric}`] = formatResetDuration(rate.reading.windowEnd - now)
    }
  }
  return headers

  function tightest(metric: Metric): Tightest | null {
    const index = METRICS.indexOf(metric)
    let found: Tightest | null = null
    for (const candidate of chain.limits) {
      if (candidate.metric !== index || !candidate.enforced || candidate.limit.scope.kind === 'global') continue
      const reading = read(candidate.limit.id, now)
      if (reading !== null && (found === null || reading.remaining < found.reading.remaining)) {
        found = { limit: candidate.limit, reading }
      }
    }
    return found
  }
}
