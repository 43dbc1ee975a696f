/**
 * Rates: what the parts of a model's usage cost, as whole nano-dollars per million tokens, and the arithmetic over them.
 *
 * Prices come as floats and are made integers once (0.3 × 10^9 is not one by itself), so that a cost is a sum of exact products,
 * rounded up once.
 */
import { costOfTokenProducts, type NanoUsd, nanoUsd } from '../units/money.ts'
import { NO_USAGE, type Usage } from '../usage/usage.ts'
import type { Extras, Price, ShownRates } from './price.ts'
import { dearestRatioOf, ONE_TIER, type Ratio, ratioOf, type ServiceTiers } from './ratio.ts'

/** Nano-dollars per million tokens of each part. */
export interface Rates {
  readonly input: bigint
  readonly output: bigint
  readonly cacheRead: bigint
  readonly cacheReadAudio: bigint
  readonly cacheReadImage: bigint
  readonly cacheWrite: bigint
  readonly cacheWrite1h: bigint
  readonly inputAudio: bigint
  readonly outputAudio: bigint
  readonly inputImage: bigint
  readonly outputImage: bigint
  readonly inputVideo: bigint
  readonly outputVideo: bigint
  readonly reasoning: bigint
  readonly citation: bigint
}

/** What is known of a model's rates: a part without its own rate costs what the part around it costs, never nothing. */
export interface KnownRates {
  readonly input: bigint
  readonly output: bigint
  readonly cacheRead?: bigint | undefined
  readonly cacheReadAudio?: bigint | undefined
  readonly cacheReadImage?: bigint | undefined
  readonly cacheWrite?: bigint | undefined
  readonly cacheWrite1h?: bigint | undefined
  readonly inputAudio?: bigint | undefined
  readonly outputAudio?: bigint | undefined
  readonly inputImage?: bigint | undefined
  readonly outputImage?: bigint | undefined
  readonly inputVideo?: bigint | undefined
  readonly outputVideo?: bigint | undefined
  readonly reasoning?: bigint | undefined
  readonly citation?: bigint | undefined
}

export function ratesOf(known: KnownRates): Rates {
  const { input, output } = known
  const cacheWrite = known.cacheWrite ?? input
  return {
    input,
    output,
    cacheRead: known.cacheRead ?? input,
    cacheReadAudio: known.cacheReadAudio ?? known.cacheRead ?? known.inputAudio ?? input,
    cacheReadImage: known.cacheReadImage ?? known.cacheRead ?? known.inputImage ?? input,
    cacheWrite,
    cacheWrite1h: known.cacheWrite1h ?? cacheWrite,
    inputAudio: known.inputAudio ?? input,
    outputAudio: known.outputAudio ?? output,
    inputImage: known.inputImage ?? input,
    outputImage: known.outputImage ?? output,
    inputVideo: known.inputVideo ?? input,
    outputVideo: known.outputVideo ?? output,
    reasoning: known.reasoning ?? output,
    citation: known.citation ?? output,
  }
}

/** Rates that apply to the whole request once its input is longer than `above` tokens. */
export interface Tier {
  readonly above: number
  readonly rates: Rates
}

/** A model's rates at one time. */
export interface RateCard {
  readonly base: Rates
  /** By rising `above`. */
  readonly tiers: readonly Tier[]
  readonly perRequest: NanoUsd
  /** Per search of the web. Absent = none is charged for. */
  readonly perWebSearch?: NanoUsd
  /** The same for one in files. */
  readonly perFileSearch?: NanoUsd
}

/** A rate card as the price that routing, estimates and settlement ask. */
export class CardPrice implements Price {
  readonly #card: RateCard
  readonly #tiers: ServiceTiers
  /** The dearest rates of requests above each length, the first of them above none. */
  readonly #dearest: readonly Dearest[]

  constructor(card: RateCard, tiers: ServiceTiers = ONE_TIER) {
    this.#card = card
    this.#tiers = tiers
    this.#dearest = dearestOf(card)
  }

  get shown(): ShownRates {
    return this.#card.base
  }

