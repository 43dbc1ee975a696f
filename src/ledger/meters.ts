/**
 * Meters: the live numbers of every limit, in one fixed shared buffer under one lock (DESIGN section 7).
 *
 * The buffer is sized once, for the most limits there may ever be: the kernel commits a page only when it is touched, and a view
 * over a fixed buffer is ten times as quick as one that follows a growing buffer. Amounts are 64-bit integers; times are doubles in
 * the same records, so that comparing them makes no BigInt. Nothing outside `src/ledger/` touches the buffer.
 *
 * No total wraps (`totals.ts`): what is held takes only the room there is, so that it can be returned to the last unit.
 *
 * Every method but `allocate` expects the lock to be held.
 */
import { type WindowSpec, windowAt } from '../units/window.ts'
import { Lock } from './lock.ts'
import { type MeterCells, type MeterReading, type MeterState, readingOf, rolled, weighted } from './reading.ts'
import { add, inRange, move } from './totals.ts'

const FIELDS = 16
const POSTED = 0
const HELD = 1
const PREVIOUS_POSTED = 2
const PREVIOUS_HELD = 3
const WINDOW_START = 4
const WINDOW_END = 5
/**
 * Which window this is, counted since the limit came: a hold finds its cell by this number and not by the window's start, because a
 * clock set back can bring a start round a second time. A step of one leads to the adjacent window, a step of two to any other.
 */
const WINDOW_NUMBER = 6
const MAX = 7
const OVERRIDE_MAX = 8
const OVERRIDE_UNTIL = 9
const LIFETIME = 10
const GENERATION = 11
/** Monotonic ms at which the clock was first seen before this window; 0 while it is not. */
const AHEAD_SINCE = 12

/** Four million limits are half a gigabyte of address space, of which only what is used becomes memory. */
const METERS_MAX = 4_194_304

/** The number of no window a meter has: what is resolved there is closed. */
export const CLOSED = Number.NEGATIVE_INFINITY

export class Meters {
  readonly buffer: SharedArrayBuffer
  readonly lock: Lock
  readonly #amounts: BigInt64Array
  readonly #times: Float64Array
  readonly #elapsed: () => number
  readonly #free: number[] = []
  #next = 1

  /**
   * @param elapsed monotonic milliseconds, the same in every thread; asked only when the wall clock has stepped back
   * @param buffer the buffer of another thread's meters, to share its numbers
   */
  constructor(elapsed: () => number, buffer = new SharedArrayBuffer(METERS_MAX * FIELDS * 8)) {
    this.buffer = buffer
    this.#amounts = new BigInt64Array(buffer)
    this.#times = new Float64Array(buffer)
    // Record 0 is no meter: its first word is the lock.
    this.lock = new Lock(new Int32Array(buffer, 0, 1))
    this.#elapsed = elapsed
  }

