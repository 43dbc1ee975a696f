/**
 * What the simulated provider says: the same words each time, one word one output token, so that a test or a newcomer can
 * foretell usage and cost. JSON and tool arguments are cut into pieces of four characters, one piece one token.
 */
import { escaped } from './json.ts'

export const SENTENCE =
  'This answer comes from the simulated provider of Bursar: it is the same each time, it costs nobody any real money, and every word of it counts as one output token.'
const WORDS = SENTENCE.split(' ')

/** The length of an answer that nobody asked to be longer or shorter: the sentence, once. */
export const SENTENCE_TOKENS = WORDS.length

/** Where each word begins in the sentence when every word has a blank before it, and its length. */
const STARTS: readonly number[] = WORDS.map((_, index) =>
  WORDS.slice(0, index).reduce((sum, w) => sum + w.length + 1, 0),
)
const CYCLE = SENTENCE.length + 1
const PIECE = 4

/** Text that can be handed out token by token. */
export interface Output {
  readonly tokens: number
  /** Whether there was more to say than the ceiling let through. */
  readonly cut: boolean
  /** The text of tokens `from` (included) to `to` (excluded). */
  slice(from: number, to: number): string
  /** The same, escaped for the inside of a JSON string. */
  json(from: number, to: number): string
}

let repeated = ` ${SENTENCE}`.repeat(64)

function wordsBetween(from: number, to: number): string {
  const end = positionOf(to)
  // A power of two, so that growing answers do not build a new text each.
  if (end > repeated.length) repeated = ` ${SENTENCE}`.repeat(2 ** Math.ceil(Math.log2(end / CYCLE + 1)))
  return repeated.slice(Math.max(1, positionOf(from)), end)
}

function positionOf(word: number): number {
  return Math.floor(word / WORDS.length) * CYCLE + (STARTS[word % WORDS.length] ?? 0)
}

/** The first `wanted` words of the sentence said over and over, at most `ceiling` of them. */
export function words(wanted: number, ceiling: number): Output {
  // No word needs escaping in JSON: one function serves both.
  return { tokens: Math.min(wanted, ceiling), cut: wanted > ceiling, slice: wordsBetween, json: wordsBetween }
}

/** `text` in pieces, at most `ceiling` of them. */
export function pieces(text: string, ceiling: number): Output {
  const wanted = Math.ceil(text.length / PIECE)
  const slice = (from: number, to: number) => text.slice(from * PIECE, to * PIECE)
  return {
    tokens: Math.min(wanted, ceiling),
    cut: wanted > ceiling,
    slice,
    json: (from, to) => escaped(slice(from, to)),
  }
}

/** The token at which chunk `index` of `chunks` begins, so that all chunks are of nearly one size. */
export function chunkStart(output: Output, chunks: number, index: number): number {
  return Math.floor((index * output.tokens) / chunks)
}
