/**
 * Texts: what of a parsed body becomes input tokens, as text, without the JSON around it.
 *
 * A conversation is known by its shape, so that `{"role":"user","content":"Hi"}` is two texts. Whatever stands outside that shape (tools,
 * schemas, arguments, fields we have never heard of) is taken as JSON, names included: providers write it into the prompt in some
 * form, and JSON is the longest of them. When in doubt it is text: this must not come out below what is billed.
 */
import { isObject, type JsonObject } from '../units/json-object.ts'

/** Top-level fields that hold a conversation or texts. */
const CONVERSATIONS: ReadonlySet<string> = new Set([
  'messages',
  'input',
  'prompt',
  'instructions',
  'system',
  'contents',
  'content',
  'requests',
  'systemInstruction',
  'system_instruction',
])
/** Top-level fields that no model gets to read. */
const PARAMETERS: ReadonlySet<string> = new Set(['model', 'stream', 'stream_options'])
/** Names inside a conversation that are its format; their values are walked on. */
const FORMAT: ReadonlySet<string> = new Set(['role', 'content', 'parts', 'type', 'text', 'output'])
/** Conversations nest no deeper; what does is somebody's attempt to hide names in the format's own. */
const DEPTH_MAX = 8

/**
 * The texts of a body, in order.
 *
 * @param inlined images and files given as base64, which are estimated flat: each occurrence is left out once
 */
export function* textsOf(body: JsonObject, inlined: readonly string[]): Generator<string, void> {
  const left = new Map<string, number>()
  for (const base64 of inlined) left.set(base64, (left.get(base64) ?? 0) + 1)
  /** A text, or nothing where it is an attachment. */
  const kept = (text: string): string => {
    const times = left.get(text)
    if (times === undefined || times === 0) return text
    left.set(text, times - 1)
    return ''
  }
  const asJson = (value: unknown) =>
    JSON.stringify(value, (_name, inner: unknown) => (typeof inner === 'string' ? kept(inner) : inner))

  function* walk(value: unknown, depth: number): Generator<string, void> {
    if (typeof value === 'string') yield kept(value)
    else if (depth > DEPTH_MAX || (Array.isArray(value) && typeof value[0] === 'number')) yield asJson(value)
    else if (Array.isArray(value)) for (const item of value) yield* walk(item, depth + 1)
    else if (isObject(value)) {
      for (const [name, inner] of Object.entries(value)) {
        if (FORMAT.has(name)) yield* walk(inner, depth + 1)
        else if (inner !== null) yield `${name} ${typeof inner === 'string' ? kept(inner) : asJson(inner)}`
      }
    } else if (value !== null && value !== undefined) yield String(value)
  }

  for (const [name, value] of Object.entries(body)) {
    if (CONVERSATIONS.has(name)) yield* walk(value, 0)
    else if (!PARAMETERS.has(name) && (isObject(value) || Array.isArray(value) || typeof value === 'string')) {
      yield `${name} ${asJson(value)}`
    }
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/**
 * Whether some object of a body has a name twice. Parsing keeps one of the two values, and a provider's parser may keep the other, so
 * such a body cannot be counted.
 *
 * @param text the body as it came
 * @param value the same, parsed
 */
export function repeatsNames(text: string, value: unknown): boolean {
  return membersWritten(text) !== membersParsed(value)
}

function membersWritten(text: string): number {
  let members = 0
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at)
    if (character === COLON) members += 1
    if (character !== QUOTE) continue
    for (at += 1; at < text.length && text.charCodeAt(at) !== QUOTE; at += 1) {
      if (text.charCodeAt(at) === BACKSLASH) at += 1
    }
  }
  return members
}

/** Bodies are nested at most as deep as the body scan allows. */
function membersParsed(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + membersParsed(item), 0)
  if (!isObject(value)) return 0
  const inner = Object.values(value)
  return inner.reduce<number>((sum, item) => sum + membersParsed(item), inner.length)
}
