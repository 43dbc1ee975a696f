/**
 * The provider's own count of input tokens, simple enough to do by hand:
 *
 *     ceil(UTF-8 bytes of all text / 4) + 4 per message + 4 per tool + 85 per image or file
 *
 * Text is every string in the messages except roles, types, ids and the like, plus the tools as JSON. What is embedded counts as
 * ceil(bytes / 4) per input, without anything per message.
 */
import { isObject } from './json.ts'

const BYTES_PER_TOKEN = 4
const TOKENS_PER_MESSAGE = 4
const TOKENS_PER_TOOL = 4
const TOKENS_PER_ATTACHMENT = 85
/** Nesting beyond this is not looked into. */
const DEPTH_MAX = 64

const NOT_TEXT: ReadonlySet<string> = new Set([
  'role',
  'type',
  'id',
  'call_id',
  'tool_call_id',
  'tool_use_id',
  'cache_control',
  'status',
  'detail',
  'signature',
  'thoughtSignature',
  'encrypted_content',
])
const ATTACHMENTS: ReadonlySet<string> = new Set([
  'image_url',
  'source',
  'input_audio',
  'file',
  'file_id',
  'file_data',
  'inlineData',
  'inline_data',
  'fileData',
])

interface Tally {
  bytes: number
  attachments: number
}

function tally(value: unknown, sum: Tally, depth: number): void {
  if (typeof value === 'string') sum.bytes += Buffer.byteLength(value)
  else if (depth > DEPTH_MAX) return
  else if (Array.isArray(value)) for (const item of value) tally(item, sum, depth + 1)
  else if (isObject(value)) {
    for (const key in value) {
      if (ATTACHMENTS.has(key)) sum.attachments++
      else if (!NOT_TEXT.has(key)) tally(value[key], sum, depth + 1)
    }
  }
}

/** Input tokens of a conversation: its messages, what stands beside them (instructions, system text) and its tools. */
export function conversationTokens(
  messages: readonly unknown[],
  beside: readonly unknown[],
  tools: readonly unknown[],
): number {
  const sum: Tally = { bytes: 0, attachments: 0 }
  tally(messages, sum, 0)
  for (const value of beside) tally(value, sum, 0)
  if (tools.length > 0) sum.bytes += Buffer.byteLength(JSON.stringify(tools))
  return (
    Math.ceil(sum.bytes / BYTES_PER_TOKEN) +
    messages.length * TOKENS_PER_MESSAGE +
    tools.length * TOKENS_PER_TOOL +
    sum.attachments * TOKENS_PER_ATTACHMENT
  )
}

/** Input tokens of one text, or of one list of token ids: as many as there are. */
export function textTokens(input: string | readonly number[]): number {
  return typeof input === 'string' ? Math.ceil(Buffer.byteLength(input) / BYTES_PER_TOKEN) : input.length
}
