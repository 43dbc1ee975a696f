/**
 * The models the simulated provider knows: real names of three providers, so that their SDKs' examples work unchanged and the
 * price book's own data applies, and two of its own, whose prices stand here because no price list has them.
 */
import type { ApiFormat } from '../admission/request-facts.ts'
import { type NanoUsd, nanoUsd } from '../units/money.ts'

/** Nano-dollars per million tokens. */
interface SimPrice {
  readonly inputNanoUsd: NanoUsd
  readonly outputNanoUsd: NanoUsd
  readonly cacheReadNanoUsd: NanoUsd
  readonly cacheWriteNanoUsd: NanoUsd
}

export interface SimModel {
  readonly id: string
  readonly owner: 'openai' | 'anthropic' | 'google' | 'sim'
  /** The API its owner serves it by; null for the provider's own models. Here each model is served in every format. */
  readonly format: ApiFormat | null
  readonly kind: 'chat' | 'embedding' | 'image' | 'speech' | 'transcription' | 'moderation' | 'rerank' | 'any'
  /** Tokens of context; told in listings, not enforced. */
  readonly contextLength: number
  /** The most output tokens of one choice, also where the caller names no ceiling. */
  readonly maxOutputTokens: number
  /** Length of its embedding vectors unless the caller asks for another. */
  readonly dimensions: number
  /** Only for the provider's own models. */
  readonly price: SimPrice | null
}

const DIMENSIONS = 256

function chat(owner: 'openai' | 'anthropic' | 'google', id: string, context: number, maxOutput: number): SimModel {
  const limits = { contextLength: context, maxOutputTokens: maxOutput, dimensions: DIMENSIONS }
  return { id, owner, format: owner, kind: 'chat', ...limits, price: null }
}

/** Pictures, sound, and judgements on text: of OpenAI, where the lists have a price for them. */
function other(kind: SimModel['kind'], id: string): SimModel {
  const limits = { contextLength: 32_768, maxOutputTokens: 16_384, dimensions: DIMENSIONS }
  return { id, owner: 'openai', format: 'openai', kind, ...limits, price: null }
}

function embedding(owner: 'openai' | 'google', id: string, context: number, dimensions: number): SimModel {
  return {
    id,
    owner,
    format: owner,
    kind: 'embedding',
    contextLength: context,
    maxOutputTokens: 0,
    dimensions,
    price: null,
  }
}

/** Prices in whole nano-dollars per million tokens: 150,000,000 is $0.15. */
function own(id: string, input: bigint, output: bigint, cacheRead: bigint, cacheWrite: bigint): SimModel {
  const price = {
    inputNanoUsd: nanoUsd(input),
    outputNanoUsd: nanoUsd(output),
    cacheReadNanoUsd: nanoUsd(cacheRead),
    cacheWriteNanoUsd: nanoUsd(cacheWrite),
  }
  const limits = { contextLength: 128_000, maxOutputTokens: 16_384, dimensions: DIMENSIONS }
  return { id, owner: 'sim', format: null, kind: 'any', ...limits, price }
}

export const SIM_MODELS: readonly SimModel[] = [
  own('sim-small', 150_000_000n, 600_000_000n, 15_000_000n, 187_500_000n),
  own('sim-large', 3_000_000_000n, 15_000_000_000n, 300_000_000n, 3_750_000_000n),
  chat('openai', 'gpt-4o-mini', 128_000, 16_384),
  chat('openai', 'gpt-4o', 128_000, 16_384),
  chat('openai', 'gpt-4.1', 1_000_000, 32_768),
  chat('openai', 'gpt-5-mini', 400_000, 128_000),
  chat('openai', 'gpt-3.5-turbo-instruct', 16_385, 4_096),
  embedding('openai', 'text-embedding-3-small', 8_192, 1_536),
  embedding('openai', 'text-embedding-3-large', 8_192, 3_072),
  other('image', 'gpt-image-1'),
  other('speech', 'gpt-4o-mini-tts'),
  other('transcription', 'gpt-4o-mini-transcribe'),
  other('transcription', 'whisper-1'),
  other('moderation', 'omni-moderation-latest'),
  chat('anthropic', 'claude-sonnet-4-5', 200_000, 64_000),
  chat('anthropic', 'claude-haiku-4-5', 200_000, 64_000),
  chat('anthropic', 'claude-opus-4-5', 200_000, 64_000),
  chat('google', 'gemini-2.5-flash', 1_048_576, 65_536),
  chat('google', 'gemini-2.5-pro', 1_048_576, 65_536),
  embedding('google', 'gemini-embedding-001', 2_048, 3_072),
]

const BY_ID: ReadonlyMap<string, SimModel> = new Map(SIM_MODELS.map((model) => [model.id, model]))

/** The model of that exact name; with `anyModel` a stand-in for every other name. */
export function findModel(id: string, anyModel: boolean): SimModel | null {
  const known = BY_ID.get(id)
  if (known !== undefined) return known
  if (!anyModel) return null
  const limits = { contextLength: 128_000, maxOutputTokens: 16_384, dimensions: DIMENSIONS }
  return { id, owner: 'sim', format: null, kind: 'any', ...limits, price: null }
}
