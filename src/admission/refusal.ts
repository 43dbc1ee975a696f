/**
 * Refusal by a limit: which one, how much, when it resets, and what would pass (promise 4).
 */
import type { Shortfall } from '../ledger/hold.ts'
import { formatTime } from '../units/time.ts'
import type { Admission, AdmissionRequest, Proposal } from './admission.ts'
import type { Refusal } from './decision.ts'
import { metricOf, presentAmount } from './gate.ts'
import { nameOfScope, presentLimit, resetsAt } from './presentation.ts'
import type { RequestFacts } from './request-facts.ts'
import { hasRoom, IN_FLIGHT_MS, isUnreachable, msUntilAllFit, retryAfterS } from './shortfall.ts'

type Shortfalls = readonly [Shortfall, ...Shortfall[]]

/** Shortfalls come in the chain's order. One that can never pass wins over those that will. */
export function refusalOf(
  admission: Admission,
  request: AdmissionRequest,
  proposal: Proposal,
  shortfalls: Shortfalls,
  now: number,
): Refusal {
  const unreachable = shortfalls.find(isUnreachable)
  const named = unreachable ?? shortfalls[0]
  const others = shortfalls.filter((shortfall) => shortfall !== named)
  const gate = admission.gateOf(metricOf(named))
  const code = unreachable === undefined ? (gate?.code ?? 'rate_limited') : 'limit_unreachable'
  const remedy = remedyOf(admission, request.facts, proposal, shortfalls, now)
  const waitMs = msUntilAllFit(shortfalls, now)
  const present = (shortfall: Shortfall) => {
    const own = shortfall.limit.scope.kind !== 'global'
    return {
      ...presentLimit(shortfall.limit, shortfall.reading, request.principal),
      requested: own ? presentAmount(metricOf(shortfall), shortfall.requested) : null,
    }
  }
  return {
    code,
    message: messageOf(admission, request, named, unreachable !== undefined, remedy.ceiling !== null),
    status: metricOf(named) === 'cost' ? 402 : 429,
    details: { ...present(named), remedy: remedy.text, also_exceeded: others.map(present) },
    ...(waitMs === null ? {} : { retryAfterS: retryAfterS(waitMs) }),
  }
}

function messageOf(
  admission: Admission,
  request: AdmissionRequest,
  shortfall: Shortfall,
  unreachable: boolean,
  shorterWouldPass: boolean,
): string {
  const { limit, reading, requested } = shortfall
  const metric = metricOf(shortfall)
  const noun = admission.gateOf(metric)?.noun(metric) ?? `${metric} limit`
  const name = nameOfScope(limit, request.principal)
  const whose =
    limit.scope.kind === 'global'
      ? `global ${noun}`
      : `${noun} of ${limit.scope.kind.replace('_', ' ')} "${name ?? limit.scope.id}"`
  const show = (amount: bigint) => (metric === 'cost' ? `$${presentAmount(metric, amount)}` : `${amount}`)
  if (unreachable) {
    const assumed = request.facts.outputCeiling === null && shorterWouldPass
    const because = assumed ? ' because no output ceiling was named and a long answer is assumed' : ''
    const size =
      limit.scope.kind === 'global'
        ? ''
        : ` This request may use up to ${show(requested)}; the whole limit is ${show(reading.max)}.`
    return `This request is larger than the whole ${whose}${because}.${size}`
  }
  if (limit.scope.kind === 'global') return `The ${whose} is used up for now.`
  const until = resetsAt(limit, reading)
  const resets = until === null ? '' : ` It resets at ${until}.`
  const held = reading.held > 0n ? ` and ${show(reading.held)} held by requests in flight` : ''
  return `The ${whose} has no room: ${show(reading.posted)} used${held} of ${show(reading.max)}, and this request may use up to ${show(requested)}.${resets}`
}

/** The names under which each API takes an output ceiling. */
function ceilingField(facts: RequestFacts): string {
  if (facts.format === 'google') return 'generationConfig.maxOutputTokens'
  return facts.endpoint === 'responses' ? 'max_output_tokens' : 'max_tokens'
}

interface Remedy {
  readonly text: string
  /** The output ceiling it names, null for none. */
  readonly ceiling: number | null
}

/**
 * What would pass: a shorter answer at once, else the same request later, else a shorter answer later. The sizes of global limits are
 * nobody's business but admins', so a ceiling that would tell them is not put in figures.
 */
function remedyOf(
  admission: Admission,
  facts: RequestFacts,
  proposal: Proposal,
  shortfalls: Shortfalls,
  now: number,
): Remedy {
  const ways: string[] = []
  const told = shortfalls.every(({ limit }) => limit.scope.kind !== 'global')
  const verb = facts.outputCeiling === null ? 'set' : 'lower'
  const field = ceilingField(facts)
  const shorten = (ceiling: number) => (told ? `${verb} ${field} to ${ceiling}` : `ask for a smaller ${field}`)
  const asking = (outputCeiling: number) => {
    const { amounts } = admission.propositionOf({ ...facts, outputCeiling }, proposal.candidate, proposal.chain)
    return shortfalls.map((shortfall) => ({ ...shortfall, requested: amounts[shortfall.metric] as bigint }))
  }
  const largest = (fits: (asked: Shortfall) => boolean) =>
    facts.producesOutput && facts.flatOutputTokens === undefined
      ? largestCeiling(proposal, facts.choices, (ceiling) => asking(ceiling).every(fits))
      : null

  let ceiling = largest(({ reading, requested }) => hasRoom(reading, requested))
  if (ceiling !== null) ways.push(shorten(ceiling))
  const waitMs = msUntilAllFit(shortfalls, now)
  if (waitMs !== null) ways.push(waiting(waitMs, now))
  if (ways.length === 0) {
    ceiling = largest(({ reading, requested }) => requested <= reading.max)
    const laterMs = ceiling === null ? null : msUntilAllFit(asking(ceiling).filter(isInTheWay), now)
    if (ceiling !== null && laterMs !== null) ways.push(`${shorten(ceiling)} and ${waiting(laterMs, now)}`)
    else ways.push('ask an admin to raise the limit')
  }
  return { text: ways.join(', or '), ceiling }
}

function isInTheWay({ reading, requested }: Shortfall): boolean {
  return !hasRoom(reading, requested)
}

function waiting(ms: number, now: number): string {
  return ms === IN_FLIGHT_MS ? 'retry when requests in flight have ended' : `wait until ${formatTime(now + ms)}`
}

/**
 * The largest output ceiling below the one held for with which everything fits; null where none does. Found by halving, since a price's
 * bound is not a straight line.
 */
function largestCeiling({ estimate }: Proposal, choices: number, fits: (ceiling: number) => boolean): number | null {
  if (!fits(1)) return null
  let low = 1
  let high = Math.max(1, Math.ceil(estimate.outputTokens / Math.max(1, choices)))
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle - 1
  }
  return low
}
