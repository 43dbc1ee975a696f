/**
 * Report: a provider's own account of an attempt's tokens, read from the three shapes in which providers write it.
 *
 * Strict where money follows: a count that is negative, fractional, a string or absurdly large is no count, and a report without its
 * main counts is no report. Lenient where providers differ: names of both OpenAI APIs, parts inside or beside their whole.
 */
import { isObject, type JsonObject, objectOf } from '../units/json-object.ts'
import type { ToolsUsed } from './tools-used.ts'
import { NO_USAGE, TOKENS_PER_AUDIO_SECOND, type ToolUse, tierWord, type Usage } from './usage.ts'

/** No attempt has a billion tokens; what says so is broken. */
const TOKENS_MAX = 1_000_000_000

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= TOKENS_MAX ? value : null
}

function part(value: unknown, whole: number): number {
  return Math.min(count(value) ?? 0, whole)
}

/** Words that are priced apart, as the provider reports them. */
function tiersIn(...words: readonly unknown[]): readonly string[] {
  return words.filter((word) => typeof word === 'string').map(tierWord)
}

/**
 * `usage` of chat, text completions, embeddings and responses.
 *
 * Some providers (xAI, Gemini's OpenAI surface) leave reasoning out of the output count but not out of the total, so the total wins
 * where it is larger.
 *
 * @param producesOutput false for embeddings, whose report has no output count
 * @param tier the answer's `service_tier`, which stands beside the report
 * @param tools what they have done, as the answer tells of it
 */
export function openaiUsage(
  usage: JsonObject,
  producesOutput: boolean,
  tier: unknown = null,
  tools: ToolsUsed = NO_USAGE,
): Usage | null {
  if (usage.type === 'duration') return lengthOfSound(usage.seconds)
  // Rerankers that make nothing report the sum alone.
  const sum = producesOutput ? undefined : usage.total_tokens
  const inputTokens = count(usage.prompt_tokens ?? usage.input_tokens ?? sum)
  if (inputTokens === null) return null
  const beyondInput = (count(usage.total_tokens) ?? 0) - inputTokens
  const completion = count(usage.completion_tokens ?? usage.output_tokens)
  if (completion === null && producesOutput && beyondInput < 0) return null
  const beside = researchIn(usage)
  const outputTokens = Math.max((completion ?? 0) + beside.reasoningTokens + beside.citationTokens, beyondInput)
  const input = objectOf(usage.prompt_tokens_details ?? usage.input_tokens_details ?? usage.input_token_details)
  const output = objectOf(usage.completion_tokens_details ?? usage.output_tokens_details)
  const cached = input.cached_tokens ?? usage.prompt_cache_hit_tokens ?? usage.cached_tokens
  return {
    ...NO_USAGE,
    inputTokens,
    outputTokens,
    cacheReadTokens: part(cached, inputTokens),
    cacheWriteTokens: part(input.cache_write_tokens, inputTokens),
    reasoningTokens: part(output.reasoning_tokens, outputTokens) || beside.reasoningTokens,
    citationTokens: beside.citationTokens,
    inputAudioTokens: part(input.audio_tokens, inputTokens),
    outputAudioTokens: part(output.audio_tokens, outputTokens),
    inputImageTokens: part(input.image_tokens, inputTokens),
    outputImageTokens: part(output.image_tokens, outputTokens),
    webSearches: tools.webSearches + beside.webSearches,
    fileSearches: tools.fileSearches,
    toolUse: tools.toolUse,
    serviceTiers: tiersIn(tier),
  }
}

/** What Perplexity reports beside its counts, and not in their total: only what has searched has one of these. */
function researchIn(usage: JsonObject): Pick<Usage, 'reasoningTokens' | 'citationTokens' | 'webSearches'> {
  const { num_search_queries: searches, citation_tokens: cited } = usage
  if (searches === undefined && cited === undefined) return NO_USAGE
  return {
    reasoningTokens: count(usage.reasoning_tokens) ?? 0,
    citationTokens: count(cited) ?? 0,
    webSearches: count(searches) ?? 0,
  }
}

/** `usage` of images that are made: where it does not say what of its output is text, all of it is images. */
export function imagesUsage(usage: JsonObject): Usage | null {
  const read = openaiUsage(usage, true)
  if (read === null || isObject(usage.output_tokens_details)) return read
  return { ...read, outputImageTokens: read.outputTokens }
}

/** `usage` of transcriptions: Mistral tells the length of what was heard beside the tokens, and charges by that. */
export function heardUsage(usage: JsonObject): Usage | null {
  const read = openaiUsage(usage, true)
  const heard = lengthOfSound(usage.prompt_audio_seconds)
  if (read === null || heard === null) return read ?? heard
  const inputTokens = Math.max(read.inputTokens, heard.inputTokens)
  // The sum counts what was heard in tokens of its own, which are no output.
  const outputTokens = count(usage.completion_tokens) ?? read.outputTokens
  return { ...read, inputTokens, inputAudioTokens: heard.inputTokens, outputTokens }
}

/** Models that are charged by the length of what they hear. */
function lengthOfSound(seconds: unknown): Usage | null {
  const inputTokens = typeof seconds === 'number' ? count(Math.ceil(seconds * TOKENS_PER_AUDIO_SECOND)) : null
  return inputTokens === null ? null : { ...NO_USAGE, inputTokens, inputAudioTokens: inputTokens }
}

