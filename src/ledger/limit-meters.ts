/**
 * Limit meters: which limit is counted where, and the numbers it has there. The half of the ledger that knows limits; the other half
 * (`ledger.ts`) knows holds.
 */
import type { Limit } from '../store/entities.ts'
import type { WindowSpec } from '../units/window.ts'
import type { Meter } from './hold.ts'
import type { Meters } from './meters.ts'
import { type MeterReading, type MeterState, readingOfUnused } from './reading.ts'

/** A posted total that was moved by something else than a settlement. */
export interface Correction {
  readonly windowStart: number
  readonly amount: bigint
}

/** The limit of a group that has the least left: its place there, and what is said of it. */
export interface Tightest extends Pick<MeterReading, 'max' | 'remaining' | 'windowEnd'> {
  readonly index: number
}

/** Where limits are found by their ids. */
export type FindLimit = (limitId: string) => Limit | undefined

export class LimitMeters {
  protected readonly meters: Meters
  protected readonly byLimit = new Map<string, Meter>()
  readonly #find: FindLimit | null

  /**
   * @param find where the tracked limits are kept. With it a limit has no meter before something is counted on it: of millions most are
   * not in use. Without it each has one from the moment it is tracked.
   */
  constructor(meters: Meters, find: FindLimit | null = null) {
    this.meters = meters
    this.#find = find
  }

  /**
   * Takes a limit, or follows its edit. Usage stays unless the limit began a new count; the lifetime total even then, unless
   * it would be one of another metric.
   */
  track(limit: Limit, now: number): void {
    // A start brings millions when none is in use yet: then a look-up is half of what each takes here.
    const known = this.byLimit.size === 0 ? undefined : this.byLimit.get(limit.id)
    if (known === undefined) {
      if (this.#find === null) this.#open(limit, 0n, now)
    } else if (limit.spec !== null && known.countNumber === limit.countNumber) {
      this.locked(() => this.#setMax(known, limit))
    } else {
      const lifetime = known.metric === limit.metric ? this.locked(() => this.meters.cells(known.slot).lifetime) : 0n
      this.untrack(limit.id)
      this.#open(limit, lifetime, now)
    }
  }

  #open(limit: Limit, lifetime: bigint, now: number): void {
    const { spec } = limit
    if (spec === null) return
    this.locked(() => {
      const { slot } = this.#openMeter(limit, spec)
      this.meters.start(slot, spec, now)
      this.meters.correctLifetime(slot, lifetime)
    })
  }

  /** In no window yet: it moves to the present one as soon as somebody looks. */
  #openMeter(limit: Limit, spec: WindowSpec): Meter {
    const { id, metric, countNumber } = limit
    const slot = this.meters.allocate()
    const meter = { slot, generation: this.meters.generation(slot), spec, countNumber, metric }
    this.#setMax(meter, limit)
    this.byLimit.set(id, meter)
    return meter
  }

