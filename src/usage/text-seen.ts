/**
 * Text seen: how many bytes of a model's own words went by, for answers that end without a report. Counted by the names of the fields
 * that carry text.
 */
import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import { type FieldTable, fieldTable, scanFields } from './json-fields.ts'

/** The id of every field that carries text. */
export const TEXT = 0

/** The id of what only hides from eavesdroppers how long a text is; no dialect has such an id of its own. */
export const PADDING = -2

const NAMES: Readonly<Record<ApiFormat, readonly string[]>> = {
  openai: ['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments'],
  anthropic: ['text', 'thinking', 'partial_json'],
  google: ['text'],
}

/** The fields that carry text: in a stream's events, or in a whole answer. */
export function textFields(format: ApiFormat, endpoint: Endpoint, stream: boolean): Readonly<Record<string, number>> {
  let names = NAMES[format]
  if (endpoint === 'completions') names = ['text']
  if (endpoint === 'responses') names = stream ? ['delta'] : ['text', 'arguments']
  if (endpoint === 'transcriptions') names = stream ? ['delta'] : ['text']
  return Object.fromEntries(names.map((name) => [name, TEXT]))
}

const tables = new Map<string, FieldTable>()

/** Bytes of text in a whole answer, escapes counted as they are written. */
export function textBytesIn(body: Buffer, format: ApiFormat, endpoint: Endpoint): number {
  const kind = `${format} ${endpoint}`
  let table = tables.get(kind)
  if (table === undefined) {
    table = fieldTable(textFields(format, endpoint, false))
    tables.set(kind, table)
  }
  let bytes = 0
  scanFields(body, 0, table, (_id, _depth, start, end) => {
    if (end !== -1) bytes += end - start
  })
  return bytes
}
