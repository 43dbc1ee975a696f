/**
 * Ledger: holds amounts on every limit of a chain, or on none, and resolves each hold once (DESIGN sections 6 and 8).
 *
 * Everything here is synchronous and runs under the meters' one lock, so a check and the hold it allows cannot be parted, by
 * another request or by another thread.
 */
import { type Amounts, type ChargeLine, chargeLine, type Place, type Places } from './charges.ts'
import {
  type ChainLimit,
  type Hold,
  type HoldOutcome,
  type HoldRequest,
  type HoldState,
  heldAt,
  NOTHING,
  type ResolveOutcome,
  type Shortfall,
} from './hold.ts'
import { findViolations, type Violation } from './invariants.ts'
import { LimitMeters } from './limit-meters.ts'
import { CLOSED } from './meters.ts'

interface OpenHold extends Hold {
  state: HoldState
  /** What was posted when it expired. */
  orphaned: Amounts
}

export class Ledger extends LimitMeters {
  readonly #open = new Set<OpenHold>()
  readonly #places = new WeakMap<readonly ChainLimit[], Places>()

  /** Holds the amounts on every limit of the chain, or on none: then it says every limit that had no room, in the chain's order. */
  hold(request: HoldRequest, now: number): HoldOutcome {
    return this.locked(() => {
      const shortfalls = this.#check(request, now)
      return shortfalls === null ? { ok: true, hold: this.#place(request) } : { ok: false, shortfalls }
    })
  }

  /**
   * Resolves one attempt's hold and places the next attempt's in one step, so that nobody slips in between. When the next does not
   * fit, nothing has changed. `actual` is what the ended attempt used.
   */
  move(from: Hold, actual: Amounts, to: HoldRequest, now: number): HoldOutcome {
    const open = this.#opened(from)
    if (open === null) throw new Error(`attempt ${from.attempt} of ${from.requestId} is no longer held`)
    return this.locked(() => {
      for (const { meter } of to.chain) if (!this.isStale(meter)) this.meters.roll(meter.slot, meter.spec, now)
      const undo = open.places.map((place) => this.meters.remember(this.#slotOf(place) ?? place.slot))
      this.#resolve(open, actual)
      const shortfalls = this.#check(to, now)
      if (shortfalls !== null) {
        for (const putBack of undo) putBack()
        return { ok: false, shortfalls }
      }
      this.#end(open, actual.every((amount) => amount === 0n) ? 'voided' : 'settled')
      return { ok: true, hold: this.#place(to) }
    })
  }

  /** Posts what an attempt used and returns the rest of its hold. */
  settle(hold: Hold, actual: Amounts): ResolveOutcome {
    return this.#finish(hold, actual, 'settled')
  }

  /** Returns a hold whole: the provider did nothing. */
  void(hold: Hold): ResolveOutcome {
    return this.#finish(hold, NOTHING, 'voided')
  }

  /** Ends a hold that nobody resolved in time, posting `orphaned`. That it exists is a bug: the caller logs it. */
  expire(hold: Hold, orphaned: Amounts): ResolveOutcome {
    const outcome = this.#finish(hold, orphaned, 'expired')
    if (outcome === 'done') (hold as OpenHold).orphaned = orphaned
    return outcome
  }

  /**
   * Settles a hold that has expired after all: what was posted for it moves by the difference, in the windows that admitted it. Returns
   * the corrections for the books; none when the hold has not expired, or was settled late before.
   */
  settleLate(hold: Hold, actual: Amounts): ChargeLine[] {
    const late = hold as OpenHold
    if (late.state !== 'expired') return []
    late.state = 'settled'
    return this.locked(() => {
      const lines: ChargeLine[] = []
      for (const place of late.places) {
        const difference = (actual[place.metric] as bigint) - (late.orphaned[place.metric] as bigint)
        const moved = difference === 0n ? 0n : this.#correct(place, difference)
        if (moved !== 0n) lines.push(chargeLine(place, moved))
      }
      return lines
    })
  }

  /** The holds past their deadline at `elapsed` (monotonic ms). */
  overdue(elapsed: number): readonly Hold[] {
    return [...this.#open].filter((hold) => hold.deadline <= elapsed)
  }

  openHolds(): Iterable<Hold> {
    return this.#open
  }

  get openHoldCount(): number {
    return this.#open.size
  }

  /** What does not add up in the meters; see `invariants.ts`. */
  violations(): Violation[] {
    return this.locked(() => findViolations(this.meters, this.byLimit, this.#open))
  }

  /** Rolls each meter to `now`, then asks it for room. A request for nothing always has room: it does not touch that limit. */
  #check(request: HoldRequest, now: number): [Shortfall, ...Shortfall[]] | null {
    let shortfalls: [Shortfall, ...Shortfall[]] | null = null
    for (const { limit, meter, metric, enforced } of request.chain) {
      if (this.isStale(meter)) continue
      this.meters.roll(meter.slot, meter.spec, now)
      const requested = request.amounts[metric] as bigint
      if (!enforced || requested === 0n) continue
      if (this.meters.used(meter.slot, meter.spec, now) + requested <= this.meters.max(meter.slot, now)) continue
      const shortfall = { limit, metric, requested, reading: this.meters.read(meter.slot, meter.spec, now) }
      if (shortfalls === null) shortfalls = [shortfall]
      else shortfalls.push(shortfall)
    }
    return shortfalls
  }

  #place({ requestId, attempt, chain, amounts, deadline }: HoldRequest): Hold {
    const places = this.#placesOf(chain)
    let taken: bigint[] | null = null
    for (let index = 0; index < places.length; index += 1) {
      const { slot, metric } = places[index] as Place
      const asked = amounts[metric] as bigint
      const amount = this.meters.hold(slot, asked)
      if (amount !== asked) taken ??= places.map((place) => amounts[place.metric] as bigint)
      if (taken !== null) taken[index] = amount
    }
    const hold: OpenHold = { requestId, attempt, places, amounts, taken, deadline, state: 'held', orphaned: NOTHING }
    this.#open.add(hold)
    return hold
  }

  /** Where the chain's meters stand now: as long as none of them rolls, the places of the hold before. */
  #placesOf(chain: readonly ChainLimit[]): Places {
    const known = this.#places.get(chain)
    if (known !== undefined && this.#areCurrent(known, chain)) return known
    const places: Place[] = []
    for (const { limit, meter, metric } of chain) {
      if (this.isStale(meter)) continue
      const { slot, generation } = meter
      const windowStart = this.meters.windowStart(slot)
      const windowNumber = this.meters.windowNumber(slot)
      places.push({ limit, metric, slot, generation, windowStart, windowNumber })
    }
    this.#places.set(chain, places)
    return places
  }

  /** A limit that has gone leaves its place out, so the places of a chain with such a one are looked for anew each time. */
  #areCurrent(places: Places, chain: readonly ChainLimit[]): boolean {
    if (places.length !== chain.length) return false
    for (const { slot, generation, windowStart, windowNumber } of places) {
      if (this.meters.generation(slot) !== generation) return false
      if (this.meters.windowNumber(slot) !== windowNumber || this.meters.windowStart(slot) !== windowStart) return false
    }
    return true
  }

  #finish(hold: Hold, actual: Amounts, state: Exclude<HoldState, 'held'>): ResolveOutcome {
    const open = this.#opened(hold)
    if (open === null) return `already_${hold.state as Exclude<HoldState, 'held'>}`
    this.locked(() => this.#resolve(open, actual))
    this.#end(open, state)
    return 'done'
  }

  #resolve(hold: Hold, actual: Amounts): void {
    const { places } = hold
    for (let index = 0; index < places.length; index += 1) {
      const place = places[index] as Place
      const slot = this.#slotOf(place)
      if (slot === null) continue
      const isSame = slot === place.slot && this.meters.generation(slot) === place.generation
      const posted = actual[place.metric] as bigint
      this.meters.resolve(slot, isSame ? place.windowNumber : CLOSED, heldAt(hold, index), posted)
    }
  }

  #correct(place: Place, difference: bigint): bigint {
    const slot = this.#slotOf(place)
    if (slot === null) return difference
    const isSame = slot === place.slot && this.meters.generation(slot) === place.generation
    this.meters.correctLifetime(slot, difference)
    return this.meters.correct(slot, isSame ? place.windowNumber : CLOSED, difference)
  }

  /**
   * Where an amount on a place is resolved. Once its limit counts anew that is another meter, which takes it into the lifetime total alone; null for
   * a limit that is gone, or counts another metric.
   */
  #slotOf({ limit, slot, generation }: Place): number | null {
    if (this.meters.generation(slot) === generation) return slot
    const next = this.meterWithin(limit.id)
    return next === null || next.metric !== limit.metric || this.isStale(next) ? null : next.slot
  }

  #opened(hold: Hold): OpenHold | null {
    return this.#open.has(hold as OpenHold) ? (hold as OpenHold) : null
  }

  #end(hold: OpenHold, state: HoldState): void {
    hold.state = state
    this.#open.delete(hold)
  }
}
