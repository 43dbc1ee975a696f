/**
 * Charges: which limits an attempt lies on, in which of their windows, and with how much.
 *
 * Holds of one chain in the same windows lie on the same places. These are made once and shared, so that a hold is a few amounts, memory
 * keeps ten objects less for each fact that waits for the books, and the journal names the limits once for many lines.
 */
import type { Limit, Metric } from '../store/entities.ts'

/** An amount per metric, in the order of `METRICS`; nano-dollars for `cost`. */
export type Amounts = readonly bigint[]

/** What one attempt set aside or took on one limit: `[limit id, count number, window start in ms, metric, amount]`. */
export type ChargeLine = readonly [
  limitId: string,
  countNumber: number,
  windowStart: number,
  metric: Metric,
  amount: string,
]

/** Charges as facts carry them: line by line, or as amounts on places that others share. */
export type Charges = readonly ChargeLine[] | PlacedCharges

/** One limit a hold lies on: which memory, which window. */
export interface Place {
  readonly limit: Limit
  /** Index of the metric in `METRICS`. */
  readonly metric: number
  readonly slot: number
  /** The slot's generation when it was held: a mismatch at settlement means the limit has gone, and only the books are told. */
  readonly generation: number
  readonly windowStart: number
  /** The meter's own count of its windows, by which it finds the cell again. */
  readonly windowNumber: number
}

/** The places of a chain, in its order, at one moment: one list for all that lie there, known by being the same one. */
export type Places = readonly Place[]

/** The same amounts on every place, each metric's where that metric is counted. */
export class PlacedCharges {
  readonly places: Places
  readonly amounts: Amounts
  /** Limits that nothing is taken from have a line too: what is held has, what is posted has not. */
  readonly withNothing: boolean

  constructor(places: Places, amounts: Amounts, withNothing: boolean) {
    this.places = places
    this.amounts = amounts
    this.withNothing = withNothing
  }

  amountOn({ metric }: Place): bigint {
    return this.amounts[metric] as bigint
  }

  /** Line by line. */
  lines(): ChargeLine[] {
    const lines: ChargeLine[] = []
    for (const place of this.places) {
      const amount = this.amountOn(place)
      if (this.withNothing || amount !== 0n) lines.push(chargeLine(place, amount))
    }
    return lines
  }

  /** Whoever writes them without knowing the places writes them line by line. */
  toJSON(): ChargeLine[] {
    return this.lines()
  }
}

export function chargeLine({ limit, windowStart }: Place, amount: bigint): ChargeLine {
  return [limit.id, limit.countNumber, windowStart, limit.metric, amount.toString()]
}

export function linesOf(charges: Charges): readonly ChargeLine[] {
  return charges instanceof PlacedCharges ? charges.lines() : charges
}

/** The JSON of charges, for many of them one after the other: what those on the same places have in common is made once. */
export class ChargesText {
  /** The JSON of each place's line up to its amount. */
  readonly #heads = new Map<Places, readonly string[]>()

  of(charges: Charges): string {
    if (!(charges instanceof PlacedCharges)) return JSON.stringify(charges)
    const { places } = charges
    const heads = this.#headsOf(places)
    let text = ''
    for (let index = 0; index < places.length; index += 1) {
      const amount = charges.amountOn(places[index] as Place)
      if (charges.withNothing || amount !== 0n) text += `${text === '' ? '' : ','}${heads[index]}${amount}"]`
    }
    return `[${text}]`
  }

  #headsOf(places: Places): readonly string[] {
    let heads = this.#heads.get(places)
    if (heads === undefined) {
      heads = places.map((place) => JSON.stringify(chargeLine(place, 0n)).slice(0, -'0"]'.length))
      this.#heads.set(places, heads)
    }
    return heads
  }
}