  #setMax({ slot }: Meter, { max, override }: Limit): void {
    this.meters.setMax(slot, max, override?.max ?? 0n, override?.until ?? 0)
  }

  /** Forgets a limit. Holds that still lie on it will be settled in the books alone. */
  untrack(limitId: string): void {
    const meter = this.byLimit.get(limitId)
    if (meter === undefined) return
    this.byLimit.delete(limitId)
    this.locked(() => this.meters.release(meter.slot))
  }

  /**
   * For a thread that shares the meters but not the changes to them: `meter` is where the tracking thread counts the limit, null once it
   * has forgotten it.
   */
  adopt(limitId: string, meter: Meter | null): void {
    if (meter === null) this.byLimit.delete(limitId)
    else this.byLimit.set(limitId, meter)
  }

  /** Where a limit is counted, from now on at the latest; null for a limit that is not tracked. */
  meterOf(limitId: string): Meter | null {
    return this.byLimit.get(limitId) ?? this.locked(() => this.meterWithin(limitId))
  }

  /** The same where the lock is held. */
  protected meterWithin(limitId: string): Meter | null {
    const known = this.byLimit.get(limitId)
    if (known !== undefined) return known
    const limit = this.#find?.(limitId)
    return limit === undefined || limit.spec === null ? null : this.#openMeter(limit, limit.spec)
  }

  /** The limits something is or was counted on since this process began, and their meters. */
  get inUse(): ReadonlyMap<string, Meter> {
    return this.byLimit
  }

  /** Gives a tracked limit the numbers the books have for it. */
  restore(limitId: string, state: MeterState): void {
    const meter = this.meterOf(limitId)
    if (meter !== null) this.locked(() => this.meters.restore(meter.slot, meter.spec, state))
  }

  /**
   * Moves the posted total of a limit's current window, not its lifetime total: an admin's correction. Returns the start of that
   * window, or null for a limit that is not tracked. Throws when it would take the total below zero.
   */
  correct(limitId: string, delta: bigint, now: number): number | null {
    const meter = this.meterOf(limitId)
    if (meter === null) return null
    return this.locked(() => {
      const windowStart = this.meters.roll(meter.slot, meter.spec, now)
      const { posted, windowNumber } = this.meters.cells(meter.slot)
      if (posted + delta < 0n) throw new RangeError(`limit ${limitId} has posted ${posted}: ${delta} is too much`)
      this.meters.correct(meter.slot, windowNumber, delta)
      return windowStart
    })
  }

  /**
   * Takes everything posted that still counts against a limit back to zero: the current window, and of a sliding one also the cell
   * before it. Returns the corrections for the books. Holds and the lifetime total stay.
   */
  clear(limitId: string, now: number): Correction[] {
    const meter = this.byLimit.get(limitId)
    if (meter === undefined) return []
    return this.locked(() => {
      const { slot, spec } = meter
      const windowStart = this.meters.roll(slot, spec, now)
      const { posted, previousPosted, windowNumber } = this.meters.cells(slot)
      const corrections = [{ windowStart, windowNumber, amount: -posted }]
      if (spec.kind === 'sliding') {
        corrections.push({
          windowStart: windowStart - spec.ms,
          windowNumber: windowNumber - 1,
          amount: -previousPosted,
        })
      }
      return corrections
        .filter(({ amount }) => amount !== 0n)
        .map(({ windowStart, windowNumber, amount }) => {
          return { windowStart, amount: this.meters.correct(slot, windowNumber, amount) }
        })
    })
  }

  /** Rolls meters that nobody has read since their window passed, so that reports are right. Checks never wait for it. */
  roll(limitIds: readonly string[], now: number): void {
    this.locked(() => {
      for (const limitId of limitIds) {
        const meter = this.byLimit.get(limitId)
        if (meter !== undefined) this.meters.roll(meter.slot, meter.spec, now)
      }
    })
  }

  /** The numbers of a limit at `now`; null for one that is not tracked. Reading changes nothing. */
  read(limitId: string, now: number): MeterReading | null {
    return this.readAll([limitId], now)[0] ?? null
  }

  /** The numbers of several limits at one moment, under one lock, each at its limit's place. */
  readAll(limitIds: readonly string[], now: number): (MeterReading | null)[] {
    return this.locked(() =>
      limitIds.map((limitId) => {
        const meter = this.byLimit.get(limitId)
        if (meter === undefined) return readingOfUnused(this.#find?.(limitId), now)
        return this.isStale(meter) ? null : this.meters.read(meter.slot, meter.spec, now)
      }),
    )
  }

  /**
   * Of each group of limits the one that has the least left at `now`, all at one moment, under one lock; the first of equals, null where
   * none is tracked.
   */
  tightest(groups: readonly (readonly string[])[], now: number): (Tightest | null)[] {
    return this.locked(() => groups.map((limitIds) => this.#tightestOf(limitIds, now)))
  }

  #tightestOf(limitIds: readonly string[], now: number): Tightest | null {
    let found: Meter | null = null
    let index = 0
    let least = 0n
    for (let at = 0; at < limitIds.length; at += 1) {
      const meter = this.meterWithin(limitIds[at] as string)
      if (meter === null || this.isStale(meter)) continue
      // What is overdrawn has nothing left, and no less than nothing.
      const room = this.meters.room(meter.slot, meter.spec, now)
      const left = room > 0n ? room : 0n
      if (found !== null && left >= least) continue
      found = meter
      index = at
      least = left
    }
    if (found === null) return null
    const { slot, spec } = found
    return {
      index,
      max: this.meters.max(slot, now),
      remaining: least,
      windowEnd: this.meters.windowEnd(slot, spec, now),
    }
  }

  /** Whether what is posted on a limit may have come to `amount`. False is certain; where it is true, {@link read} tells. */
  mayHavePosted(limitId: string, amount: bigint): boolean {
    const meter = this.byLimit.get(limitId)
    if (meter === undefined) return false
    this.meters.lock.acquire()
    const posted = this.meters.postedAtMost(meter.slot)
    this.meters.lock.release()
    return posted >= amount
  }

  protected locked<T>(work: () => T): T {
    this.meters.lock.acquire()
    try {
      return work()
    } finally {
      this.meters.lock.release()
    }
  }

  /** The limit was deleted, or began a new count, after this handle was made; the slot may serve another limit by now. */
  protected isStale(meter: Meter): boolean {
    return this.meters.generation(meter.slot) !== meter.generation
  }
}
