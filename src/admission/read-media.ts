/**
 * Reads requests of the OpenAI format whose answers are pictures or sound.
 *
 * Their output has no ceiling that a client could name, so it is reckoned from what is asked for: tokens per image by quality, per
 * character that is spoken. What the provider reports takes its place; where it reports nothing the reckoning is charged.
 */
import { TOKENS_PER_AUDIO_SECOND } from '../usage/usage.ts'
import type { BodyReader } from './body-reader.ts'
import type { Reading } from './reading.ts'
import { refuseFields } from './refused-fields.ts'

export type MediaEndpoint =
  | 'image_generations'
  | 'image_edits'
  | 'image_variations'
  | 'speech'
  | 'transcriptions'
  | 'translations'

/**
 * Output tokens of an image of each quality in the standard sizes, rounded up: 6,240 at OpenAI's first model, 7,030 at its second. What
 * the best two of the newest take is told nowhere.
 */
const IMAGE_TOKENS: Readonly<Record<string, number>> = { low: 500, medium: 1_800, xhigh: 14_200, max: 28_400 }
const IMAGE_TOKENS_HIGH = 7_100
/** A larger one takes more, at the most as its pixels do; none is larger than the largest, and the frames of a GIF, nine where the number is not taken, are one image. */
const [STANDARD_PIXELS, PIXELS_MAX, FRAMES] = [1_536 * 1_024, 3_840 * 2_160, 9]
/** Every preview of a streamed image costs so many. */
const PARTIAL_IMAGE_TOKENS = 100
/** More are not made, whatever is asked for. */
const PREVIEWS_MAX = 100
/** A character is a fifteenth of a second, a second twenty tokens of sound: 1.4 tokens, and slow voices. */
const SPEECH_TOKENS_PER_CHARACTER = 2
/** How long a recording is stands in no field, and its bytes do not tell: it is taken for a quarter of an hour. */
const RECORDING_INPUT_TOKENS = 1_000 * TOKENS_PER_AUDIO_SECOND
const RECORDING_OUTPUT_TOKENS = 3_000

/** The body is a form's where a file is sent. */
export function readMedia(endpoint: MediaEndpoint, body: BodyReader, pathModel: string | null): Reading {
  const common = {
    requestedModel: pathModel ?? body.model(),
    modelField: pathModel === null ? 'model' : null,
    asksForUsage: false,
    producesOutput: true,
    outputCeiling: null,
    choices: 1,
    messages: 1,
  }
  body.checkCeilings()
  refuseFields(body)
  switch (endpoint) {
    case 'image_generations':
    case 'image_edits':
    case 'image_variations':
      return { ...common, stream: body.boolean('stream'), flatOutputTokens: imageTokens(body) }
    case 'speech': {
      const characters = lengthOf(body, 'input') + lengthOf(body, 'instructions')
      return {
        ...common,
        stream: body.any('stream_format') === 'sse',
        // Models that are priced by the character have their price in the place of that for a token.
        flatInputTokens: characters,
        flatOutputTokens: SPEECH_TOKENS_PER_CHARACTER * characters,
      }
    }
    case 'transcriptions':
    case 'translations':
      if (body.has('response_format') && typeof body.any('response_format') !== 'string') {
        body.reject('response_format', 'The field "response_format" must be a string.')
      }
      return {
        ...common,
        stream: body.boolean('stream'),
        flatInputTokens: RECORDING_INPUT_TOKENS,
        flatOutputTokens: RECORDING_OUTPUT_TOKENS,
      }
  }
}

function imageTokens(body: BodyReader): number {
  // Its author is another model, which has a bill of its own.
  if (body.has('svg') || body.any('output_format') === 'svg') {
    body.reject('output_format', 'Images as SVG are not supported by this gateway yet: a second model writes them.')
  }
  body.count('partial_images')
  body.count('frame_count')
  return Math.max(1, body.count('n') ?? 1) * imageOutputTokens(body.value)
}

/** Output tokens of one image as it is asked for, with its previews. */
export function imageOutputTokens(asked: Readonly<Record<string, unknown>>): number {
  const { quality, partial_images: previews, size, output_format: format, frame_count: frames } = asked
  const each = (typeof quality === 'string' ? IMAGE_TOKENS[quality] : undefined) ?? IMAGE_TOKENS_HIGH
  const pixels = pixelsIn(size) * (format === 'gif' ? Math.max(FRAMES, positive(frames) ?? 0) : 1)
  const larger = Math.max(1, Math.min(pixels, PIXELS_MAX) / STANDARD_PIXELS)
  return Math.ceil(each * larger) + Math.min(positive(previews) ?? 0, PREVIEWS_MAX) * PARTIAL_IMAGE_TOKENS
}

/** Of a size as OpenAI writes it; what is not written so is one of the standard ones, or the model's choice among them. */
function pixelsIn(size: unknown): number {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(String(size)) ?? []
  return width === undefined ? STANDARD_PIXELS : Number(width) * Number(height)
}

function positive(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null
}

/** Characters as people count them: one outside the basic plane is one. */
function lengthOf(body: BodyReader, name: string): number {
  if (!body.has(name)) return 0
  const text = body.any(name)
  if (typeof text !== 'string') {
    body.reject(name, `The field "${name}" must be a string.`)
    return 0
  }
  let length = 0
  for (const _ of text) length += 1
  return length
}
