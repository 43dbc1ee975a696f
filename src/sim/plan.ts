/** What one answer will be, decided before its first byte: its text, how it is cut, and what it costs. */
import { NO_USAGE, type Usage } from '../usage/usage.ts'
import type { SimCall } from './call.ts'
import { Refused } from './errors.ts'
import type { SimModel } from './models.ts'
import { chunkStart, type Output, pieces, words } from './text.ts'

const CHOICES_MAX = 128

export interface Asked {
  /** Input tokens as counted from the request. */
  readonly inputTokens: number
  /** Most output tokens of one choice, null when the caller names none. */
  readonly ceiling: number | null
  /** Answers to send. */
  readonly choices: number
  /** Answers to make and bill, where that may be more (`best_of`). */
  readonly generated?: number
  /** The JSON to answer; null for text. */
  readonly json: string | null
}

export interface Plan {
  /** What each choice says: all say the same. */
  readonly output: Output
  readonly choices: number
  /** Content chunks of each choice in a stream. */
  readonly chunks: number
  readonly usage: Usage
}

/** A function the caller insists on having called. */
export interface ForcedTool {
  readonly name: string
  readonly schema: unknown
}

export function plan(call: SimCall, model: SimModel, asked: Asked): Plan {
  const { settings } = call
  const generated = Math.max(asked.choices, asked.generated ?? 0)
  if (asked.choices < 1 || generated > CHOICES_MAX) {
    throw new Refused(400, `The number of choices must be from 1 to ${CHOICES_MAX}.`, { param: 'n' })
  }
  const ceiling = Math.min(asked.ceiling ?? model.maxOutputTokens, model.maxOutputTokens)
  const reasoning = Math.min(settings.reasoningTokens, ceiling)
  const left = ceiling - reasoning
  const output = asked.json === null ? words(settings.outputTokens, left) : pieces(asked.json, left)
  const usage = {
    ...inputUsage(call, asked.inputTokens),
    outputTokens: generated * (reasoning + output.tokens),
    reasoningTokens: generated * reasoning,
  }
  const chunks = Math.min(settings.chunks ?? output.tokens, output.tokens)
  return { output, choices: asked.choices, chunks, usage }
}

/** The input side of a usage report, with the cache parts the call asks for. */
export function inputUsage(call: SimCall, counted: number): Usage {
  const { inputTokens, cachedTokens, cacheWriteTokens } = call.settings
  return {
    ...NO_USAGE,
    // A report whose parts exceed their sum would be nonsense.
    inputTokens: Math.max(inputTokens ?? counted, cachedTokens + cacheWriteTokens),
    cacheReadTokens: cachedTokens,
    cacheWriteTokens,
  }
}

/** What an answer has cost once `sentTokens` of its visible output have gone out: reasoning comes before the first word. */
export function usageAfter(whole: Usage, sentTokens: number): Usage {
  const reasoningTokens = sentTokens > 0 ? whole.reasoningTokens : 0
  return { ...whole, outputTokens: Math.min(whole.outputTokens, sentTokens + reasoningTokens), reasoningTokens }
}

/** One step of a stream's content: which choice goes on, from which token to which, and whether that ends the whole content. */
export interface Step {
  readonly choice: number
  readonly from: number
  readonly to: number
  readonly last: boolean
}

/** The content of a stream in the order it is sent: all choices grow side by side. */
export function* steps({ output, choices, chunks }: Plan): Generator<Step, void> {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const from = chunkStart(output, chunks, chunk)
    const to = chunkStart(output, chunks, chunk + 1)
    for (let choice = 0; choice < choices; choice++) {
      yield { choice, from, to, last: chunk === chunks - 1 && choice === choices - 1 }
    }
  }
}