/** Cohere's report of a reranking: searches, one for every hundred documents or so, and sometimes tokens. */
export function billedUnits(meta: JsonObject | null): Usage | null {
  const billed = objectOf(meta?.billed_units)
  const fees = count(billed.search_units)
  const inputTokens = count(billed.input_tokens ?? objectOf(meta?.tokens).input_tokens)
  if (fees === null && inputTokens === null) return null
  return { ...NO_USAGE, inputTokens: inputTokens ?? 0, fees: fees ?? 1 }
}

/**
 * `usage` of messages: what is read from and written to the cache stands beside the input there, not inside it. What summing up a long
 * conversation took and what an advisor has used are iterations that its totals leave out ("Compaction", "Advisor tool").
 */
export function anthropicUsage(usage: JsonObject): Usage | null {
  const total = iterationUsage(usage)
  if (total === null || !Array.isArray(usage.iterations)) return total
  const compactions: Usage[] = []
  const toolUse: ToolUse[] = []
  for (const iteration of usage.iterations.filter(isObject)) {
    const { type, model } = iteration
    const own = type === 'compaction' || type === 'advisor_message' ? iterationUsage(iteration) : null
    if (own === null) continue
    if (type === 'compaction') compactions.push({ ...own, fees: 0, serviceTiers: total.serviceTiers })
    else toolUse.push({ model: typeof model === 'string' ? model : null, usage: own })
  }
  return { ...total, compactions, toolUse }
}

function iterationUsage(usage: JsonObject): Usage | null {
  const plain = count(usage.input_tokens)
  const outputTokens = count(usage.output_tokens)
  if (plain === null || outputTokens === null) return null
  const cacheReadTokens = count(usage.cache_read_input_tokens) ?? 0
  const cacheWriteTokens = count(usage.cache_creation_input_tokens) ?? 0
  // Of several steps a stream tells at its end what each has written to the cache, and in sum only at its beginning.
  const kept = Math.max(
    keptForAnHour(usage),
    ownSteps(usage.iterations).reduce((sum, step) => sum + keptForAnHour(step), 0),
  )
  return {
    ...NO_USAGE,
    inputTokens: plain + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: Math.min(kept, cacheWriteTokens),
    reasoningTokens: part(objectOf(usage.output_tokens_details).thinking_tokens, outputTokens),
    webSearches: count(objectOf(usage.server_tool_use).web_search_requests) ?? 0,
    serviceTiers: tiersIn(usage.service_tier, usage.speed, usage.inference_geo),
  }
}

function keptForAnHour(usage: JsonObject): number {
  return count(objectOf(usage.cache_creation).ephemeral_1h_input_tokens) ?? 0
}

/** The iterations that the totals include. */
function ownSteps(iterations: unknown): JsonObject[] {
  return Array.isArray(iterations) ? iterations.filter(isObject).filter(({ type }) => type === 'message') : []
}

/** A stream reports in two events: the later one is cumulative and repeats only what has changed. */
export function mergedAnthropic(start: JsonObject, delta: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...start }
  for (const [name, value] of Object.entries(delta)) if (value !== null) merged[name] = value
  return merged
}

/** `usageMetadata`: thoughts stand beside the candidates, prompts of tools beside the prompt. */
export function googleUsage(usage: JsonObject): Usage | null {
  const prompt = count(usage.promptTokenCount)
  if (prompt === null) return null
  const inputTokens = prompt + (count(usage.toolUsePromptTokenCount) ?? 0)
  const thoughts = count(usage.thoughtsTokenCount) ?? 0
  const answered = (count(usage.candidatesTokenCount) ?? 0) + thoughts
  const outputTokens = Math.max(answered, (count(usage.totalTokenCount) ?? 0) - inputTokens)
  const { promptTokensDetails: given, toolUsePromptTokensDetails: found, cacheTokensDetails: cached } = usage
  const made = usage.candidatesTokensDetails
  const cacheReadTokens = part(usage.cachedContentTokenCount, inputTokens)
  return {
    ...NO_USAGE,
    inputTokens,
    outputTokens,
    cacheReadTokens,
    cacheReadAudioTokens: Math.min(countOf(AUDIO, cached), cacheReadTokens),
    cacheReadImageTokens: Math.min(countOf(IMAGE, cached), cacheReadTokens),
    reasoningTokens: part(thoughts, outputTokens),
    inputAudioTokens: Math.min(countOf(AUDIO, given, found), inputTokens),
    outputAudioTokens: Math.min(countOf(AUDIO, made), outputTokens),
    inputImageTokens: Math.min(countOf(IMAGE, given, found), inputTokens),
    outputImageTokens: Math.min(countOf(IMAGE, made), outputTokens),
    inputVideoTokens: Math.min(countOf(VIDEO, given, found), inputTokens),
    outputVideoTokens: Math.min(countOf(VIDEO, made), outputTokens),
    serviceTiers: tiersIn(usage.serviceTier),
  }
}

/** By name or, where a client asks for that, by number. Pages of documents are looked at like pictures. */
const [AUDIO, IMAGE, VIDEO] = [
  ['AUDIO', 4],
  ['IMAGE', 2, 'DOCUMENT', 5],
  ['VIDEO', 3],
] as const

/** Tokens of the kinds in all of the breakdowns. */
function countOf(modalities: readonly unknown[], ...breakdowns: readonly unknown[]): number {
  let sum = 0
  for (const details of breakdowns) {
    if (!Array.isArray(details)) continue
    for (const detail of details) {
      if (isObject(detail) && modalities.includes(detail.modality)) sum += count(detail.tokenCount) ?? 0
    }
  }
  return sum
}
