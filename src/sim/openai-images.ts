/** `POST /v1/images/*`: the same dot each time, at what an image of its quality costs. */
import type { Usage } from '../usage/usage.ts'
import { type Answer, brokenDown, type Chunk, EVENT_STREAM, modelOf, type SimCall } from './call.ts'
import { textTokens } from './counting.ts'
import { errorEvent, Refused } from './errors.ts'
import { parseForm } from './form.ts'
import { type JsonObject, parseObject, wholeNumber } from './json.ts'
import { inputUsage } from './plan.ts'

/** One transparent pixel. */
const PIXEL_PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
/** Output tokens of a square image, as OpenAI's guide has them. */
const TOKENS: Readonly<Record<string, number>> = { low: 272, medium: 1_056, high: 4_160 }
const PER_IMAGE_READ = 323
const IMAGES_MAX = 10

export function answerImages(call: SimCall): Answer {
  return images(call, parseObject(call.body), 0)
}

/** `POST /v1/images/edits` and `/variations`: the picture comes in a form. */
export function answerImageForm(call: SimCall): Answer {
  const { fields, files } = parseForm(call)
  if (files.length === 0) throw new Refused(400, 'An image is needed.', { param: 'image' })
  const n = fields.n === undefined ? undefined : Number(fields.n)
  return images(call, { ...fields, n, stream: fields.stream === 'true' }, files.length)
}

/** @param read how many images were sent to be worked on */
function images(call: SimCall, body: JsonObject, read: number): Answer {
  const model = modelOf(call, body.model, 'image')
  const { prompt = '', quality = 'high' } = body
  if (typeof prompt !== 'string' || (prompt === '' && read === 0)) {
    throw new Refused(400, 'A prompt is needed.', { param: 'prompt' })
  }
  const n = wholeNumber(body, 'n') ?? 1
  if (n < 1 || n > IMAGES_MAX) throw new Refused(400, `n must be from 1 to ${IMAGES_MAX}.`, { param: 'n' })
  const each = (typeof quality === 'string' ? TOKENS[quality] : undefined) ?? TOKENS.high ?? 0
  const usage: Usage = {
    ...inputUsage(call, textTokens(prompt) + read * PER_IMAGE_READ),
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: n * each,
  }
  const report = call.settings.usage === 'none' ? {} : { usage: usageOf(usage, read) }
  const created = Math.floor(call.at / 1000)
  if (body.stream === true) return streamed(call, usage, { created_at: created, b64_json: PIXEL_PNG }, report, read > 0)
  const data = Array.from({ length: n }, () => ({ b64_json: PIXEL_PNG }))
  const answer = { created, data, model: model.id, quality, output_format: 'png', ...report }
  return { kind: 'whole', body: JSON.stringify(answer), tokens: 0, usage }
}

function usageOf({ inputTokens, outputTokens }: Usage, read: number): JsonObject {
  const imageTokens = Math.min(inputTokens, read * PER_IMAGE_READ)
  return {
    total_tokens: inputTokens + outputTokens,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    input_tokens_details: { text_tokens: inputTokens - imageTokens, image_tokens: imageTokens },
  }
}

function streamed(call: SimCall, usage: Usage, image: JsonObject, report: JsonObject, edited: boolean): Answer {
  call.entry.stream = true
  const name = edited ? 'image_edit' : 'image_generation'
  const event = (type: string, fields: JsonObject, rest: Partial<Chunk>): Chunk => ({
    text: `event: ${name}.${type}\ndata: ${JSON.stringify({ type: `${name}.${type}`, ...image, ...fields })}\n\n`,
    tokens: 0,
    usage: false,
    ...rest,
  })
  const { outputTokens } = usage
  const chunks = [
    event('partial_image', { partial_image_index: 0 }, { tokens: outputTokens }),
    event('completed', report, { usage: Object.keys(report).length > 0 }),
  ]
  const failure = errorEvent('openai', brokenDown(), '')
  return { kind: 'stream', contentType: EVENT_STREAM, chunks: chunks.values(), contentChunks: 1, usage, failure }
}
