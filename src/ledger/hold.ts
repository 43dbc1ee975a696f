/**
 * A hold: the amounts one attempt has set aside on every limit it meets, and what became of them.
 *
 *   held ──▶ settled | voided | expired, once. A second call is an outcome, not an error.
 *                                └──▶ settled late, once: the books are corrected by the difference.
 */
import { type Limit, METRICS, type Metric } from '../store/entities.ts'
import type { WindowSpec } from '../units/window.ts'
import { type Amounts, type Charges, chargeLine, type Place, PlacedCharges, type Places } from './charges.ts'
import type { MeterReading } from './reading.ts'

/** The amounts of a request, metric by metric. */
export function amountsOf(values: Readonly<Partial<Record<Metric, bigint>>>): Amounts {
  return METRICS.map((metric) => values[metric] ?? 0n)
}

/** No amount on any metric. */
export const NOTHING: Amounts = amountsOf({})

/** A limit's place in the meters, as plain data that any thread can be told. A new one is made when the limit begins a new count. */
export interface Meter {
  readonly slot: number
  readonly generation: number
  readonly spec: WindowSpec
  readonly countNumber: number
  readonly metric: Metric
}

/** One limit as a chain meets it: resolved when the store changes, not per request. */
export interface ChainLimit {
  readonly limit: Limit
  readonly meter: Meter
  /** Index of the metric in `METRICS`. */
  readonly metric: number
  /** False: counted and reported, never refused. */
  readonly enforced: boolean
}

export interface HoldRequest {
  readonly requestId: string
  readonly attempt: number
  readonly chain: readonly ChainLimit[]
  /** None below zero. */
  readonly amounts: Amounts
  /** Monotonic ms. */
  readonly deadline: number
}

/** A limit that has no room for what was asked. */
export interface Shortfall {
  readonly limit: Limit
  readonly metric: number
  readonly requested: bigint
  readonly reading: MeterReading
}

export type HoldOutcome =
  | { readonly ok: true; readonly hold: Hold }
  | { readonly ok: false; readonly shortfalls: readonly [Shortfall, ...Shortfall[]] }

export type ResolveOutcome = 'done' | 'already_settled' | 'already_voided' | 'already_expired'

export type HoldState = 'held' | 'settled' | 'voided' | 'expired'

export interface Hold {
  readonly requestId: string
  readonly attempt: number
  readonly state: HoldState
  readonly places: Places
  /** What was asked for, per metric. */
  readonly amounts: Amounts
  /** What each place took, where one of them could not take all of it without its total overflowing; else null. */
  readonly taken: readonly bigint[] | null
  /** Monotonic ms after which an unresolved hold is a bug and expires. */
  readonly deadline: number
}

/** What a hold took on the place at `index`. */
export function heldAt({ places, amounts, taken }: Hold, index: number): bigint {
  return taken === null ? (amounts[(places[index] as Place).metric] as bigint) : (taken[index] as bigint)
}

/** The charges of a hold as the journal carries them. */
export function chargesOf(hold: Hold): Charges {
  if (hold.taken === null) return new PlacedCharges(hold.places, hold.amounts, true)
  return hold.places.map((place, index) => chargeLine(place, heldAt(hold, index)))
}
