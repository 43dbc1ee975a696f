/**
 * Admission: decides whether a request may be forwarded, and to which candidate, by holding what it may use on every limit it meets.
 *
 * One synchronous step holds on the whole chain or on nothing (promise 3). A candidate that does not fit is passed over with its reason;
 * when an attempt fails before the client has seen a byte, its hold moves to the next candidate.
 */
import type { Principal } from '../auth/principal.ts'
import type { Amounts } from '../ledger/charges.ts'
import { type AttemptIdentity, type FactSink, FactSinkUnavailable } from '../ledger/facts.ts'
import { amountsOf, chargesOf, type Hold, type HoldOutcome, type HoldRequest } from '../ledger/hold.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Price } from '../pricing/price.ts'
import type { Candidate, Route } from '../providers/candidate.ts'
import type { Metric } from '../store/entities.ts'
import type { GovernanceStore } from '../store/governance-store.ts'
import { familyOf, type ModelFamilies } from '../store/selectors.ts'
import type { Clock } from '../units/clock.ts'
import { CandidateRefusals } from './candidate-refusals.ts'
import { type Chain, Chains } from './chain.ts'
import { accept, type Result, refuse } from './decision.ts'
import type { Estimate } from './estimate.ts'
import type { Gate } from './gate.ts'
import { identityOf } from './identity.ts'
import { isCountedExactly } from './precise-count.ts'
import { refusalOf } from './refusal.ts'
import type { RequestFacts } from './request-facts.ts'

/** What the engine is built from. */
export interface AdmissionParts {
  readonly ledger: Ledger
  readonly facts: FactSink
  readonly clock: Clock
  readonly estimator: {
    estimate(facts: RequestFacts, price: Price | null, family: string, countedExactly: boolean, model: string): Estimate
  }
  readonly families: ModelFamilies
  /** What a model without a price means under an enforced cost limit; a fallback price is the price book's business. */
  readonly refuseUnknownPrice: boolean
  /** How long an attempt may take at the very most, in ms: past it, its hold is a bug. */
  readonly holdMaxMs: number
}

export interface AdmissionRequest {
  readonly requestId: string
  readonly principal: Principal
  readonly facts: RequestFacts
  readonly route: Route
  readonly trace?: Trace
}

/** What logs and metrics say of a request besides; nothing is decided by it. */
export interface Trace {
  /** Monotonic ms at which the request had been received whole. */
  readonly readAt: number
  /** The W3C trace id it came with; null for none. */
  readonly traceId: string | null
}

/** An admitted attempt: forwarded to this candidate, with this hold. */
export interface Admitted {
  readonly request: AdmissionRequest
  readonly candidate: Candidate
  readonly chain: Chain
  readonly estimate: Estimate
  readonly identity: AttemptIdentity
  readonly hold: Hold
  /**
   * Moves on to the next candidate that fits, ending this attempt with what it used. Null when none is left, and nothing has changed;
   * refused when the next hold could not be written down: then this attempt has ended and nothing is held any more.
   */
  next(actual: Amounts): Result<Admitted> | null
}

/** A candidate seen through its chain: what holding it would ask for. */
export interface Proposal {
  readonly candidate: Candidate
  readonly chain: Chain
  readonly estimate: Estimate
  readonly amounts: Amounts
}

const OVERLOADED = refuse('overloaded', 'The journal takes no new work at the moment. Try again.', { retryAfterS: 5 })

export class Admission {
  readonly chains: Chains
  readonly #parts: AdmissionParts
  readonly #gates = new Map<Metric, Gate>()
  readonly #enforced = new Set<Metric>()
  readonly #untaken = new Map<Hold, Admitted>()
  #store: GovernanceStore | null = null

