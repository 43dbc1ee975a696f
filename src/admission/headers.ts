/**
 * The headers by which clients see their limits (CONTRACT section 3.3): of each kind the tightest limit of the chain, that is the one
 * with the smallest remainder among the enforced ones that are the caller's own; ties go to the chain's order.
 */
import type { MeterReading, ReadMeters } from '../ledger/reading.ts'
import type { Limit, Metric } from '../store/entities.ts'
import { formatResetDuration } from '../units/duration.ts'
import { formatUsd } from '../units/money.ts'
import type { Chain } from './chain.ts'
import { resetsAt } from './presentation.ts'

const SHOWN: ReadonlySet<Metric> = new Set(['cost', 'requests', 'tokens'])

type Tightest = { readonly limit: Limit; readonly reading: MeterReading }

interface ShownLimits {
  readonly limits: readonly Limit[]
  readonly ids: readonly string[]
}

const shownByChain = new WeakMap<Chain, ShownLimits>()

/** The limits that a chain's headers may be about: a chain is made when the store changes, not for every request. */
function shownOf(chain: Chain): ShownLimits {
  let shown = shownByChain.get(chain)
  if (shown === undefined) {
    const limits = chain.limits
      .filter(({ limit, enforced }) => enforced && limit.scope.kind !== 'global' && SHOWN.has(limit.metric))
      .map(({ limit }) => limit)
    shown = { limits, ids: limits.map(({ id }) => id) }
    shownByChain.set(chain, shown)
  }
  return shown
}

/** Header names and values, for `now` (ms). */
export function limitHeaders(chain: Chain, readAll: ReadMeters, now: number): Record<string, string> {
  const headers: Record<string, string> = {}
  const { limits, ids } = shownOf(chain)
  if (limits.length === 0) return headers
  const readings = readAll(ids, now)
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
    let found: Tightest | null = null
    for (const [index, reading] of readings.entries()) {
      const limit = limits[index]
      if (limit?.metric !== metric || reading === null) continue
      if (found === null || reading.remaining < found.reading.remaining) found = { limit, reading }
    }
    return found
  }
}
