/**
 * Charges: which limits an attempt lies on, in which of their windows, and with how much.
 *
 * Holds of one chain in the same windows lie on the same places. These are made once and shared, so that a hold is a few amounts, memory
 * keeps ten objects less for each fact that waits for the books, and the journal names the limits once in each of its files.
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

let placesMade = 0

/** The places of a chain, in its order, at one moment. */
export class Places {
  /** No other places of this process have it: what journal lines call them by. */
  readonly number = ++placesMade
  readonly list: readonly Place[]
  #heads: readonly string[] | null = null

  constructor(list: readonly Place[]) {
    this.list = list
  }

  /** The JSON of each place's lines, up to the amount: written with every event that the books take. */
  get heads(): readonly string[] {
    this.#heads ??= this.list.map((place) => JSON.stringify(chargeLine(place, 0n)).slice(0, -'0"]'.length))
    return this.#heads
  }
}

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
    for (const place of this.places.list) {
      const amount = this.amountOn(place)
      if (this.withNothing || amount !== 0n) lines.push(chargeLine(place, amount))
    }
    return lines
  }

  /** The JSON of {@link lines}. */
  text(): string {
    const { list, heads } = this.places
    let text = ''
    for (let index = 0; index < list.length; index += 1) {
      const amount = this.amountOn(list[index] as Place)
      if (this.withNothing || amount !== 0n) text += `${text === '' ? '' : ','}${heads[index]}${amount}"]`
    }
    return `[${text}]`
  }

  /** Whoever writes them without knowing the places writes them line by line. */
  toJSON(): ChargeLine[] {
    return this.lines()
  }
}

export function chargeLine({ limit, windowStart }: Place, amount: bigint): ChargeLine {
  return [limit.id, limit.countNumber, windowStart, limit.metric, amount.toString()]
}

export function chargesText(charges: Charges): string {
  return charges instanceof PlacedCharges ? charges.text() : JSON.stringify(charges)
}

export function linesOf(charges: Charges): readonly ChargeLine[] {
  return charges instanceof PlacedCharges ? charges.lines() : charges
}
