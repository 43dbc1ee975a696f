/**
 * Readings: the numbers of one limit at one moment, and what the books keep of them. Amounts in the unit of the limit's metric.
 */
import type { Limit } from '../store/entities.ts'
import { type Window, type WindowSpec, windowAt } from '../units/window.ts'

export interface MeterReading {
  readonly posted: bigint
  readonly held: bigint
  /** What counts against the maximum: posted + held, and for a sliding window the weighted previous cell. */
  readonly used: bigint
  /** The maximum in force: an override, where one holds. */
  readonly max: bigint
  /** Never below zero. */
  readonly remaining: bigint
  readonly windowStart: number
  /** Infinity for a lifetime. */
  readonly windowEnd: number
  /** Everything ever posted, whatever the window. */
  readonly lifetime: bigint
  /** The cell before this one, posted and held, for sliding windows. */
  readonly previous: bigint
  /** The part of `previous` that is still held. */
  readonly previousHeld: bigint
}

/** Reads limits by their ids, at one moment (ms); null where one is not tracked. */
export type ReadMeters = (limitIds: readonly string[], now: number) => readonly (MeterReading | null)[]

/** What a meter has in its two cells, as it is, without asking what time it is. */
export interface MeterCells {
  readonly windowNumber: number
  readonly posted: bigint
  readonly held: bigint
  readonly previousPosted: bigint
  readonly previousHeld: bigint
  readonly lifetime: bigint
}

/** What a meter starts from after a restart. */
export interface MeterState {
  readonly posted: bigint
  readonly windowStart: number
  readonly previousPosted: bigint
  /** Start of an earlier window, or null where the books have none. It counts where it ends as the other begins. */
  readonly previousStart: number | null
  readonly lifetime: bigint
}

/** The cells after a roll into the adjacent window, or into any other. */
export function rolled(cells: MeterCells, adjacent: boolean): MeterCells {
  return {
    windowNumber: cells.windowNumber + (adjacent ? 1 : 2),
    posted: 0n,
    held: 0n,
    previousPosted: adjacent ? cells.posted : 0n,
    previousHeld: adjacent ? cells.held : 0n,
    lifetime: cells.lifetime,
  }
}

/** The numbers of a meter in `window`, at `now` (ms), against `max`. */
export function readingOf(
  { posted, held, previousPosted, previousHeld, lifetime }: MeterCells,
  { start: windowStart, end: windowEnd }: Window,
  spec: WindowSpec,
  max: bigint,
  now: number,
): MeterReading {
  const previous = previousPosted + previousHeld
  const used = posted + held + (spec.kind === 'sliding' ? weighted(previous, windowEnd - now, spec.ms) : 0n)
  const remaining = max > used ? max - used : 0n
  return { posted, held, used, max, remaining, windowStart, windowEnd, lifetime, previous, previousHeld }
}

const UNUSED: MeterCells = {
  windowNumber: 0,
  posted: 0n,
  held: 0n,
  previousPosted: 0n,
  previousHeld: 0n,
  lifetime: 0n,
}

/** The numbers of a limit that nobody has used yet; null for one that is not there or cannot be read. */
export function readingOfUnused(limit: Limit | undefined, now: number): MeterReading | null {
  if (limit === undefined || limit.spec === null) return null
  const { spec, override } = limit
  const max = override !== null && now < override.until ? override.max : limit.max
  return readingOf(UNUSED, windowAt(spec, now), spec, max, now)
}

/** A sliding window's share of its previous cell: the part that still overlaps, rounded up. Lengths in ms. */
export function weighted(previous: bigint, remainingMs: number, lengthMs: number): bigint {
  if (previous === 0n) return 0n
  const length = BigInt(lengthMs)
  const remaining = BigInt(Math.min(lengthMs, Math.max(0, Math.ceil(remainingMs))))
  return (previous * remaining + length - 1n) / length
}
