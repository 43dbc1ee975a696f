/**
 * Totals: 64-bit sums that never wrap and never fall below zero.
 *
 * 2^63 − 1 nano-dollars are nine billion dollars. An enforced limit is full long before; an observed one may be asked for any amount, and
 * a total that wrapped would read as empty.
 */

const TOTAL_MAX = 2n ** 63n - 1n

/** An amount from elsewhere as a total can hold it. */
export function inRange(total: bigint): bigint {
  if (total < 0n) return 0n
  return total > TOTAL_MAX ? TOTAL_MAX : total
}

/** Adds an amount that is not negative. Returns what was added: all of it, or what the total could still take. */
export function add(totals: BigInt64Array, at: number, amount: bigint): bigint {
  const total = totals[at] as bigint
  const room = TOTAL_MAX - total
  const added = amount > room ? room : amount
  totals[at] = total + added
  return added
}

/** Adds an amount that may be negative. Returns by how much the total has moved. */
export function move(totals: BigInt64Array, at: number, delta: bigint): bigint {
  const total = totals[at] as bigint
  const moved = inRange(total + delta)
  totals[at] = moved
  return moved - total
}
