/**
 * Stream dialects: what one event of a stream means for the books, by the format it is written in.
 *
 * Told by a few fields and how deep they stand, so that nothing a model writes, into a text or into a tool's arguments, passes for the
 * provider's word.
 */

import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import { isObject, type JsonObject } from '../units/json-object.ts'
import { dataOf } from './event-data.ts'
import { type FieldTable, fieldTable } from './json-fields.ts'
import { anthropicUsage, googleUsage, heardUsage, imagesUsage, mergedAnthropic, openaiUsage } from './report.ts'
import { PADDING, textFields } from './text-seen.ts'
import { toolsIn } from './tools-used.ts'
import type { Usage } from './usage.ts'

/** What an event says, as bits: one event can say several. */
export const REPORTS = 1
/** The report counts output: text before it is in it. */
export const COUNTS_OUTPUT = 2
/** The model has finished: what follows adds no output. */
export const FINISHES = 4
/** Clients stop reading here. */
export const ENDS = 8
/** Carries a report and nothing else, because usage was asked for. */
export const ONLY_REPORTS = 16
/** The provider has failed. */
export const FAILS = 32
/** Private to a dialect. */
const HINT = 64

export interface StreamDialect {
  /** Fields that say something, and under `TEXT` those that carry text. */
  readonly fields: FieldTable
  /** Whether a stream that stops without its last event has been cut off; else the model's own end is enough. */
  readonly needsEnd: boolean
  /** No event is named as the last: the one in which the model finishes may be it. */
  readonly finishMayBeLast: boolean
  /** Whether the data that begins there is no JSON but the mark of the end. */
  isEndMark(event: Buffer, data: number): boolean
  /** What a field says; `end` is -1 where its value is no string. */
  field(id: number, depth: number, event: Buffer, start: number, end: number): number
  /** What an event says whose fields say `says`. */
  event(says: number): number
  /** The usage in the events that reported: the first (`message_start` alone is of use then) and the last. */
  usageOf(first: Buffer, last: Buffer): Usage | null
}

const USAGE = 1
const FINISH = 2
const ERROR = 3
const CHOICES = 4
const TYPE = 5
const OUTPUT_COUNT = 6

const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

function beginsObject(event: Buffer, start: number): boolean {
  return event[start] === OPEN_OBJECT
}

function isError(depth: number, event: Buffer, start: number, end: number): boolean {
  return depth === 1 && (end !== -1 || beginsObject(event, start))
}

/** Chat and text completions. With usage asked for, every event has a `usage`, null until the last. */
function completions(endpoint: Endpoint): StreamDialect {
  const own = { usage: USAGE, finish_reason: FINISH, error: ERROR, choices: CHOICES, obfuscation: PADDING }
  return {
    fields: fieldTable({ ...textFields('openai', endpoint, true), ...own }),
    needsEnd: false,
    finishMayBeLast: false,
    isEndMark: (event, data) => event[data] === OPEN_ARRAY,
    field(id, depth, event, start, end) {
      // Deeper than one: Groq's `x_groq.usage`.
      if (id === USAGE) return depth <= 2 && beginsObject(event, start) ? REPORTS | COUNTS_OUTPUT : 0
      if (id === FINISH) return end !== -1 ? FINISHES : 0
      if (id === CHOICES) return event[start] === OPEN_ARRAY && isEmptyArray(event, start) ? HINT : 0
      return isError(depth, event, start, end) ? FAILS : 0
    },
    event: (says) => ((says & REPORTS) !== 0 && (says & HINT) !== 0 ? says | ONLY_REPORTS | FINISHES : says),
    usageOf(_first, last) {
      const data = dataOf(last)
      const usage = completionUsage(data)
      return usage === null ? null : openaiUsage(usage, true, data?.service_tier)
    },
  }
}

function isEmptyArray(event: Buffer, start: number): boolean {
  let at = start + 1
  while (event[at] === 0x20) at += 1
  return event[at] === CLOSE_ARRAY
}

function completionUsage(data: JsonObject | null): JsonObject | null {
  if (isObject(data?.usage)) return data.usage
  const vendor = data?.x_groq
  return isObject(vendor) && isObject(vendor.usage) ? vendor.usage : null
}

const TYPES_OF_RESPONSES = typeTable({
  'response.completed': ENDS | FINISHES,
  'response.incomplete': ENDS | FINISHES,
  'response.failed': ENDS | FINISHES | FAILS,
  error: FAILS,
})

/** Responses: the last event carries the whole response, its usage included. */
const responses: StreamDialect = {
  fields: fieldTable({ ...textFields('openai', 'responses', true), type: TYPE, usage: USAGE }),
  needsEnd: true,
  finishMayBeLast: false,
  isEndMark: () => false,
  field(id, depth, event, start, end) {
    if (id === USAGE) return depth === 2 && beginsObject(event, start) ? REPORTS | COUNTS_OUTPUT : 0
    return depth === 1 ? typeIn(TYPES_OF_RESPONSES, event, start, end) : 0
  },
  event: (says) => ((says & ENDS) === 0 ? says & ~(REPORTS | COUNTS_OUTPUT) : says),
  usageOf(_first, last) {
    const response = dataOf(last)?.response
    if (!isObject(response) || !isObject(response.usage)) return null
    return openaiUsage(response.usage, true, response.service_tier, toolsIn(response))
  },
}

