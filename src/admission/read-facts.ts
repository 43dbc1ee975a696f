/**
 * Read facts: what admission needs to know of a request, from its path, headers and body, once (DESIGN section 6).
 */

import type { IncomingHttpHeaders } from 'node:http'
import type { JsonObject } from '../units/json-object.ts'
import { refusalOfForm } from './asked-form.ts'
import { BodyReader, modelProblem } from './body-reader.ts'
import { accept, type Result, refuse } from './decision.ts'
import type { Form } from './multipart.ts'
import { readAnthropic } from './read-anthropic.ts'
import { type Body, readBody } from './read-body.ts'
import { readGoogle } from './read-google.ts'
import { readMedia } from './read-media.ts'
import { readOpenai } from './read-openai.ts'
import type { Reading } from './reading.ts'
import { refusalOfHeaders } from './refused-fields.ts'
import type { ApiFormat, Endpoint, NativeCall, RequestFacts, Upload } from './request-facts.ts'
import { Weight } from './weight.ts'

/** A request as it arrived. */
export interface RequestSource {
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  /** The model in the path, where the path carries one (Gemini, Azure); null otherwise. */
  readonly pathModel: string | null
  /** The query string as sent, without the question mark. */
  readonly query: string
  readonly headers: IncomingHttpHeaders
  /** JSON as it came; empty where a form has come. */
  readonly body: Buffer
  readonly received?: ReceivedForm
  /** The request came under a provider's name. */
  readonly native?: NativeCall
}

/** A form that waits outside of memory, and what is known of it. */
export interface ReceivedForm {
  readonly form: Form
  readonly upload: Upload
}

export const TAGS_MAX = 5
export const TAG_LENGTH_MAX = 64

/** The facts of a request, or why it cannot be read (`invalid_request`). Nothing of the body is repeated in a refusal. */
export function readFacts(source: RequestSource): Result<RequestFacts> {
  const { format, endpoint, pathModel, query, headers } = source
  const pathProblem = pathModel === null ? null : modelProblem(pathModel)
  if (pathProblem !== null) return refuse('invalid_request', pathProblem, { param: 'model' })
  const problem = refusalOfForm(query, headers) ?? refusalOfHeaders(headers)
  if (problem !== null) return { ok: false, refusal: problem }
  const tags = readTags(headers['x-bursar-tags'])
  if (!tags.ok) return tags
  const dryRun = readDryRun(headers)
  if (!dryRun.ok) return dryRun
  const body = bodyOf(source)
  if (!body.ok) return body

  const reader = new BodyReader(body.value.value)
  const weight = new Weight()
  weight.files(source.received?.form.files ?? 0, endpoint)
  const { modelField, outputCeiling, choices, ...reading } = readEndpoint(source, reader, weight)
  if (reader.refusal !== null) return { ok: false, refusal: reader.refusal }
  return accept({
    format,
    endpoint,
    ...reading,
    // Under a provider's name its own names are used, and stay.
    modelSpan: modelField === null || source.native !== undefined ? null : body.value.spanOf(modelField),
    streamOptionsSpan: body.value.spanOf('stream_options'),
    // Zero is "no ceiling" to servers whose language cannot tell it from absent.
    outputCeiling: outputCeiling === 0 ? null : outputCeiling,
    // Zero answers are an error to some providers and one answer to others.
    choices: Math.max(1, choices),
    textBytes: (source.received?.form.textBytes ?? source.body.length) - weight.inlineBytes,
    attachments: weight.attachments,
    ...(weight.images.length === 0 ? {} : { images: weight.images }),
    ...(weight.documentPages.length === 0 ? {} : { documentPages: weight.documentPages }),
    usesStoredInput: weight.stored,
    body: source.body,
    ...(source.native === undefined ? {} : { native: source.native }),
    ...(source.received === undefined ? {} : { upload: source.received.upload }),
    query,
    tags: tags.value,
    dryRun: dryRun.value,
  })
}

function bodyOf({ body, received, format }: RequestSource): Result<Pick<Body, 'value' | 'spanOf'>> {
  return received === undefined ? readBody(body, format) : accept(received.form)
}

/** The weight of a body that has been read before. */
export function weightOf(body: JsonObject, format: ApiFormat, endpoint: Endpoint): Weight {
  const weight = new Weight()
  readEndpoint({ format, endpoint, pathModel: null }, new BodyReader(body), weight)
  return weight
}

/** Whether the request only asks what would happen; the header takes `1` and `0`. */
export function readDryRun(headers: IncomingHttpHeaders): Result<boolean> {
  const value = headers['x-bursar-dry-run']
  if (value === undefined || value === '0' || value === 'false' || value === '') return accept(false)
  if (value === '1' || value === 'true') return accept(true)
  // Somebody who wants a dry run and misspells it must not pay for it.
  return refuse('invalid_request', 'The header x-bursar-dry-run takes 1 or 0.', { param: 'x-bursar-dry-run' })
}

/** What the event is to carry along. */
export function readTags(header: string | string[] | undefined): Result<readonly string[]> {
  if (header === undefined) return accept([])
  const tags = String(header)
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
  if (tags.length > TAGS_MAX || tags.some((tag) => tag.length > TAG_LENGTH_MAX)) {
    const message = `The header x-bursar-tags takes at most ${TAGS_MAX} tags of ${TAG_LENGTH_MAX} characters.`
    return refuse('invalid_request', message, { param: 'x-bursar-tags' })
  }
  return accept(tags)
}

function readEndpoint(
  { format, endpoint, pathModel }: Pick<RequestSource, 'format' | 'endpoint' | 'pathModel'>,
  body: BodyReader,
  weight: Weight,
): Reading {
  switch (endpoint) {
    case 'chat':
    case 'completions':
    case 'responses':
    case 'embeddings':
    case 'moderations':
    case 'rerank':
      return readOpenai(endpoint, body, weight, pathModel)
    case 'image_generations':
    case 'image_edits':
    case 'image_variations':
    case 'speech':
    case 'transcriptions':
    case 'translations':
      return readMedia(endpoint, body, pathModel)
    case 'messages':
      return readAnthropic(endpoint, body, weight, pathModel)
    case 'count_tokens':
      return format === 'google'
        ? readGoogle(endpoint, body, weight, pathModel ?? body.model())
        : readAnthropic(endpoint, body, weight, pathModel)
    case 'passthrough':
      throw new RangeError('unmetered calls are not read')
    case 'generate_content':
    case 'stream_generate_content':
    case 'embed_content':
    case 'batch_embed_contents':
      return readGoogle(endpoint, body, weight, pathModel ?? body.model())
  }
}
