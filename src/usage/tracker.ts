/**
 * Usage tracker: ends every attempt once, in the ledger and in the books.
 *
 * Who ends it may be the provider's answer, its death, the client's leaving or the net under them all; only the first counts. The
 * attempt carries that state itself, so a repeat needs no memory of old ids.
 */
import type { Admitted } from '../admission/admission.ts'
import { accept, type Result } from '../admission/decision.ts'
import type { RequestFacts } from '../admission/request-facts.ts'
import { type Charges, PlacedCharges } from '../ledger/charges.ts'
import type { FactSink, UsageEvent } from '../ledger/facts.ts'
import { type Hold, heldAt, type ResolveOutcome } from '../ledger/hold.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { METRICS } from '../store/entities.ts'
import { familyOf, type ModelFamilies } from '../store/selectors.ts'
import type { Clock } from '../units/clock.ts'
import { newId } from '../units/id.ts'
import type { Log } from '../units/log.ts'
import { type NanoUsd, nanoUsd, ZERO_USD } from '../units/money.ts'
import { type Ending, type Outcome, outcome, type Resolution, resolutionOf, uncounted } from './settle.ts'
import type { StoredObjects } from './stored-objects.ts'

export interface UsageTrackerParts {
  readonly ledger: Ledger
  /** Knows what the holds were admitted for that nobody has taken over. */
  readonly admission: { untaken(hold: Hold): Admitted | null; taken(hold: Hold): void }
  readonly facts: FactSink
  readonly clock: Clock
  readonly log: Log
  /** Remembers what providers keep for keys. */
  readonly stored: Pick<StoredObjects, 'made'>
  /** Learns from the input tokens that providers report, so that estimates get better. */
  readonly estimator: { learn(facts: RequestFacts, family: string, reportedInputTokens: number): void }
  readonly settings: { readonly modelFamilies: ModelFamilies }
}

/** What listeners are told of an attempt besides its event. */
export interface AttemptEnd {
  /** From the request's last byte to its being forwarded, in ms; null for a fallback, and where nobody has taken the time. */
  readonly overheadMs: number | null
  /** How it came to its end. */
  readonly ending: Ending
  /** Why it did not end well, where ending and status do not say it. */
  readonly cause: string | null
  /** No further attempt follows: the request has ended with it. */
  readonly last: boolean
  /** The event as JSON, without its charges. */
  readonly json: string
}

export type UsageListener = (event: UsageEvent, admitted: Admitted, end: AttemptEnd) => void

const COST = METRICS.indexOf('cost')

export class UsageTracker {
  readonly #parts: UsageTrackerParts
  readonly #listeners: UsageListener[] = []
  readonly #attempts = new Map<Hold, Attempt>()
  #expired = 0

  constructor(parts: UsageTrackerParts) {
    this.#parts = parts
  }

  /** Calls back with every event, after it has been posted and written down. What a listener throws is logged. */
  onEvent(listener: UsageListener): void {
    this.#listeners.push(listener)
  }

