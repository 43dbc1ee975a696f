/**
 * The headers by which clients see their limits (CONTRACT section 3.3): of each kind the tightest limit of the chain, that is the one
 * with the smallest remainder among the enforced ones that are the caller's own; ties go to the chain's order.
 */
import type { LimitMeters, Tightest } from '../ledger/limit-meters.ts'
import type { Limit, Metric } from '../store/entities.ts'
import { formatResetDuration } from '../units/duration.ts'
import { formatUsd } from '../units/money.ts'
import type { Chain } from './chain.ts'
import { resetsAt } from './presentation.ts'

type Shown = Extract<Metric, 'cost' | 'requests' | 'tokens'>
const SHOWN: readonly Shown[] = ['cost', 'requests', 'tokens']

interface ShownLimits {
  /** By metric, in the order of `SHOWN`. */
  readonly limits: readonly (readonly Limit[])[]
  readonly ids: readonly (readonly string[])[]
}

const shownByChain = new WeakMap<Chain, ShownLimits>()

/** The limits that a chain's headers may be about: a chain is made when the store changes, not for every request. */
function shownOf(chain: Chain): ShownLimits {
  let shown = shownByChain.get(chain)
  if (shown === undefined) {
    const own = chain.limits.filter(({ limit, enforced }) => enforced && limit.scope.kind !== 'global')
    const limits = SHOWN.map((metric) => own.map(({ limit }) => limit).filter((limit) => limit.metric === metric))
    shown = { limits, ids: limits.map((ofMetric) => ofMetric.map(({ id }) => id)) }
    shownByChain.set(chain, shown)
  }
  return shown
}

/** Adds header names and values, for `now` (ms), to `headers`. */
export function limitHeaders(
  chain: Chain,
  ledger: Pick<LimitMeters, 'tightest'>,
  now: number,
  headers: Record<string, string> = {},
): Record<string, string> {
  const { limits, ids } = shownOf(chain)
  const [budget, requests, tokens] = ledger.tightest(ids, now)
  if (budget != null) {
    headers['x-bursar-budget-remaining-usd'] = formatUsd(budget.remaining)
    const until = resetsAt(limits[0]?.[budget.index] as Limit, budget)
    if (until !== null) headers['x-bursar-budget-resets-at'] = until
  }
  if (requests != null) addRate(headers, REQUESTS, requests, now)
  if (tokens != null) addRate(headers, TOKENS, tokens, now)
  return headers
}

/** Names that are put together for each request would have to be looked up each time. */
const namesOf = (metric: Shown) => ({
  limit: `x-ratelimit-limit-${metric}`,
  remaining: `x-ratelimit-remaining-${metric}`,
  reset: `x-ratelimit-reset-${metric}`,
})
const [REQUESTS, TOKENS] = [namesOf('requests'), namesOf('tokens')]

function addRate(
  headers: Record<string, string>,
  names: ReturnType<typeof namesOf>,
  { max, remaining, windowEnd }: Tightest,
  now: number,
): void {
  headers[names.limit] = max.toString()
  headers[names.remaining] = remaining.toString()
  if (Number.isFinite(windowEnd)) headers[names.reset] = formatResetDuration(windowEnd - now)
}
