/**
 * Body scan: one pass over the bytes of a JSON body that finds where its top-level fields lie, before anything is parsed.
 *
 * JSON.parse says neither where a value stands nor that a name occurred twice, and both matter here: a listed change replaces a few
 * bytes and leaves the rest as it is, and a field given twice is read by one parser as its first value and by another as its last.
 * The scan also bounds depth and number of values, so that a hostile body cannot keep the parser, and with it everybody, busy.
 *
 * Bytes can be read without decoding them: in UTF-8 no part of a longer character looks like a quote or a bracket. The scan is no
 * validator; that is JSON.parse, afterwards.
 */
import type { Span } from './request-facts.ts'

/** A field of an object: its name as JSON means it, and where its value lies. */
export interface ScannedField extends Span {
  readonly name: string
}

/** Why a body is not read any further. */
export type ScanProblem = 'not an object' | 'malformed' | 'too deep' | 'too many values'

export type Scan =
  | { readonly ok: true; readonly fields: readonly ScannedField[] }
  | { readonly ok: false; readonly problem: ScanProblem }

/** JSON schemas of tools nest some twenty levels deep. */
export const DEPTH_MAX = 128
/** A full request of embeddings has some 300,000 token numbers; so many distinct names keep a parser busy for 0.4 s. */
export const VALUES_MAX = 400_000
/** The largest APIs know some forty. */
export const FIELDS_MAX = 1_000

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const COLON = 0x3a
const COMMA = 0x2c

/** What a byte means outside strings; a look-up takes half the time of comparisons. */
const [NOTHING, STRING, SEPARATOR, OPEN, CLOSE] = [0, 1, 2, 3, 4]
const MEANING = new Uint8Array(256)
for (const [bytes, meaning] of [
  ['"', STRING],
  [',', SEPARATOR],
  ['{[', OPEN],
  ['}]', CLOSE],
] as const) {
  for (const byte of Buffer.from(bytes)) MEANING[byte] = meaning
}

/** Strings longer than this are searched for their end natively; below, the call would cost more than it saves. */
const NEAR_BYTES = 128

/**
 * Finds the fields of the object that begins at `start` (blanks before it are skipped), in the order in which they are written and as
 * often as they are written. What follows the object is not looked at.
 */
export function scanObject(body: Buffer, start = 0): Scan {
  const fields: ScannedField[] = []
  let valuesLeft = VALUES_MAX
  let at = skipBlanks(body, start)
  if (body[at] !== OPEN_BRACE) return { ok: false, problem: 'not an object' }
  at = skipBlanks(body, at + 1)
  if (body[at] === CLOSE_BRACE) return { ok: true, fields }

  for (;;) {
    if (body[at] !== QUOTE) return { ok: false, problem: 'malformed' }
    const nameEnd = skipString(body, at)
    const name = nameEnd < 0 ? null : decodeName(body.toString('utf8', at, nameEnd))
    if (name === null) return { ok: false, problem: 'malformed' }
    at = skipBlanks(body, nameEnd)
    if (body[at] !== COLON) return { ok: false, problem: 'malformed' }
    at = skipBlanks(body, at + 1)

    const skipped = skipValue(body, at, valuesLeft)
    if (typeof skipped === 'string') return { ok: false, problem: skipped }
    if (fields.length === FIELDS_MAX) return { ok: false, problem: 'too many values' }
    fields.push({ name, start: at, end: skipped.end })
    valuesLeft -= skipped.values
    at = skipBlanks(body, skipped.end)
    if (body[at] === CLOSE_BRACE) return { ok: true, fields }
    if (body[at] !== COMMA) return { ok: false, problem: 'malformed' }
    at = skipBlanks(body, at + 1)
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function skipBlanks(body: Buffer, from: number): number {
  let at = from
  while (isBlank(body[at])) at += 1
  return at
}

/** The position after the string whose opening quote is at `from`; -1 when it never ends. */
function skipString(body: Buffer, from: number): number {
  let at = from + 1
  for (;;) {
    const near = Math.min(body.length, at + NEAR_BYTES)
    for (; at < near; at += 1) {
      const byte = body[at]
      if (byte === QUOTE) return at + 1
      if (byte === BACKSLASH) at += 1
    }
    const quote = body.indexOf(QUOTE, at)
    if (quote < 0) return -1
    let before = quote - 1
    while (before >= at && body[before] === BACKSLASH) before -= 1
    // An even number of backslashes escape each other and leave the quote alone.
    if (((quote - 1 - before) & 1) === 0) return quote + 1
    at = quote + 1
  }
}

type Skipped = { readonly end: number; readonly values: number }

/** Where the value that begins at `from` ends, and how many separators it holds. */
function skipValue(body: Buffer, from: number, valuesLeft: number): Skipped | ScanProblem {
  const meaning = MEANING[body[from] ?? 0]
  if (meaning === OPEN) return skipContainer(body, from, valuesLeft)
  if (meaning === STRING) {
    const end = skipString(body, from)
    return end < 0 ? 'malformed' : { end, values: 0 }
  }
  let at = from
  while (at < body.length && !isBlank(body[at]) && MEANING[body[at] ?? 0] === NOTHING) at += 1
  return at === from ? 'malformed' : { end: at, values: 0 }
}

function skipContainer(body: Buffer, from: number, valuesLeft: number): Skipped | ScanProblem {
  let depth = 0
  let values = 0
  let at = from
  while (at < body.length) {
    const meaning = MEANING[body[at] ?? 0]
    at += 1
    if (meaning === NOTHING) continue
    if (meaning === STRING) {
      at = skipString(body, at - 1)
      if (at < 0) return 'malformed'
    } else if (meaning === SEPARATOR) {
      values += 1
      if (values > valuesLeft) return 'too many values'
    } else if (meaning === OPEN) {
      depth += 1
      // The object around all fields is a level of its own.
      if (depth >= DEPTH_MAX) return 'too deep'
    } else {
      depth -= 1
      if (depth === 0) return { end: at, values }
    }
  }
  return 'malformed'
}

/** Printable ASCII without backslashes stands for itself. */
const PLAIN_NAME = /^"[ -[\]-~]*"$/

/** A name with its quotes, as JSON means it; null when it is none. */
function decodeName(quoted: string): string | null {
  if (PLAIN_NAME.test(quoted)) return quoted.slice(1, -1)
  try {
    const name: unknown = JSON.parse(quoted)
    return typeof name === 'string' ? name : null
  } catch {
    return null
  }
}
