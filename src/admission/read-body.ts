/**
 * Read body: from bytes to one JSON object, with the place of each of its fields (CONTRACT 3.2). Refused is what is not JSON, and what
 * two parsers could read differently.
 */

import { isAscii, isUtf8 } from 'node:buffer'
import { parseJson } from '../units/json.ts'
import { isObject, type JsonObject } from '../units/json-object.ts'
import { ambiguityOf } from './ambiguity.ts'
import { type ScannedField, type ScanProblem, scanObject } from './body-scan.ts'
import { accept, type Result, refuse } from './decision.ts'
import type { ApiFormat, Span } from './request-facts.ts'

export interface Body {
  readonly value: JsonObject
  /** Where a top-level field's value lies. */
  spanOf(name: string): Span | null
}

const SCAN_MESSAGES: Readonly<Record<ScanProblem, string>> = {
  'not an object': 'The body must be a JSON object.',
  malformed: 'The body is not valid JSON.',
  'too deep': 'The body is nested too deeply.',
  'too many values': 'The body has too many values.',
}

/** Reads a body. Its text is never repeated in a refusal. */
export function readBody(body: Buffer, format: ApiFormat): Result<Body> {
  if (body.length === 0) return refuse('invalid_request', 'The body is empty; a JSON object was expected.')
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
    return refuse('invalid_request', 'The body begins with a byte order mark; JSON has none.')
  }
  // Most bodies are ASCII, and a string of one byte a character is made and parsed in half the time.
  const encoding = isAscii(body) ? 'latin1' : 'utf8'
  if (encoding === 'utf8' && !isUtf8(body)) return refuse('invalid_request', 'The body is not UTF-8.')
  const scan = scanObject(body)
  if (!scan.ok) return refuse('invalid_request', SCAN_MESSAGES[scan.problem])
  const value = parse(body.toString(encoding))
  if (value === null) return refuse('invalid_request', SCAN_MESSAGES.malformed)
  const refusal = ambiguityOf(body, scan.fields, format)
  if (refusal !== null) return { ok: false, refusal }
  return accept({ value, spanOf: (name) => spanIn(scan.fields, name) })
}

function spanIn(fields: readonly ScannedField[], name: string): Span | null {
  const field = fields.find((candidate) => candidate.name === name)
  return field === undefined ? null : { start: field.start, end: field.end }
}

function parse(text: string): JsonObject | null {
  try {
    const value: unknown = parseJson(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}