  /** Takes a free record. Only the thread that applies changes allocates. Throws when the buffer is full. */
  allocate(): number {
    const slot = this.#free.pop() ?? this.#next++
    if ((slot + 1) * FIELDS > this.#amounts.length) throw new RangeError('more limits than the meters have room for')
    return slot
  }

  /** Empties a record for its next limit. The generation grows, so that holds of the last limit no longer find it. */
  release(slot: number): void {
    const base = slot * FIELDS
    const generation = this.generation(slot)
    this.#amounts.fill(0n, base, base + FIELDS)
    this.#times[base + GENERATION] = generation + 1
    this.#free.push(slot)
  }

  generation(slot: number): number {
    return this.#times[slot * FIELDS + GENERATION] as number
  }

  /** Puts a record into the window of `now`. */
  start(slot: number, spec: WindowSpec, now: number): void {
    const base = slot * FIELDS
    const window = windowAt(spec, now)
    this.#times[base + WINDOW_START] = window.start
    this.#times[base + WINDOW_END] = window.end
  }

  /** Puts back what the books say; numbers of windows that have passed fall away at the next roll. */
  restore(slot: number, spec: WindowSpec, state: MeterState): void {
    const base = slot * FIELDS
    this.start(slot, spec, state.windowStart)
    const { previousStart } = state
    const adjacent = previousStart !== null && windowAt(spec, previousStart).end === this.windowStart(slot)
    this.#amounts[base + POSTED] = inRange(state.posted)
    this.#amounts[base + PREVIOUS_POSTED] = adjacent ? inRange(state.previousPosted) : 0n
    this.#amounts[base + LIFETIME] = inRange(state.lifetime)
  }

  setMax(slot: number, max: bigint, overrideMax: bigint, overrideUntil: number): void {
    const base = slot * FIELDS
    this.#amounts[base + MAX] = max
    this.#amounts[base + OVERRIDE_MAX] = overrideMax
    this.#times[base + OVERRIDE_UNTIL] = overrideUntil
  }

  /** Moves a meter whose window has passed to the window of `now`. Returns the start of the window it is in then. */
  roll(slot: number, spec: WindowSpec, now: number): number {
    const base = slot * FIELDS
    const start = this.#times[base + WINDOW_START] as number
    if (!this.#hasPassed(base, now)) {
      const since = this.#times[base + AHEAD_SINCE] as number
      if (now >= start) this.#times[base + AHEAD_SINCE] = 0
      else if (since === 0) this.#times[base + AHEAD_SINCE] = Math.max(this.#elapsed(), Number.MIN_VALUE)
      return start
    }
    const window = windowAt(spec, now)
    const adjacent = window.start === this.#times[base + WINDOW_END]
    this.#amounts[base + PREVIOUS_POSTED] = adjacent ? (this.#amounts[base + POSTED] as bigint) : 0n
    this.#amounts[base + PREVIOUS_HELD] = adjacent ? (this.#amounts[base + HELD] as bigint) : 0n
    this.#amounts[base + POSTED] = 0n
    this.#amounts[base + HELD] = 0n
    this.#times[base + WINDOW_START] = window.start
    this.#times[base + WINDOW_END] = window.end
    this.#times[base + WINDOW_NUMBER] = this.windowNumber(slot) + (adjacent ? 1 : 2)
    this.#times[base + AHEAD_SINCE] = 0
    return window.start
  }

  /**
   * Whether the window is no longer the current one. Where the wall clock stands before it, the clock was wrong then or is wrong now:
   * the window stays current, but for no longer than its own length as the monotonic clock counts it, lest a clock once set to next
   * year close a limit until then.
   */
  #hasPassed(base: number, now: number): boolean {
    const start = this.#times[base + WINDOW_START] as number
    const end = this.#times[base + WINDOW_END] as number
    if (now >= start) return now >= end
    const since = this.#times[base + AHEAD_SINCE] as number
    return since !== 0 && this.#elapsed() - since >= end - start
  }

