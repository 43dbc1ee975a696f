/**
 * Estimate: what a request may use, before it is forwarded.
 */
import type { NanoUsd } from '../units/money.ts'

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
