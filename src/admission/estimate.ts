/**
 * Estimate: what a request may use, before it is forwarded.
 */
import type { NanoUsd } from '../units/money.ts'

/** What the tokenizer says of a request's texts. */
export interface TextCount {
  /** Tokens of o200k, the tokenizer of OpenAI's current models. */
  readonly tokens: number
  /** What a bound for any other tokenizer must not fall below, whatever o200k makes of the texts. */
  readonly floor: number
}

export interface Estimate {
  /** For token limits an expectation, so that rate limits do not refuse phantoms. */
  readonly inputTokens: number
  readonly outputTokens: number
  /** For cost limits a bound: nano-dollars that this request cannot pass where the client names an output ceiling. Zero without a price. */
  readonly costNanoUsd: NanoUsd
  /** The cost of the input alone (expectation), for attempts that end without a report. */
  readonly inputCostNanoUsd: NanoUsd
  /** How the input was counted. */
  readonly basis: 'bytes' | 'tokenizer' | 'flat'
}