  /** Takes over an admitted attempt, once: from now on somebody must end it. `before` is what earlier attempts of the request cost. */
  begin(admitted: Admitted, before: NanoUsd = ZERO_USD): Attempt {
    const attempt = new Attempt(this, admitted, this.#parts.clock.elapsed(), before)
    this.#attempts.set(admitted.hold, attempt)
    this.#parts.admission.taken(admitted.hold)
    return attempt
  }

  /** Returns the hold of a request that was admitted and then never forwarded, because a later hook refused it or failed. */
  abandon(admitted: Admitted): void {
    if (admitted.hold.state === 'held' && !this.#attempts.has(admitted.hold)) {
      this.begin(admitted).end(outcome('withdrawn', null))
    }
  }

  /** Attempts that have begun and not ended. */
  get openAttempts(): number {
    return this.#attempts.size
  }

  /** Those that end by themselves: all but conversations over WebSockets. */
  get endingAttempts(): number {
    let count = 0
    for (const { runner } of this.#attempts.values()) if (runner?.endless !== true) count += 1
    return count
  }

  /** Holds that nobody resolved in time, since the start. */
  get expiredHolds(): number {
    return this.#expired
  }

  /** Ends attempts past every time-out with their input estimate. That there is one is a bug of ours, and is logged as such. */
  expireOverdue(): number {
    const { ledger, admission, clock, log } = this.#parts
    const overdue = ledger.overdue(clock.elapsed())
    this.#expired += overdue.length
    for (const hold of overdue) {
      log.error({ requestId: hold.requestId, attempt: hold.attempt }, 'a hold was not resolved in time')
      const attempt = this.#attempts.get(hold)
      const admitted = admission.untaken(hold)
      if (attempt !== undefined) attempt.expire()
      // The journal knows of it although nobody has begun it.
      else if (admitted !== null) this.begin(admitted).expire()
      else ledger.void(hold)
    }
    return overdue.length
  }

  /** Tells whoever runs them of the attempts that have taken longer than `afterMs`. */
  timeOut(afterMs: number): void {
    const before = this.#parts.clock.elapsed() - afterMs
    for (const attempt of this.#attempts.values()) {
      // They stand in the order in which they have begun.
      if (attempt.startedAt > before) return
      attempt.runner?.timeUp()
    }
  }

  /** Posts, writes down and announces what an attempt came to. Called by the attempt, once. */
  settle(attempt: Attempt, end: Outcome, resolution: Resolution): UsageEvent | null {
    const { hold } = attempt.admitted
    this.#forget(attempt)
    const { ledger } = this.#parts
    const posted = resolution.source === null ? ledger.void(hold) : ledger.settle(hold, resolution.amounts)
    if (posted !== 'done') return this.#late(attempt, resolution, posted)
    return this.#record(attempt, end, resolution, resolution.source)
  }

  /** Writes down an attempt whose hold has moved on to the next one. */
  recordMoved(attempt: Attempt, end: Outcome, resolution: Resolution): UsageEvent {
    this.#forget(attempt)
    return this.#record(attempt, end, resolution, resolution.source, false)
  }

  /** Posts the orphaned amount of an attempt that nobody ended. */
  recordExpired(attempt: Attempt, end: Outcome, resolution: Resolution): void {
    this.#forget(attempt)
    if (this.#parts.ledger.expire(attempt.admitted.hold, resolution.amounts) !== 'done') return
    this.#record(attempt, end, resolution, 'orphaned')
  }

  /** What has ended holds on to nothing: a map that has been moved to the old generation would carry all of a request there. */
  #forget(attempt: Attempt): void {
    this.#attempts.delete(attempt.admitted.hold)
    attempt.runner = null
  }

  #record(
    attempt: Attempt,
    end: Outcome,
    resolution: Resolution,
    source: UsageEvent['usageSource'],
    last = true,
  ): UsageEvent {
    const { admitted } = attempt
    const { usage, cost, amounts, requests, success } = resolution
    const { clock } = this.#parts
    const event: Omit<UsageEvent, 'charges'> & { charges: Charges } = {
      ...admitted.identity,
      endedAt: clock.now(),
      status: end.status,
      success,
      refusedCode: null,
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      cacheReadTokens: usage.cacheReadTokens,
      cacheWriteTokens: usage.cacheWriteTokens,
      reasoningTokens: usage.reasoningTokens,
      costNanoUsd: cost.toString(),
      overageNanoUsd: overageOf(admitted.hold, cost).toString(),
      usageSource: source,
      requests,
      latencyMs: Math.round(clock.elapsed() - attempt.startedAt),
      ttftMs: attempt.firstByteAt === null ? null : Math.round(attempt.firstByteAt - attempt.startedAt),
      // They have their place in the object from the start, and come when the JSON, which leaves them out, is made.
      charges: undefined as unknown as Charges,
    }
    const json = JSON.stringify(event)
    event.charges = source === null ? [] : new PlacedCharges(admitted.hold.places, amounts, false)
    if (source === 'reported') this.#learn(admitted, usage.inputTokens)
    this.#append({ t: source === null ? 'void' : 'settle', event, json })
    const told: AttemptEnd = { overheadMs: overheadOf(attempt), ending: end.ending, cause: end.cause, last, json }
    this.#keep(admitted, end)
    for (const listener of this.#listeners) this.#tell(listener, event, admitted, told)
    return event
  }

  #learn({ request, candidate }: Admitted, inputTokens: number): void {
    const { estimator, settings } = this.#parts
    estimator.learn(request.facts, familyOf(settings.modelFamilies, candidate.model) ?? '', inputTokens)
  }

  /** An attempt that ends after its hold has expired: the orphaned amount was posted, the difference follows as a correction. */
  #late({ admitted: { hold } }: Attempt, { amounts }: Resolution, found: ResolveOutcome): null {
    const { ledger, clock, log } = this.#parts
    log.error({ requestId: hold.requestId, attempt: hold.attempt, found }, 'an attempt ended twice or too late')
    const charges = ledger.settleLate(hold, amounts)
    if (charges.length === 0) return null
    const reason = 'The attempt ended after its hold had expired.'
    this.#append({ t: 'correct', id: newId(), at: clock.now(), reason, requestId: hold.requestId, charges })
    return null
  }

