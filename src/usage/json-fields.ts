/**
 * JSON fields: finds the few fields that matter in a piece of JSON, in one pass over its bytes, without parsing or decoding any.
 *
 * A stream has hundreds of events of which a handful say something; parsing all of them would cost more than everything else that is
 * done to them. Bytes can be read as they are: in UTF-8 no part of a longer character looks like a quote or a bracket.
 */

/** The names looked for, by their length. */
export type FieldTable = readonly (readonly { readonly name: Buffer; readonly id: number }[] | undefined)[]

/**
 * Told of each field found.
 *
 * @param depth how many objects and arrays the field stands in
 * @param start where its value begins; of a string, behind its quote
 * @param end where a string ends, before its quote; -1 for every other value
 */
export type OnField = (id: number, depth: number, start: number, end: number) => void

export function fieldTable(ids: Readonly<Record<string, number>>): FieldTable {
  const table: { name: Buffer; id: number }[][] = []
  for (const [text, id] of Object.entries(ids)) {
    const name = Buffer.from(text)
    const sameLength = table[name.length] ?? []
    table[name.length] = sameLength
    sameLength.push({ name, id })
  }
  return table
}

const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c

/** Reads from `from` to the end. What is no JSON is passed over: nothing is found there, and nothing goes wrong. */
export function scanFields(json: Buffer, from: number, table: FieldTable, onField: OnField): void {
  const length = json.length
  let depth = 0
  let at = from
  while (at < length) {
    const byte = json[at]
    if (byte !== QUOTE) {
      // { and [ , } and ] differ by 0x20 and stand for the same here.
      if (byte === 0x7b || byte === 0x5b) depth += 1
      else if (byte === 0x7d || byte === 0x5d) depth -= 1
      at += 1
      continue
    }
    const start = at + 1
    const end = endOfString(json, start)
    at = end + 1
    const named = table[end - start]
    if (named === undefined) continue
    const value = valueAt(json, at)
    // A string without a colon behind it is no name.
    if (value === at || !isFollowedByColon(json, at)) continue
    const id = idOf(json, start, named)
    if (id === -1) continue
    if (json[value] === QUOTE) {
      const valueEnd = endOfString(json, value + 1)
      onField(id, depth, value + 1, valueEnd)
      at = valueEnd + 1
    } else {
      onField(id, depth, value, -1)
      at = value
    }
  }
}

function idOf(json: Buffer, start: number, named: readonly { readonly name: Buffer; readonly id: number }[]): number {
  for (const { name, id } of named) {
    let same = 0
    while (same < name.length && json[start + same] === name[same]) same += 1
    if (same === name.length) return id
  }
  return -1
}

function isFollowedByColon(json: Buffer, from: number): boolean {
  let at = from
  while (isSpace(json[at])) at += 1
  return json[at] === COLON
}

/** Position of the first byte of the value that follows a name, or of the end. */
export function valueAt(json: Buffer, afterName: number): number {
  let at = afterName
  while (json[at] === COLON || isSpace(json[at])) at += 1
  return at
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Strings longer than this are searched for their end natively; below, the call would cost more than it saves. */
const NEAR_BYTES = 128

/** Position of the quote that ends the string whose first byte is at `start`, or of the end. */
function endOfString(json: Buffer, start: number): number {
  const near = Math.min(json.length, start + NEAR_BYTES)
  let at = start
  while (at < near) {
    const byte = json[at]
    if (byte === QUOTE) return at
    at += byte === BACKSLASH ? 2 : 1
  }
  while (at < json.length) {
    const quote = json.indexOf(QUOTE, at)
    if (quote === -1) return json.length
    let escapes = quote
    while (escapes > at && json[escapes - 1] === BACKSLASH) escapes -= 1
    if ((quote - escapes) % 2 === 0) return quote
    at = quote + 1
  }
  return json.length
}