  cost(usage: Usage): NanoUsd {
    const { tiers, perRequest } = this.#card
    let rates = this.#card.base
    for (const tier of tiers) if (usage.inputTokens > tier.above) rates = tier.rates
    const ratio = ratioOf(this.#tiers, usage.serviceTiers)
    const tokens = costOfTokenProducts(scaled(productsOf(usage, rates), ratio))
    return nanoUsd(tokens + BigInt(usage.fees) * perRequest + this.#searches(usage))
  }

  bound(inputTokens: number, outputTokens: number, extras: Extras = NO_USAGE): NanoUsd {
    const { input, output } = this.#dearest.findLast(({ above }) => inputTokens > above) as Dearest
    const ratio = dearestRatioOf(this.#tiers, extras.serviceTiers)
    const products = scaled(BigInt(inputTokens) * input + BigInt(outputTokens) * output, ratio)
    return nanoUsd(costOfTokenProducts(products) + this.#card.perRequest + this.#searches(extras))
  }

  #searches({ webSearches, fileSearches = 0 }: Pick<Extras, 'webSearches' | 'fileSearches'>): bigint {
    const { perWebSearch = 0n, perFileSearch = 0n } = this.#card
    return BigInt(webSearches) * perWebSearch + BigInt(fileSearches) * perFileSearch
  }
}

/** Upwards where it does not come out even: a fraction of a fraction of a nano-dollar, well inside the one rounding that follows. */
function scaled(products: bigint, { times, over }: Ratio): bigint {
  return times === over ? products : (products * times + over - 1n) / over
}

/**
 * The exact sum of tokens × rate. A provider's parts may overlap (cached audio is both): what one part has taken, the next no longer
 * has, so that no token is priced twice.
 */
function productsOf(usage: Usage, rates: Rates): bigint {
  let input = usage.inputTokens
  let output = usage.outputTokens
  let sum = 0n
  const take = (tokens: number, available: number, rate: bigint): number => {
    // A report may tell of more cached sound than of sound.
    const taken = Math.max(0, Math.min(tokens, available))
    if (taken > 0) sum += BigInt(taken) * rate
    return available - taken
  }
  const cachedAudio = Math.min(usage.cacheReadAudioTokens, usage.cacheReadTokens)
  const cachedImage = Math.min(usage.cacheReadImageTokens, usage.cacheReadTokens - cachedAudio)
  if (usage.cacheReadTokens > 0) {
    input = take(cachedAudio, input, rates.cacheReadAudio)
    input = take(cachedImage, input, rates.cacheReadImage)
    input = take(usage.cacheReadTokens - cachedAudio - cachedImage, input, rates.cacheRead)
  }
  if (usage.cacheWriteTokens > 0) {
    const hour = Math.min(usage.cacheWrite1hTokens, usage.cacheWriteTokens)
    input = take(hour, input, rates.cacheWrite1h)
    input = take(usage.cacheWriteTokens - hour, input, rates.cacheWrite)
  }
  if (usage.inputAudioTokens > 0) input = take(usage.inputAudioTokens - cachedAudio, input, rates.inputAudio)
  if (usage.inputImageTokens > 0) input = take(usage.inputImageTokens - cachedImage, input, rates.inputImage)
  if (usage.inputVideoTokens > 0) input = take(usage.inputVideoTokens, input, rates.inputVideo)
  if (usage.outputAudioTokens > 0) output = take(usage.outputAudioTokens, output, rates.outputAudio)
  if (usage.outputImageTokens > 0) output = take(usage.outputImageTokens, output, rates.outputImage)
  if (usage.outputVideoTokens > 0) output = take(usage.outputVideoTokens, output, rates.outputVideo)
  if (usage.reasoningTokens > 0) output = take(usage.reasoningTokens, output, rates.reasoning)
  if (usage.citationTokens > 0) output = take(usage.citationTokens, output, rates.citation)
  take(input, input, rates.input)
  take(output, output, rates.output)
  return sum
}

/** Nano-dollars per million tokens. */
interface Dearest {
  readonly above: number
  readonly input: bigint
  readonly output: bigint
}

/** A tier may be cheaper than the one below it, at which fewer tokens than were estimated are priced. */
function dearestOf({ base, tiers }: RateCard): readonly Dearest[] {
  let [input, output] = [0n, 0n]
  return [{ above: Number.NEGATIVE_INFINITY, rates: base }, ...tiers].map(({ above, rates }) => {
    input = dearest(input, ...INPUT_RATES.map((rate) => rates[rate]))
    output = dearest(output, ...OUTPUT_RATES.map((rate) => rates[rate]))
    return { above, input, output }
  })
}

const INPUT_RATES = [
  'input',
  'cacheRead',
  'cacheReadAudio',
  'cacheReadImage',
  'cacheWrite',
  'cacheWrite1h',
  'inputAudio',
  'inputImage',
  'inputVideo',
] as const
const OUTPUT_RATES = ['output', 'outputAudio', 'outputImage', 'outputVideo', 'reasoning', 'citation'] as const

function dearest(...rates: readonly bigint[]): bigint {
  return rates.reduce((a, b) => (a > b ? a : b))
}