  /** What counts against the maximum now, in a meter that has been rolled. */
  used(slot: number, spec: WindowSpec, now: number): bigint {
    const base = slot * FIELDS
    const current = (this.#amounts[base + POSTED] as bigint) + (this.#amounts[base + HELD] as bigint)
    if (spec.kind !== 'sliding') return current
    const previous = (this.#amounts[base + PREVIOUS_POSTED] as bigint) + (this.#amounts[base + PREVIOUS_HELD] as bigint)
    return current + weighted(previous, (this.#times[base + WINDOW_END] as number) - now, spec.ms)
  }

  /** What is left at `now`, below zero where more was taken than the maximum now is; reading changes nothing. */
  room(slot: number, spec: WindowSpec, now: number): bigint {
    if (!this.#hasPassed(slot * FIELDS, now)) return this.max(slot, now) - this.used(slot, spec, now)
    const { max, used } = this.read(slot, spec, now)
    return max - used
  }

  /** No less than what is posted and counts, whatever time it is. */
  postedAtMost(slot: number): bigint {
    const base = slot * FIELDS
    return (this.#amounts[base + POSTED] as bigint) + (this.#amounts[base + PREVIOUS_POSTED] as bigint)
  }

  /** The maximum in force at `now`. */
  max(slot: number, now: number): bigint {
    const base = slot * FIELDS
    return now < (this.#times[base + OVERRIDE_UNTIL] as number)
      ? (this.#amounts[base + OVERRIDE_MAX] as bigint)
      : (this.#amounts[base + MAX] as bigint)
  }

  windowStart(slot: number): number {
    return this.#times[slot * FIELDS + WINDOW_START] as number
  }

  /** Where the window of `now` ends; reading changes nothing. */
  windowEnd(slot: number, spec: WindowSpec, now: number): number {
    const base = slot * FIELDS
    return this.#hasPassed(base, now) ? windowAt(spec, now).end : (this.#times[base + WINDOW_END] as number)
  }

  windowNumber(slot: number): number {
    return this.#times[slot * FIELDS + WINDOW_NUMBER] as number
  }

  /** Sets an amount aside in the current window. Returns how much was: less than asked only where the total could not hold it. */
  hold(slot: number, amount: bigint): bigint {
    return add(this.#amounts, slot * FIELDS + HELD, amount)
  }

  /**
   * Ends a hold of `held` in the window that admitted it and posts `posted` there: the current one or the one before. An older one is
   * closed: only the lifetime total, and the books, still take the amount.
   */
  resolve(slot: number, windowNumber: number, held: bigint, posted: bigint): void {
    const cell = this.#cellOf(slot, windowNumber)
    if (cell !== -1) {
      const heldCell = cell + HELD - POSTED
      this.#amounts[heldCell] = (this.#amounts[heldCell] as bigint) - held
      add(this.#amounts, cell, posted)
    }
    add(this.#amounts, slot * FIELDS + LIFETIME, posted)
  }

  /** Moves a window's posted total, not the lifetime total. Returns by how much the books must move: all of it if the window is closed. */
  correct(slot: number, windowNumber: number, delta: bigint): bigint {
    const cell = this.#cellOf(slot, windowNumber)
    return cell === -1 ? delta : move(this.#amounts, cell, delta)
  }

  correctLifetime(slot: number, delta: bigint): void {
    move(this.#amounts, slot * FIELDS + LIFETIME, delta)
  }

  /** Where a window's posted total is, its held one beside it; -1 for a closed window. */
  #cellOf(slot: number, windowNumber: number): number {
    const current = this.windowNumber(slot)
    if (windowNumber === current) return slot * FIELDS + POSTED
    return windowNumber === current - 1 ? slot * FIELDS + PREVIOUS_POSTED : -1
  }

  /** Remembers a record as it is; what it returns puts it back. */
  remember(slot: number): () => void {
    const base = slot * FIELDS
    const record = this.#amounts.slice(base, base + FIELDS)
    return () => this.#amounts.set(record, base)
  }

  cells(slot: number): MeterCells {
    const base = slot * FIELDS
    return {
      windowNumber: this.windowNumber(slot),
      posted: this.#amounts[base + POSTED] as bigint,
      held: this.#amounts[base + HELD] as bigint,
      previousPosted: this.#amounts[base + PREVIOUS_POSTED] as bigint,
      previousHeld: this.#amounts[base + PREVIOUS_HELD] as bigint,
      lifetime: this.#amounts[base + LIFETIME] as bigint,
    }
  }

  /** The numbers at `now`, as a roll would leave them; reading changes nothing. */
  read(slot: number, spec: WindowSpec, now: number): MeterReading {
    const base = slot * FIELDS
    const own = { start: this.windowStart(slot), end: this.#times[base + WINDOW_END] as number }
    const passed = this.#hasPassed(base, now)
    const window = passed ? windowAt(spec, now) : own
    const cells = passed ? rolled(this.cells(slot), window.start === own.end) : this.cells(slot)
    return readingOf(cells, window, spec, this.max(slot, now), now)
  }
}
