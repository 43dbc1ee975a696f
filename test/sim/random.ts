/** Choices that a seed repeats. */
import { randomFrom } from '../../src/sim/random.ts'

export class Random {
  /** At least 0, below 1. */
  readonly next: () => number

  constructor(seed: number) {
    this.next = randomFrom(seed)
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.between(0, list.length - 1)] as T
  }

  /** One of a list that may be empty. */
  maybe<T>(list: readonly T[]): T | undefined {
    return list[this.between(0, list.length - 1)]
  }

  /** From 0 to `high`, both included; every value may come up, small ones as often as large ones. */
  amountTo(high: bigint): bigint {
    if (high <= 0n) return 0n
    const digits = this.between(1, high.toString().length)
    let drawn = 0n
    for (let digit = 0; digit < digits; digit++) drawn = drawn * 10n + BigInt(this.between(0, 9))
    return drawn > high ? drawn % (high + 1n) : drawn
  }
}
