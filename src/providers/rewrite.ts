/**
 * Rewrite: every change that is ever made to a request's body, each spliced into the client's own bytes, so that whatever is not
 * changed arrives as it was written: large integers, key order, spacing (F26).
 *
 * 1. The model's name, where the client wrote a prefix or an alias, or Azure knows it by another.
 * 2. `stream_options.include_usage`, for streams of OpenAI's completions, where the client has not asked for it itself.
 * 3. With `output_ceiling: { mode: insert }`, the ceiling that was held, where the client names none.
 */
import { scanObject } from '../admission/body-scan.ts'
import type { RequestFacts, Span } from '../admission/request-facts.ts'
import type { Candidate } from './candidate.ts'
import { takesUsageOption, wireModel } from './registry.ts'

export type RewrittenFacts = Pick<
  RequestFacts,
  | 'format'
  | 'endpoint'
  | 'requestedModel'
  | 'modelSpan'
  | 'stream'
  | 'asksForUsage'
  | 'streamOptionsSpan'
  | 'outputCeiling'
  | 'producesOutput'
  | 'body'
>

interface Edit extends Span {
  readonly text: string
}

/** Whether the stream is asked for a report that the client has not asked for, and will not be shown. */
export function asksForReport(facts: RewrittenFacts, { provider }: Pick<Candidate, 'provider'>): boolean {
  const { format, endpoint, stream, asksForUsage } = facts
  if (format !== 'openai' || !stream || asksForUsage || (endpoint !== 'chat' && endpoint !== 'completions'))
    return false
  return takesUsageOption(provider)
}

/**
 * The body that goes to a candidate: the client's own buffer, where nothing has to change.
 *
 * @param ceiling output tokens to write into a request that names no ceiling; null to leave such requests alone
 */
export function rewriteBody(
  facts: RewrittenFacts,
  candidate: Pick<Candidate, 'provider' | 'model'>,
  ceiling: number | null,
): Buffer {
  const edits: Edit[] = []
  const model = wireModel(candidate.provider, candidate.model)
  if (facts.modelSpan !== null && model !== facts.requestedModel) {
    edits.push({ ...facts.modelSpan, text: JSON.stringify(model) })
  }
  if (asksForReport(facts, candidate)) edits.push(usageOption(facts))
  const inserted = ceiling === null ? null : ceilingEdit(facts, candidate, ceiling)
  if (inserted !== null) edits.push(inserted)
  return edits.length === 0 ? facts.body : spliced(facts.body, edits)
}

function usageOption({ body, streamOptionsSpan }: RewrittenFacts): Edit {
  if (streamOptionsSpan === null) return inserted(body, 0, '"stream_options":{"include_usage":true}')
  const options: unknown = JSON.parse(body.toString('utf8', streamOptionsSpan.start, streamOptionsSpan.end))
  const merged = { ...(typeof options === 'object' ? options : {}), include_usage: true }
  return { ...streamOptionsSpan, text: JSON.stringify(merged) }
}

function ceilingEdit(facts: RewrittenFacts, { provider }: Pick<Candidate, 'provider'>, ceiling: number): Edit | null {
  const { endpoint, body, producesOutput, outputCeiling } = facts
  if (!producesOutput || outputCeiling !== null) return null
  switch (endpoint) {
    case 'chat': {
      // OpenAI's reasoning models refuse the old name, and many other servers do not know the new one.
      const modern = provider.kind === 'openai' || provider.kind === 'azure'
      return inserted(body, 0, `"${modern ? 'max_completion_tokens' : 'max_tokens'}":${ceiling}`)
    }
    case 'responses':
      return inserted(body, 0, `"max_output_tokens":${ceiling}`)
    case 'generate_content':
    case 'stream_generate_content':
      return googleCeiling(body, ceiling)
    default:
      // Messages must name one, and text completions without one are short.
      return null
  }
}

function googleCeiling(body: Buffer, ceiling: number): Edit | null {
  const scan = scanObject(body)
  if (!scan.ok) return null
  const config = scan.fields.find(({ name }) => name === 'generationConfig' || name === 'generation_config')
  const field = `"maxOutputTokens":${ceiling}`
  if (config === undefined) return inserted(body, 0, `"generationConfig":{${field}}`)
  // `null` is as good as absent.
  if (body[config.start] !== OPEN_BRACE) return { start: config.start, end: config.end, text: `{${field}}` }
  return inserted(body, config.start, field)
}

const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const SPACE = 0x20

/** A field at the beginning of the object that begins at or after `from`. */
function inserted(body: Buffer, from: number, field: string): Edit {
  const start = body.indexOf(OPEN_BRACE, from) + 1
  let next = start
  while ((body[next] ?? CLOSE_BRACE) <= SPACE) next += 1
  return { start, end: start, text: body[next] === CLOSE_BRACE ? field : `${field},` }
}

function spliced(body: Buffer, edits: readonly Edit[]): Buffer {
  const parts: Buffer[] = []
  let from = 0
  // Insertions at one place keep the order in which they were asked for.
  for (const { start, end, text } of [...edits].sort((a, b) => a.start - b.start)) {
    parts.push(body.subarray(from, start), Buffer.from(text))
    from = end
  }
  parts.push(body.subarray(from))
  return Buffer.concat(parts)
}
