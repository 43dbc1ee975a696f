/** Ratios: exact factors on a price, and what words make of them. */

/** An exact factor: `times / over`. */
export interface Ratio {
  readonly times: bigint
  readonly over: bigint
}

export const STANDARD: Ratio = { times: 1n, over: 1n }

/** What a word multiplies a model's price by. */
export type ServiceTiers = (tier: string) => Ratio

/** For prices that no provider's words change. */
export const ONE_TIER: ServiceTiers = () => STANDARD

/** All words together. */
export function ratioOf(tiers: ServiceTiers, words: readonly string[]): Ratio {
  let { times, over } = STANDARD
  for (const word of words) {
    const ratio = tiers(word)
    times *= ratio.times
    over *= ratio.over
  }
  return { times, over }
}

/** The dearest that a request can be served at that asks in these words: a cheaper tier may be answered at the standard one. */
export function dearestRatioOf(tiers: ServiceTiers, words: readonly string[]): Ratio {
  return ratioOf(
    tiers,
    words.filter((word) => {
      const { times, over } = tiers(word)
      return times > over
    }),
  )
}
