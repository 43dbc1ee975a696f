/**
 * Usage: the tokens of one attempt, in the contract's terms.
 *
 * `inputTokens` is all input, cache reads and writes included; `outputTokens` includes reasoning. The other fields are parts of
 * these two, never additions to them.
 */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  /** The sound and the pictures among those. */
  readonly cacheReadAudioTokens: number
  readonly cacheReadImageTokens: number
  /** All cache writes; `cacheWrite1hTokens` is the part that is kept for an hour, which some providers price higher. */
  readonly cacheWriteTokens: number
  readonly cacheWrite1hTokens: number
  readonly reasoningTokens: number
  /** What was read of the pages that an answer cites, where that is billed as a part of the output. */
  readonly citationTokens: number
  readonly inputAudioTokens: number
  readonly outputAudioTokens: number
  readonly inputImageTokens: number
  readonly outputImageTokens: number
  readonly inputVideoTokens: number
  readonly outputVideoTokens: number
  /** How often the fee per request is due: once, but for reranking, where every search of it is billed. */
  readonly fees: number
  /** Searches of the web that the provider has run for it, each for a fee. */
  readonly webSearches: number
  /** The same in files that the provider keeps. */
  readonly fileSearches: number
  /** What summing up the conversation took, each time, beside all of the above: by the same model, at the rates of its own length. */
  readonly compactions: readonly Usage[]
  /** What models that were called as tools have used, beside all of the above; null where it is not known. */
  readonly toolUse: readonly ToolUse[] | null
  /** What it was served as that is priced apart, in the provider's words: its service tier, speed, region. Empty = nothing was said. */
  readonly serviceTiers: readonly string[]
}

/** What a model that was called as a tool has used. */
export interface ToolUse {
  /** Null where the provider does not name it. */
  readonly model: string | null
  readonly usage: Usage
}

/** Models of sound that are charged by its length report seconds; every second of it counts as so many input tokens. */
export const TOKENS_PER_AUDIO_SECOND = 10

/** A provider's word for a service tier as prices know it; Gemini's enumeration has a long and a short form. */
export function tierWord(word: string): string {
  return word.toLowerCase().replace(/^service_tier_/, '')
}

export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheReadAudioTokens: 0,
  cacheReadImageTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  citationTokens: 0,
  inputAudioTokens: 0,
  outputAudioTokens: 0,
  inputImageTokens: 0,
  outputImageTokens: 0,
  inputVideoTokens: 0,
  outputVideoTokens: 0,
  fees: 1,
  webSearches: 0,
  fileSearches: 0,
  compactions: [],
  toolUse: [],
  serviceTiers: [],
}
