/**
 * A hold: the amounts one attempt has set aside on every limit it meets, and what became of them.
 *
 *   held ──▶ settled | voided | expired, once. A second call is an outcome, not an error.
 *                                └──▶ settled late, once: the books are corrected by the difference.
 */
import { type Limit, METRICS, type Metric } from '../store/entities.ts'
import type { WindowSpec } from '../units/window.ts'
import type { ChargeLine } from './facts.ts'
import type { MeterReading } from './reading.ts'

/** An amount per metric, in the order of `METRICS`; nano-dollars for `cost`. */
export type Amounts = readonly bigint[]

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

/** One limit a hold lies on: which memory, which window, how much. */
export interface Charge {
  readonly limit: Limit
  /** Index of the metric in `METRICS`. */
  readonly metric: number
  readonly slot: number
  /** The slot's generation when it was held: a mismatch at settlement means the limit has gone, and only the books are told. */
  readonly generation: number
  readonly windowStart: number
  /** The meter's own count of its windows, by which it finds the cell again. */
  readonly windowNumber: number
  readonly amount: bigint
}

export type HoldState = 'held' | 'settled' | 'voided' | 'expired'

export interface Hold {
  readonly requestId: string
  readonly attempt: number
  readonly state: HoldState
  readonly charges: readonly Charge[]
  /** Monotonic ms after which an unresolved hold is a bug and expires. */
  readonly deadline: number
}

/**
 * The charges as the journal and the events carry them: the amounts held, or with `posted` the amounts that were finally taken, without
 * the limits that nothing was taken from.
 */
export function chargeLines(charges: readonly Charge[], posted?: Amounts): ChargeLine[] {
  const lines: ChargeLine[] = []
  for (const charge of charges) {
    const taken = posted === undefined ? charge.amount : (posted[charge.metric] as bigint)
    if (posted === undefined || taken !== 0n) lines.push(chargeLine(charge, taken))
  }
  return lines
}

export function chargeLine({ limit, windowStart }: Charge, amount: bigint): ChargeLine {
  return [limit.id, limit.countNumber, windowStart, limit.metric, amount.toString()]
}
