/** Event data: where the data of one server-sent event stands, and what it says as JSON. */
import type { JsonObject } from '../units/json-object.ts'
import { parseObject } from './extract.ts'
import { valueAt } from './json-fields.ts'

const DATA = 'data:'
const LINE_FEED = 0x0a
const OPEN_OBJECT = 0x7b

/**
 * Where the data of an event begins; elements of a JSON array, which are all data, begin with their brace. The end where there is
 * none, as in comments.
 */
export function dataAt(event: Buffer): number {
  for (let line = 0; line < event.length; ) {
    if (isData(event, line)) return valueAt(event, line + DATA.length)
    const feed = event.indexOf(LINE_FEED, line)
    if (feed === -1) break
    line = feed + 1
  }
  const brace = event.indexOf(OPEN_OBJECT)
  return brace === -1 ? event.length : brace
}

function isData(event: Buffer, at: number): boolean {
  for (let same = 0; same < DATA.length; same += 1) if (event[at + same] !== DATA.charCodeAt(same)) return false
  return true
}

/** The data of an event as JSON. One that is spread over lines, or followed by other fields, is put together first. */
export function dataOf(event: Buffer): JsonObject | null {
  const known = parseObject(event.toString('utf8', dataAt(event)))
  if (known !== null) return known
  const lines = event.toString().split(/\r?\n/)
  return parseObject(lines.flatMap((line) => (line.startsWith(DATA) ? [line.slice(DATA.length)] : [])).join('\n'))
}
