/**
 * Distribution: how values are spread, counted as plain numbers. prom-client's histogram finds its labels and its bucket by text, with every
 * value: three of them cost a request a hundredth of its time.
 */

/** The lines of one histogram as Prometheus has them, counted up from the smallest bound. */
export interface Spread {
  readonly buckets: readonly (readonly [bound: number, count: number])[]
  readonly sum: number
  readonly count: number
}

export class Distribution {
  readonly #bounds: readonly number[]
  /** One more than there are bounds: the last is for what is above all of them. */
  readonly #counts: number[]
  #sum = 0

  /** @param bounds the buckets' upper bounds, themselves included, smallest first */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  add(value: number): void {
    let at = 0
    while (at < this.#bounds.length && value > (this.#bounds[at] as number)) at += 1
    this.#counts[at] = (this.#counts[at] as number) + 1
    this.#sum += value
  }

  get spread(): Spread {
    let count = 0
    const buckets = this.#counts.map((own, at): [number, number] => {
      count += own
      return [this.#bounds[at] ?? Number.POSITIVE_INFINITY, count]
    })
    return { buckets, sum: this.#sum, count }
  }
}
