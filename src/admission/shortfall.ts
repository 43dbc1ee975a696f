/**
 * Shortfall: what a limit without room means for the caller. How long until the request fits, and whether it ever does.
 */
import type { Shortfall } from '../ledger/hold.ts'
import { type MeterReading, weighted } from '../ledger/reading.ts'
import { METRICS } from '../store/entities.ts'

const CONCURRENCY = METRICS.indexOf('concurrency')
/** Where only requests in flight are in the way, nobody can say when they end: soon. */
export const IN_FLIGHT_MS = 1_000

/** Whether a limit has room for an amount, as the ledger decides it: exact fit passes, and a request for nothing does not touch the limit. */
export function hasRoom({ used, max }: MeterReading, requested: bigint): boolean {
  return requested === 0n || used + requested <= max
}

/** This one request is larger than the whole limit, also once an override has ended: no waiting helps. */
export function isUnreachable({ limit, requested, reading }: Shortfall): boolean {
  if (requested <= reading.max) return false
  return limit.override?.until === Number.POSITIVE_INFINITY || requested > limit.max
}

/**
 * Milliseconds until this request fits if nothing else changes: 1,000 where only others' holds are in the way; null where it never
 * will (a lifetime, or a limit smaller than the request).
 */
export function msUntilFits(shortfall: Shortfall, now: number): number | null {
  const { limit, reading } = shortfall
  const inForce = msUntilFitsIn(shortfall, reading.max, now)
  const endsAt = limit.override?.until ?? 0
  if (endsAt <= now || endsAt === Number.POSITIVE_INFINITY) return inForce
  if (inForce !== null && now + inForce < endsAt) return inForce
  // The override ends before that: from then on the limit's own maximum counts.
  const afterwards = msUntilFitsIn(shortfall, limit.max, now)
  return afterwards === null ? null : Math.max(afterwards, endsAt - now)
}

/** The same under one maximum. What is used only falls while nothing is added, so what fits once keeps fitting. */
function msUntilFitsIn(shortfall: Shortfall, max: bigint, now: number): number | null {
  const { limit, metric, reading, requested } = shortfall
  const { spec } = limit
  if (spec === null || requested > max) return null
  if (metric === CONCURRENCY) return IN_FLIGHT_MS
  if (usedWithoutHolds(shortfall, now) + requested <= max) return IN_FLIGHT_MS
  if (spec.kind === 'lifetime') return null
  if (spec.kind === 'sliding') return msUntilSlidFar(shortfall, max, spec.ms, now)
  return reading.windowEnd - now
}

function usedWithoutHolds({ limit: { spec }, reading }: Shortfall, now: number): bigint {
  if (spec?.kind !== 'sliding') return reading.posted
  const { posted, previous, previousHeld, windowEnd } = reading
  return posted + weighted(previous - previousHeld, windowEnd - now, spec.ms)
}

/** A sliding window frees gradually: either within this cell, as the previous one slides out, or within the next, as this one does. */
function msUntilSlidFar({ reading, requested }: Shortfall, max: bigint, lengthMs: number, now: number): number {
  const current = reading.posted + reading.held
  const room = max - requested - current
  const [sliding, cellEnd, free] =
    room >= 0n ? [reading.previous, reading.windowEnd, room] : [current, reading.windowEnd + lengthMs, max - requested]
  // The most of the cell that may still overlap: ceil(sliding × overlap / length) <= free.
  const overlapMs = sliding === 0n ? lengthMs : Number((free * BigInt(lengthMs)) / sliding)
  return Math.max(0, cellEnd - Math.min(overlapMs, lengthMs) - now)
}

/** Milliseconds until all of them are out of the way; null where waiting does not help. */
export function msUntilAllFit(shortfalls: readonly Shortfall[], now: number): number | null {
  let longest = 0
  for (const shortfall of shortfalls) {
    const ms = msUntilFits(shortfall, now)
    if (ms === null) return null
    longest = Math.max(longest, ms)
  }
  return longest
}

/** The whole seconds a refused caller should wait, at least one. */
export function retryAfterS(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1_000))
}