const TYPES_OF_MESSAGES = typeTable({ message_stop: ENDS, message_start: HINT, error: FAILS })

/** Messages: the input is reported at the start, the output in the delta before the end. */
const messages: StreamDialect = {
  fields: fieldTable({ ...textFields('anthropic', 'messages', true), type: TYPE, usage: USAGE, stop_reason: FINISH }),
  needsEnd: true,
  finishMayBeLast: false,
  isEndMark: () => false,
  field(id, depth, event, start, end) {
    if (id === USAGE) return depth <= 2 && beginsObject(event, start) ? REPORTS : 0
    if (id === FINISH) return end !== -1 ? FINISHES : 0
    return depth === 1 ? typeIn(TYPES_OF_MESSAGES, event, start, end) : 0
  },
  event(says) {
    if ((says & REPORTS) === 0) return says & ~FINISHES
    return (says & HINT) === 0 ? says | COUNTS_OUTPUT : says
  },
  usageOf(first, last) {
    const message = dataOf(first)?.message
    const start = isObject(message) && isObject(message.usage) ? message.usage : {}
    const delta = first === last ? {} : dataOf(last)?.usage
    return anthropicUsage(isObject(delta) ? mergedAnthropic(start, delta) : start)
  },
}

const TYPES_OF_MEDIA = typeTable({
  'speech.audio.done': FINISHES,
  'transcript.text.done': FINISHES,
  // Mistral's.
  'transcription.done': FINISHES,
  'image_generation.completed': FINISHES,
  'image_edit.completed': FINISHES,
  error: FAILS,
})

/** Pictures and sound: usage stands in the event that says that one of them is done. */
const media: StreamDialect = {
  fields: fieldTable({ ...textFields('openai', 'transcriptions', true), type: TYPE, usage: USAGE }),
  needsEnd: false,
  finishMayBeLast: true,
  isEndMark: (event, data) => event[data] === OPEN_ARRAY,
  field(id, depth, event, start, end) {
    if (id === USAGE) return depth === 1 && beginsObject(event, start) ? REPORTS | COUNTS_OUTPUT : 0
    return depth === 1 ? typeIn(TYPES_OF_MEDIA, event, start, end) : 0
  },
  event: (says) => ((says & FINISHES) === 0 ? says & ~(REPORTS | COUNTS_OUTPUT) : says),
  usageOf(_first, last) {
    const data = dataOf(last)
    if (!isObject(data?.usage)) return null
    return /^image_/.test(String(data.type)) ? imagesUsage(data.usage) : heardUsage(data.usage)
  },
}

function typeIn(types: TypeTable, event: Buffer, start: number, end: number): number {
  // Of the many types only a few have these lengths; the rest need not become strings.
  return types.lengths.has(end - start) ? (types.bits.get(event.toString('latin1', start, end)) ?? 0) : 0
}

interface TypeTable {
  readonly bits: ReadonlyMap<string, number>
  readonly lengths: ReadonlySet<number>
}

function typeTable(bits: Readonly<Record<string, number>>): TypeTable {
  return { bits: new Map(Object.entries(bits)), lengths: new Set(Object.keys(bits).map(({ length }) => length)) }
}

/** Gemini: every chunk reports the usage so far; the last is the one that says why the model finished. */
const google: StreamDialect = {
  fields: fieldTable({
    ...textFields('google', 'stream_generate_content', true),
    usageMetadata: USAGE,
    candidatesTokenCount: OUTPUT_COUNT,
    finishReason: FINISH,
    error: ERROR,
  }),
  needsEnd: false,
  finishMayBeLast: true,
  isEndMark: () => false,
  field(id, depth, event, start, end) {
    if (id === USAGE) return depth === 1 && beginsObject(event, start) ? REPORTS : 0
    if (id === OUTPUT_COUNT) return depth === 2 ? COUNTS_OUTPUT : 0
    if (id === FINISH) return depth === 3 && end !== -1 ? FINISHES : 0
    return isError(depth, event, start, end) ? FAILS : 0
  },
  event: (says) => says,
  usageOf(_first, last) {
    const usage = dataOf(last)?.usageMetadata
    return isObject(usage) ? googleUsage(usage) : null
  },
}

const chat = completions('chat')
const text = completions('completions')

/** What takes or makes pictures or sound. */
const MEDIA: ReadonlySet<Endpoint> = new Set([
  'image_generations',
  'image_edits',
  'image_variations',
  'speech',
  'transcriptions',
  'translations',
])

export function dialectOf(format: ApiFormat, endpoint: Endpoint): StreamDialect {
  if (format === 'anthropic') return messages
  if (format === 'google') return google
  if (endpoint === 'responses') return responses
  if (MEDIA.has(endpoint)) return media
  return endpoint === 'completions' ? text : chat
}
