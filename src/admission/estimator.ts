/**
 * Estimator: what a request may use, from its size alone, in about a microsecond; and from the count of its tokens, where there is one.
 *
 * Two answers, because two questions: a cost limit asks for a *bound* (one token per byte is one: random text and rare scripts come
 * to 0.96 to 1.00 tokens per byte, and no tokenizer needs more), a token limit for an *expectation* (English and code need a
 * quarter of that, and a rate limit must not refuse phantoms). The expectation learns from what providers report.
 */
import type { Extras, Price } from '../pricing/price.ts'
import { type NanoUsd, nanoUsd, ZERO_USD } from '../units/money.ts'
import { NO_USAGE } from '../usage/usage.ts'
import type { Estimate } from './estimate.ts'
import { imageInputTokens, pageInputTokens } from './image-tokens.ts'
import type { ApiFormat, RequestFacts } from './request-facts.ts'

export interface EstimatorOptions {
  /** Output tokens of one answer where the request names no ceiling. */
  readonly assumedOutputTokens: number
  /** Input tokens of one file, and of one image at a model whose rule is not known. */
  readonly attachmentTokens?: number
  /** Input tokens of what the provider already stores (earlier responses, files, server tools): unknown here, so a flat number. */
  readonly storedInputTokens?: number
  /** How many tokens of another provider's tokenizer are reckoned with for one of OpenAI's. */
  readonly otherTokenizers?: number
}

/** Role names, separators and the like that a provider adds around each message and tool. */
const TOKENS_PER_MESSAGE = 8

const RATIO_AT_FIRST = 0.35
const RATIO_MIN = 0.2
const RATIO_MAX = 1
/** How many bytes the first guess weighs: after about so much reported text, what was learned counts for half. */
const BYTES_AT_FIRST = 20_000
/** A ratio follows roughly the last 200 requests of its kind. */
const DECAY = 0.995
/** Formats × families are few; this only keeps a mistaken caller from growing the table for ever. */
const RATIOS_MAX = 1_000

/**
 * No request can produce more output than this: it only keeps hostile ceilings (2^53 − 1 answers of 2^53 − 1 tokens) inside the
 * numbers that meters can add up.
 */
const OUTPUT_TOKENS_MAX = 10_000_000_000
/** One billion dollars: above every limit's maximum, so a request that costs as much can never pass one. */
const COST_MAX: NanoUsd = nanoUsd(1_000_000_000_000_000_000n)

interface Learned {
  tokens: number
  bytes: number
}

export class Estimator {
  readonly #assumedOutputTokens: number
  readonly #attachmentTokens: number
  readonly #storedInputTokens: number
  readonly #otherTokenizers: number
  readonly #learned = new Map<string, Learned>()

  constructor(options: EstimatorOptions) {
    this.#assumedOutputTokens = options.assumedOutputTokens
    this.#attachmentTokens = options.attachmentTokens ?? 5_000
    this.#storedInputTokens = options.storedInputTokens ?? 10_000
    this.#otherTokenizers = options.otherTokenizers ?? 1.5
  }

