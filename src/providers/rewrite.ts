/**
 * Rewrite: every change that is ever made to a request's body, each spliced into the client's own bytes, so that whatever is not
 * changed arrives as it was written: large integers, key order, spacing (F26).
 *
 * 1. The model's name, where the client wrote a prefix or an alias, or Azure knows it by another; in JSON and in forms.
 * 2. `stream_options.include_usage`, for streams of OpenAI's completions, where the client has not asked for it itself.
 * 3. With `output_ceiling: { mode: insert }`, the ceiling that was held, where the client names none, or names it as null.
 */

import type { Readable } from 'node:stream'
import { type ScannedField, scanObject } from '../admission/body-scan.ts'
import type { Edit, RequestFacts, Span } from '../admission/request-facts.ts'
import { bareName } from '../store/bare-name.ts'
import { parseJson } from '../units/json.ts'
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

/** Whether the stream is asked for a report that the client has not asked for, and will not be shown. */
export function asksForReport(facts: RewrittenFacts, { provider }: Pick<Candidate, 'provider'>): boolean {
  const { format, endpoint, stream, asksForUsage } = facts
  if (format !== 'openai' || !stream || asksForUsage || (endpoint !== 'chat' && endpoint !== 'completions'))
    return false
  return takesUsageOption(provider)
}

/** The model's name in the path to a candidate. */
export function pathName(
  { native, requestedModel }: Pick<RequestFacts, 'native' | 'requestedModel'>,
  { provider, model }: Pick<Candidate, 'provider' | 'model'>,
): string {
  return native === undefined ? wireModel(provider, model) : bareName(requestedModel)
}

/** What goes to a candidate. A form's length is told apart from it, since it is a stream. */
export function outgoingBody(
  facts: RewrittenFacts & Pick<RequestFacts, 'upload' | 'unmetered'>,
  candidate: Pick<Candidate, 'provider' | 'model'>,
  ceiling: number | null,
): { readonly body: Buffer | Readable | null; readonly headers: readonly string[] } {
  const { upload, unmetered, modelSpan, requestedModel } = facts
  if (unmetered !== undefined) {
    const { body, bytes } = unmetered
    return { body, headers: body === null || bytes === null ? [] : ['content-length', bytes] }
  }
  if (upload === undefined) return { body: rewriteBody(facts, candidate, ceiling), headers: [] }
  const text = wireModel(candidate.provider, candidate.model)
  const edits = modelSpan === null || text === requestedModel ? [] : [{ ...modelSpan, text }]
  const more = edits.reduce((sum, edit) => sum + Buffer.byteLength(edit.text) - (edit.end - edit.start), 0)
  return { body: upload.read(edits), headers: ['content-length', String(upload.bytes + more)] }
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
  if (ceiling !== null) edits.push(...ceilingEdits(facts, candidate, ceiling))
  return edits.length === 0 ? facts.body : spliced(facts.body, edits)
}

function usageOption({ body, streamOptionsSpan }: RewrittenFacts): Edit {
  if (streamOptionsSpan === null) return inserted(body, 0, '"stream_options":{"include_usage":true}')
  const options: unknown = parseJson(body.toString('utf8', streamOptionsSpan.start, streamOptionsSpan.end))
  const merged = { ...(typeof options === 'object' ? options : {}), include_usage: true }
  return { ...streamOptionsSpan, text: JSON.stringify(merged) }
}

/** OpenAI's reasoning models refuse `max_tokens`, and many other servers do not know the new name. */
const CHAT_CEILINGS = ['max_completion_tokens', 'max_tokens'] as const

function ceilingEdits(facts: RewrittenFacts, { provider }: Pick<Candidate, 'provider'>, ceiling: number): Edit[] {
  const { endpoint, body, producesOutput, outputCeiling } = facts
  if (!producesOutput || outputCeiling !== null) return []
  const own = provider.kind === 'openai' || provider.kind === 'azure'
  switch (endpoint) {
    case 'chat': {
      const [modern, old] = CHAT_CEILINGS
      // The other servers may know either name, or both.
      const others = own ? [] : fieldsOf(body).filter(({ name }) => name === modern)
      return [ceilingField(body, 0, own ? modern : old, ceiling), ...others.map((field) => written(field, ceiling))]
    }
    case 'responses':
      return [ceilingField(body, 0, 'max_output_tokens', ceiling)]
    case 'completions':
      // Without one OpenAI's end after 16 tokens; other servers go on to the end of the context.
      return own ? [] : [ceilingField(body, 0, 'max_tokens', ceiling)]
    case 'generate_content':
    case 'stream_generate_content':
      return [googleCeiling(body, ceiling)]
    default:
      // Messages must name one.
      return []
  }
}

function googleCeiling(body: Buffer, ceiling: number): Edit {
  const config = fieldsOf(body).find(({ name }) => name === 'generationConfig' || name === 'generation_config')
  if (config === undefined) return inserted(body, 0, `"generationConfig":{"maxOutputTokens":${ceiling}}`)
  // `null` is as good as absent.
  if (body[config.start] !== OPEN_BRACE) return { ...config, text: `{"maxOutputTokens":${ceiling}}` }
  const snake = fieldsOf(body, config.start).some(({ name }) => name === 'max_output_tokens')
  return ceilingField(body, config.start, snake ? 'max_output_tokens' : 'maxOutputTokens', ceiling)
}

/** A ceiling in the object that begins at or after `from`: in the place of its null or zero, since a second one would lose to it. */
function ceilingField(body: Buffer, from: number, name: string, ceiling: number): Edit {
  const field = fieldsOf(body, from).find((candidate) => candidate.name === name)
  return field === undefined ? inserted(body, from, `${JSON.stringify(name)}:${ceiling}`) : written(field, ceiling)
}

function written({ start, end }: Span, ceiling: number): Edit {
  return { start, end, text: String(ceiling) }
}

/** The fields of an object of the body, which has been scanned before and is one. */
function fieldsOf(body: Buffer, from = 0): readonly ScannedField[] {
  const scan = scanObject(body, from)
  return scan.ok ? scan.fields : []
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
