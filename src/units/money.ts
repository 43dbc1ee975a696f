/**
 * Money: whole nano-dollars as `bigint` inside, decimal dollar strings at every edge.
 *
 * Nano is the only decimal scale with room both ways: $0.15 per million tokens is 150 nano-dollars a token, and a signed 64-bit
 * column still holds nine billion dollars.
 */

/** An amount in nano-dollars (10^-9 USD). Made here, from rows, or by arithmetic on other amounts of the kind. */
export type NanoUsd = bigint & { readonly __unit: 'nano-usd' }

export const NANO_PER_USD = 1_000_000_000n
const TOKENS_PER_PRICE = 1_000_000n

/** The form in which amounts cross an edge: up to nine digits of dollars, up to nine decimals. */
export const USD_PATTERN = '^\\d{1,9}(\\.\\d{1,9})?$'
const USD = new RegExp(USD_PATTERN)

export const ZERO_USD = 0n as NanoUsd

/** Marks an integer that is known to count nano-dollars, such as a BIGINT column whose name says so. */
export function nanoUsd(amount: bigint): NanoUsd {
  return amount as NanoUsd
}

/** Reads `"12.5"` as 12,500,000,000 nano-dollars; `null` when the text is not such a decimal. */
export function parseUsd(text: string): NanoUsd | null {
  if (!USD.test(text)) return null
  const [dollars = '0', decimals = ''] = text.split('.')
  return nanoUsd(BigInt(dollars) * NANO_PER_USD + BigInt(decimals.padEnd(9, '0')))
}

/** Writes nano-dollars as dollars: at least two decimals, at most nine, no further trailing zeros. */
export function formatUsd(amount: bigint): string {
  const sign = amount < 0n ? '-' : ''
  const digits = (amount < 0n ? -amount : amount).toString().padStart(10, '0')
  const decimals = digits.slice(-9).replace(/0{1,7}$/, '')
  return `${sign}${digits.slice(0, -9)}.${decimals}`
}

/** Quotient rounded up; both arguments at least zero, the divisor above it. */
export function ceilDiv(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor
}

/**
 * The cost of a sum of `tokens × price` products, each price in nano-dollars per million tokens: the one rounding of a request,
 * upwards.
 */
export function costOfTokenProducts(sum: bigint): NanoUsd {
  return nanoUsd(ceilDiv(sum, TOKENS_PER_PRICE))
}
