/**
 * Explanation: what would happen to a request, without forwarding or charging anything (CONTRACT section 6).
 */

import type { Shortfall } from '../ledger/hold.ts'
import type { ReadMeters } from '../ledger/reading.ts'
import type { Candidate } from '../providers/candidate.ts'
import { formatUsd } from '../units/money.ts'
import type { Admission, AdmissionRequest, Proposal } from './admission.ts'
import type { Refusal } from './decision.ts'
import { presentAmount } from './gate.ts'
import { type PresentedLimit, presentLimit } from './presentation.ts'
import { refusalOf } from './refusal.ts'
import { hasRoom } from './shortfall.ts'

export interface ExplainedLimit extends PresentedLimit {
  readonly requested: string | number | null
  readonly remaining: string | number | null
  readonly verdict: 'allow' | 'refuse' | 'would_refuse'
}

export interface Explanation {
  readonly verdict: 'allow' | 'refuse'
  readonly code: Refusal['code'] | null
  readonly message: string | null
  readonly provider: string | null
  readonly model: string | null
  /** The providers that would be tried, in order. */
  readonly attempts: readonly string[]
  readonly estimate: {
    readonly input_tokens: number
    readonly output_tokens: number
    readonly cost_usd: string
    readonly basis: string
  } | null
  readonly limits: readonly ExplainedLimit[]
  readonly details: unknown
}

/**
 * Explains the first candidate that would be admitted, else the first of all with its refusal.
 *
 * @param attemptsMax how many providers are tried at the very most
 */
export function explain(
  admission: Admission,
  request: AdmissionRequest,
  readAll: ReadMeters,
  now: number,
  attemptsMax: number,
): Explanation {
  const attempts = request.route.slice(0, attemptsMax).map(({ provider }) => provider.name)
  let first: Explanation | null = null
  for (const candidate of request.route) {
    const explanation = { ...explainCandidate(admission, request, candidate, readAll, now), attempts }
    if (explanation.verdict === 'allow') return explanation
    first ??= explanation
  }
  if (first === null) throw new Error('a route has at least one candidate')
  return first
}

/** The explanation of a request that is refused before any limit is asked. */
export function explainRefusal(refusal: Refusal): Explanation {
  const { code, message, details = null } = refusal
  return {
    verdict: 'refuse',
    code,
    message,
    provider: null,
    model: null,
    attempts: [],
    estimate: null,
    limits: [],
    details,
  }
}

function explainCandidate(
  admission: Admission,
  request: AdmissionRequest,
  candidate: Candidate,
  readAll: ReadMeters,
  now: number,
): Omit<Explanation, 'attempts'> {
  // Calls that name no model have an empty one.
  const at = { provider: candidate.provider.name, model: candidate.model || null }
  const proposed = admission.propose(request, candidate)
  if (!proposed.ok) return { ...explainRefusal(proposed.refusal), ...at }
  const { estimate } = proposed.value
  const { limits, shortfalls } = explainLimits(request, proposed.value, readAll, now)
  const [first, ...rest] = shortfalls
  const refusal = first === undefined ? null : refusalOf(admission, request, proposed.value, [first, ...rest], now)
  return {
    verdict: refusal === null ? 'allow' : 'refuse',
    code: refusal?.code ?? null,
    message: refusal?.message ?? null,
    ...at,
    estimate: {
      input_tokens: estimate.inputTokens,
      output_tokens: estimate.outputTokens,
      cost_usd: formatUsd(estimate.costNanoUsd),
      basis: estimate.basis,
    },
    limits,
    details: refusal?.details ?? null,
  }
}

function explainLimits(
  request: AdmissionRequest,
  { chain, amounts }: Proposal,
  readAll: ReadMeters,
  now: number,
): { limits: ExplainedLimit[]; shortfalls: Shortfall[] } {
  const limits: ExplainedLimit[] = []
  const shortfalls: Shortfall[] = []
  const readings = readAll(
    chain.limits.map(({ limit }) => limit.id),
    now,
  )
  for (const [index, { limit, metric, enforced }] of chain.limits.entries()) {
    const reading = readings[index]
    if (reading == null) continue
    const requested = amounts[metric] as bigint
    const fits = hasRoom(reading, requested)
    if (!fits && enforced) shortfalls.push({ limit, metric, requested, reading })
    const own = limit.scope.kind !== 'global'
    limits.push({
      ...presentLimit(limit, reading, request.principal),
      requested: own ? presentAmount(limit.metric, requested) : null,
      remaining: own ? presentAmount(limit.metric, reading.remaining) : null,
      verdict: fits ? 'allow' : enforced ? 'refuse' : 'would_refuse',
    })
  }
  return { limits, shortfalls }
}