  /**
   * @param price null where none is known: then the costs are zero
   * @param family the model family, which shares one learned ratio; '' for models in none
   * @param countedExactly whether the request's count, where it has one, is the model's own
   * @param model its name at the provider, by which images are reckoned
   */
  estimate(facts: RequestFacts, price: Price | null, family: string, countedExactly = false, model = ''): Estimate {
    const { inputBound, inputTokens } = this.#input(facts, family, countedExactly, model)
    const outputTokens = this.#outputTokens(facts)
    const { webSearches = 0, fileSearches = 0, serviceTiers = [] } = facts
    const extras = { webSearches, fileSearches, serviceTiers }
    const input = { ...NO_USAGE, inputTokens, serviceTiers: extras.serviceTiers }
    return {
      inputTokens,
      outputTokens,
      costNanoUsd: price === null ? ZERO_USD : capped(this.#bound(facts, price, inputBound, outputTokens, extras)),
      inputCostNanoUsd: price === null ? ZERO_USD : capped(price.cost(input)),
      basis:
        facts.usesStoredInput || facts.flatInputTokens !== undefined
          ? 'flat'
          : facts.counted === undefined
            ? 'bytes'
            : 'tokenizer',
    }
  }

  #bound(facts: RequestFacts, price: Price, input: number, output: number, extras: Extras): NanoUsd {
    // Summing up reads everything once more, and what it writes has no ceiling that a client could name.
    const bound = price.bound(input, output, extras)
    if (facts.compactsFrom === undefined || input < facts.compactsFrom) return bound
    return nanoUsd(
      bound + price.bound(input, this.#assumedOutputTokens, { ...extras, webSearches: 0, fileSearches: 0 }),
    )
  }

  #input(
    facts: RequestFacts,
    family: string,
    countedExactly: boolean,
    model: string,
  ): { inputBound: number; inputTokens: number } {
    if (facts.flatInputTokens !== undefined) {
      return { inputBound: facts.flatInputTokens, inputTokens: facts.flatInputTokens }
    }
    const flat = this.#attached(facts, model) + (facts.usesStoredInput ? this.#storedInputTokens : 0)
    const beside = facts.messages * TOKENS_PER_MESSAGE + flat
    const bytesBound = facts.textBytes + beside
    if (facts.counted === undefined || facts.usesStoredInput) {
      const inputTokens = Math.min(bytesBound, this.tokensOfText(facts.textBytes, facts.format, family) + flat)
      return { inputBound: bytesBound, inputTokens }
    }
    const { tokens, floor } = facts.counted
    const likely = countedExactly ? tokens : Math.ceil(tokens * this.#otherTokenizers)
    const safe = countedExactly ? tokens : Math.max(likely, floor)
    // No tokenizer makes more tokens than there are bytes.
    return { inputBound: Math.min(bytesBound, safe + beside), inputTokens: Math.min(bytesBound, likely + beside) }
  }

  #attached({ attachments, images = [], documentPages = [] }: RequestFacts, model: string): number {
    let tokens = (attachments - images.length - documentPages.length) * this.#attachmentTokens
    for (const image of images) tokens += imageInputTokens(image, model) ?? this.#attachmentTokens
    for (const pages of documentPages) tokens += pages * pageInputTokens(model)
    return tokens
  }

  /** Takes what a provider reported for a request; inputs whose size says nothing teach nothing. */
  learn(facts: RequestFacts, family: string, reportedInputTokens: number): void {
    if (facts.flatInputTokens !== undefined || facts.attachments > 0 || facts.usesStoredInput) return
    if (facts.textBytes === 0 || !(reportedInputTokens > 0)) return
    const name = ratioName(facts.format, family)
    let learned = this.#learned.get(name)
    if (learned === undefined) {
      if (this.#learned.size >= RATIOS_MAX) return
      learned = { tokens: RATIO_AT_FIRST * BYTES_AT_FIRST, bytes: BYTES_AT_FIRST }
      this.#learned.set(name, learned)
    }
    learned.tokens = learned.tokens * DECAY + Math.min(reportedInputTokens, facts.textBytes)
    learned.bytes = learned.bytes * DECAY + facts.textBytes
  }

  /** Tokens expected in so many bytes of text, sent to or written by a model. */
  tokensOfText(bytes: number, format: ApiFormat, family: string): number {
    return Math.ceil(bytes * this.ratioOf(format, family))
  }

  /** Tokens per byte expected of a format and model family. */
  ratioOf(format: ApiFormat, family: string): number {
    const learned = this.#learned.get(ratioName(format, family))
    if (learned === undefined) return RATIO_AT_FIRST
    return Math.min(RATIO_MAX, Math.max(RATIO_MIN, learned.tokens / learned.bytes))
  }

  #outputTokens(facts: RequestFacts): number {
    const { producesOutput, outputCeiling, choices, flatOutputTokens, predictedTokens = 0 } = facts
    if (flatOutputTokens !== undefined) return Math.min(OUTPUT_TOKENS_MAX, flatOutputTokens)
    if (!producesOutput) return 0
    return Math.min(OUTPUT_TOKENS_MAX, (outputCeiling ?? this.#assumedOutputTokens) * choices + predictedTokens)
  }
}

function ratioName(format: ApiFormat, family: string): string {
  return `${format} ${family}`
}

function capped(cost: NanoUsd): NanoUsd {
  return cost > COST_MAX ? COST_MAX : cost
}
