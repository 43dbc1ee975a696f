/**
 * A price: what one model of one provider costs at a time, compiled to integers.
 */
import type { NanoUsd } from '../units/money.ts'
import type { Usage } from '../usage/usage.ts'

export interface Price {
  /** The exact cost of reported usage, in nano-dollars, rounded up once. */
  cost(usage: Usage): NanoUsd
  /**
   * The most that a request of at most this many tokens can cost: input at the dearest rate its body can trigger (cache write,
   * long-context tier, audio), output at the dearest output rate, plus its fees, at the dearest service tier that it can be served at.
   * Nano-dollars, rounded up.
   */
  bound(inputTokens: number, outputTokens: number, extras?: Extras): NanoUsd
  /** What is told of it in lists, in nano-dollars per million tokens; absent where it cannot be told in three numbers. */
  readonly shown?: ShownRates
}

/** What a request asks for that costs more than its tokens. */
export interface Extras {
  /** Searches of the web that the provider may run. */
  readonly webSearches: number
  /** The same in files that it keeps. Absent = none. */
  readonly fileSearches?: number
  /** What it asks to be served as, in the provider's words. */
  readonly serviceTiers: readonly string[]
}

export interface ShownRates {
  readonly input: bigint
  readonly output: bigint
  readonly cacheRead: bigint
}

/** A provider as far as prices and model names depend on it. */
export interface PricedProvider {
  readonly name: string
  readonly kind: string
  /** Tells who an OpenAI-compatible provider is, where its name does not. */
  readonly baseUrl?: string
}

export interface PriceBook {
  /** The price of `model` at `provider` at `now` (ms), or null where none is known. Cheap after the first call for a pair. */
  priceOf(provider: PricedProvider, model: string, now: number): Price | null
}