  constructor(parts: AdmissionParts) {
    this.#parts = parts
    this.chains = new Chains(parts.ledger, parts.families, this.#enforced)
  }

  /** Names the store, which is built after the chains that follow its limits. */
  serve(store: GovernanceStore): void {
    this.#store = store
  }

  /** Registers a gate. Gates are registered before the first request. */
  enforce(gate: Gate): void {
    for (const metric of gate.metrics) {
      this.#gates.set(metric, gate)
      this.#enforced.add(metric)
    }
  }

  gateOf(metric: Metric): Gate | null {
    return this.#gates.get(metric) ?? null
  }

  /** Holds for the first candidate that fits. Refuses with the first candidate's reason when none does; then nothing is held. */
  admit(request: AdmissionRequest): Result<Admitted> {
    if (!this.#parts.facts.accepting) return OVERLOADED
    const now = this.#parts.clock.now()
    const refusals = new CandidateRefusals()
    for (const [index, candidate] of request.route.entries()) {
      if (refusals.include(candidate)) continue
      const attempt = this.#attempt(request, candidate, (wanted) => this.#parts.ledger.hold(wanted, now), 1, now)
      if (attempt.ok) return this.#write(request, index, attempt.value, 1, now)
      refusals.add(candidate, attempt.refusal)
    }
    return { ok: false, refusal: refusals.summary() }
  }

  /** What a hold was admitted for that nobody has taken over yet; null for any other. */
  untaken(hold: Hold): Admitted | null {
    return this.#untaken.get(hold) ?? null
  }

  /** Somebody else answers for a hold from now on. */
  taken(hold: Hold): void {
    this.#untaken.delete(hold)
  }

  /** What holding `candidate` would ask for, or why it may not be asked. Changes nothing. */
  propose(request: AdmissionRequest, candidate: Candidate): Result<Proposal> {
    const { facts, principal } = request
    const chain = this.chains.of(this.#storeInUse(), principal, candidate.provider.name, candidate.model)
    const unreadable = chain.invalid[0]
    if (unreadable !== undefined) {
      const message = `Limit ${unreadable.id} cannot be read (${unreadable.invalid ?? 'not tracked'}); its traffic is refused until it is mended.`
      return refuse('limit_invalid', message, { details: { limit_id: unreadable.id } })
    }
    const unpriced = candidate.price === null ? candidate.model : candidate.unpricedTool
    if (unpriced !== undefined && this.#parts.refuseUnknownPrice && hasEnforcedBudget(chain)) {
      const message = `The price of ${candidate.provider.name}/${unpriced} is not known, and a cost limit applies to this request.`
      return refuse('model_price_unknown', message, { param: unpriced === candidate.model ? 'model' : 'tools' })
    }
    return accept(this.propositionOf(facts, candidate, chain))
  }

  /** The amounts of a request at a candidate; also with an output ceiling other than the one asked, to find one that would pass. */
  propositionOf(facts: RequestFacts, candidate: Candidate, chain: Chain): Proposal {
    const family = familyOf(this.#parts.families, candidate.model) ?? ''
    const { price, model } = candidate
    const estimate = this.#parts.estimator.estimate(facts, price, family, isCountedExactly(candidate), model)
    const input = BigInt(estimate.inputTokens)
    const output = BigInt(estimate.outputTokens)
    const amounts = amountsOf({
      requests: 1n,
      tokens: input + output,
      input_tokens: input,
      output_tokens: output,
      concurrency: 1n,
      cost: estimate.costNanoUsd,
    })
    return { candidate, chain, estimate, amounts }
  }

  #storeInUse(): GovernanceStore {
    if (this.#store === null) throw new Error('admission serves no store yet')
    return this.#store
  }

  #attempt(
    request: AdmissionRequest,
    candidate: Candidate,
    hold: (wanted: HoldRequest) => HoldOutcome,
    attempt: number,
    now: number,
  ): Result<{ proposal: Proposal; hold: Hold }> {
    const proposed = this.propose(request, candidate)
    if (!proposed.ok) return proposed
    const proposal = proposed.value
    const outcome = hold({
      requestId: request.requestId,
      attempt,
      chain: proposal.chain.limits,
      amounts: proposal.amounts,
      deadline: this.#parts.clock.elapsed() + this.#parts.holdMaxMs,
    })
    if (outcome.ok) return accept({ proposal, hold: outcome.hold })
    return { ok: false, refusal: refusalOf(this, request, proposal, outcome.shortfalls, now) }
  }

  /** Writes the hold down before anything is forwarded; where that cannot be done, returns it and refuses. */
  #write(
    request: AdmissionRequest,
    index: number,
    { proposal, hold }: { proposal: Proposal; hold: Hold },
    attempt: number,
    now: number,
  ): Result<Admitted> {
    const { candidate, chain, estimate } = proposal
    const identity = identityOf(request, candidate, attempt)
    try {
      this.#parts.facts.append({
        t: 'hold',
        identity,
        at: now,
        charges: chargesOf(hold),
        inputTokens: estimate.inputTokens,
        inputCostNanoUsd: estimate.inputCostNanoUsd.toString(),
        outputTokens: estimate.outputTokens,
        costNanoUsd: estimate.costNanoUsd.toString(),
      })
    } catch (error) {
      this.#parts.ledger.void(hold)
      if (error instanceof FactSinkUnavailable) return OVERLOADED
      throw error
    }
    const next = (actual: Amounts) => this.#next(request, index, hold, actual, attempt + 1)
    const admitted: Admitted = { request, candidate, chain, estimate, identity, hold, next }
    this.#untaken.set(hold, admitted)
    return accept(admitted)
  }

  #next(
    request: AdmissionRequest,
    after: number,
    from: Hold,
    actual: Amounts,
    attempt: number,
  ): Result<Admitted> | null {
    if (!this.#parts.facts.accepting) return null
    const now = this.#parts.clock.now()
    const refusals = new CandidateRefusals()
    const move = (wanted: HoldRequest) => this.#parts.ledger.move(from, actual, wanted, now)
    for (const [index, candidate] of request.route.entries()) {
      if (index <= after || refusals.include(candidate)) continue
      const moved = this.#attempt(request, candidate, move, attempt, now)
      if (moved.ok) return this.#write(request, index, moved.value, attempt, now)
      refusals.add(candidate, moved.refusal)
    }
    return null
  }
}

function hasEnforcedBudget(chain: Chain): boolean {
  return chain.limits.some(({ limit, enforced }) => enforced && limit.metric === 'cost')
}