  /** Before the client learns of them, ids are in the journal: else it could not come back for what they name. */
  #keep({ identity }: Admitted, { stored }: Outcome): void {
    if (stored.length === 0) return
    try {
      this.#parts.stored.made(identity, stored)
    } catch (error) {
      this.#parts.log.error(
        { err: error, requestId: identity.requestId },
        'what a provider has stored could not be written down',
      )
    }
  }

  /** What the meters have taken stays taken even where the books cannot be written: the answer is paid for. */
  #append(fact: Parameters<FactSink['append']>[0]): void {
    try {
      this.#parts.facts.append(fact)
    } catch (error) {
      this.#parts.log.error({ err: error, fact }, 'a settlement could not be written to the journal')
    }
  }

  #tell(listener: UsageListener, event: UsageEvent, admitted: Admitted, end: AttemptEnd): void {
    try {
      listener(event, admitted, end)
    } catch (error) {
      this.#parts.log.error({ err: error, requestId: event.requestId }, 'a listener of usage events failed')
    }
  }
}

/** One call to a provider, from its admission to its end. */
export class Attempt {
  readonly admitted: Admitted
  /** Monotonic ms. */
  readonly startedAt: number
  /** Monotonic ms at which the first byte of the answer's body came; null before. */
  firstByteAt: number | null = null
  /** Whoever runs it; told, once or more often, when it has taken as long as any may, and must end it then. */
  runner: { timeUp(): void; readonly endless: boolean } | null = null
  readonly #tracker: UsageTracker
  readonly #before: NanoUsd
  #event: UsageEvent | null = null
  #ended = false
  #expired = false

  constructor(tracker: UsageTracker, admitted: Admitted, startedAt: number, before: NanoUsd) {
    this.#tracker = tracker
    this.#before = before
    this.admitted = admitted
    this.startedAt = startedAt
  }

  get ended(): boolean {
    return this.#ended
  }

  /** What it came to; null before it has ended, and where only a correction of what had expired was left to write. */
  get event(): UsageEvent | null {
    return this.#event
  }

  /** What its request has cost up to its end, the attempts before it included; null as long as it has no event. */
  get requestCost(): NanoUsd | null {
    return this.#event === null ? null : nanoUsd(this.#before + BigInt(this.#event.costNanoUsd))
  }

  /** Ends the attempt. Null when it had ended before: then nothing has changed. */
  end(end: Outcome): UsageEvent | null {
    if (this.#ended) return null
    this.#ended = true
    this.#event = this.#tracker.settle(this, end, this.#resolve(end))
    return this.#event
  }

  /**
   * Ends the attempt and begins the next one, its hold moved in one step. Null when no candidate is left that fits: then it has not ended.
   * Refused when the next one's hold cannot be written down: then this one has ended all the same, and nothing is held any more.
   */
  moveOn(end: Outcome): Result<Attempt> | null {
    if (this.#ended || this.#expired) return null
    const resolution = uncounted(this.#resolve(end))
    const moved = this.admitted.next(resolution.amounts)
    if (moved === null) return null
    this.#ended = true
    this.#event = this.#tracker.recordMoved(this, end, resolution)
    return moved.ok ? accept(this.#tracker.begin(moved.value, this.requestCost ?? ZERO_USD)) : moved
  }

  /** Ends in the ledger what nobody has ended; whoever still does it makes a correction. */
  expire(): void {
    if (this.#ended || this.#expired) return
    const end = outcome('abandoned', null)
    this.#expired = true
    this.#tracker.recordExpired(this, end, this.#resolve(end))
  }

  #resolve(end: Outcome): Resolution {
    const { estimate, candidate, request } = this.admitted
    return resolutionOf(end, estimate, candidate.price, request.facts)
  }
}

function overageOf(hold: Hold, cost: bigint): bigint {
  const index = hold.places.findIndex(({ metric }) => metric === COST)
  const held = index === -1 ? null : heldAt(hold, index)
  return held !== null && cost > held ? cost - held : 0n
}

function overheadOf({ admitted, startedAt }: Attempt): number | null {
  const { trace } = admitted.request
  if (trace === undefined || admitted.identity.attempt > 1) return null
  return Math.round((startedAt - trace.readAt) * 1_000) / 1_000
}
