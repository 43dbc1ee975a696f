/** Reading a form the way a careless server would: the first field of a name counts, whatever else is in it. */
import type { SimCall } from './call.ts'
import { Refused } from './errors.ts'
import type { JsonObject } from './json.ts'

export interface SimForm {
  /** Fields by name, as text. */
  readonly fields: JsonObject
  /** Lengths of the files, in order. */
  readonly files: readonly number[]
}

export function parseForm({ body, contentType }: SimCall): SimForm {
  const [, quoted, plain] = /^multipart\/form-data;.*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) throw new Refused(400, 'We could not parse the multipart form data of your request.')
  const fields: Record<string, unknown> = {}
  const files: number[] = []
  for (const part of body.toString('latin1').split(`--${boundary}`).slice(1)) {
    const [, headers = '', value = ''] = /^\r\n(.*?)\r\n\r\n(.*)\r\n$/s.exec(part) ?? []
    const name = /[; ]name="?([^";]+)/i.exec(headers)?.[1]
    if (name === undefined) continue
    if (/filename/i.test(headers)) files.push(value.length)
    else fields[name] ??= Buffer.from(value, 'latin1').toString()
  }
  return { fields, files }
}
