/**
 * Multipart: reads a form on its way into a file, piece by piece, and keeps of it what governs (CONTRACT 3.2).
 *
 * The bytes go on as they came, so the provider's parser must not be able to read another form in them than this one. Hence strict where
 * parsers differ: nothing before the first part or behind the last, no boundary anywhere but between parts, one disposition a part, plain
 * names, no encodings, and every governing field once, as text, in its own spelling.
 */

import { isUtf8 } from 'node:buffer'
import type { JsonObject } from '../units/json-object.ts'
import { accept, type Refusal, type Result, refuse } from './decision.ts'
import { type Disposition, dispositionOf, linesOf } from './part-headers.ts'
import type { Span } from './request-facts.ts'

/** What is known of a form once all of it has been read. */
export interface Form {
  /** The fields that govern, as the same field of a JSON body would be. */
  readonly value: JsonObject
  /** Where the value of a governing field lies. */
  spanOf(name: string): Span | null
  /** Bytes of all fields that are no files. */
  readonly textBytes: number
  readonly files: number
}

/** What a part's headers may take together; those of honest clients take 200 bytes. */
const HEADERS_MAX_BYTES = 8 * 1024
const PARTS_MAX = 1_000
/** Longest value of a governing field: a prompt is text, everything else is a word. */
const VALUE_MAX_BYTES = 4 * 1024
/** Governing fields of the forms we take; what begins with `max_` governs too. */
const GOVERNING: ReadonlySet<string> = new Set([
  'model',
  'models',
  'n',
  'stream',
  'response_format',
  'size',
  'quality',
  'partial_images',
  'output_format',
  'frame_count',
  'svg',
  'service_tier',
])
const NUMBERS: ReadonlySet<string> = new Set(['n', 'partial_images', 'frame_count'])

const DASHES = '--'
const HEADERS_END = Buffer.from('\r\n\r\n')
const CRLF = Buffer.from('\r\n')

/** The boundary that a content type names; refused where there is none, or not exactly one. */
export function boundaryOf(contentType: string): Result<string> {
  const [type = '', ...parameters] = contentType.split(';')
  const named = parameters.filter((parameter) => /^\s*boundary/i.test(parameter))
  const [, quoted, plain] = /^\s*boundary=(?:"([^"]*)"|([^\s"]+))\s*$/i.exec(named[0] ?? '') ?? []
  const boundary = quoted ?? plain
  if (type.trim().toLowerCase() !== 'multipart/form-data' || named.length !== 1 || boundary === undefined) {
    return refuse('invalid_request', 'The content type of a form must name its boundary, once.')
  }
  if (!/^[\w'()+,./:=?-]{1,70}$/.test(boundary)) {
    return refuse('invalid_request', 'The boundary of the form has characters that boundaries must not have.')
  }
  return accept(boundary)
}

type State = 'first' | 'headers' | 'value' | 'after' | 'closing' | 'done'

interface Part extends Disposition {
  /** Position of the first byte of its value. */
  readonly start: number
  readonly governs: boolean
  readonly bytes: Buffer[]
  length: number
}

export class MultipartReader {
  /** `--` and the boundary. It must not occur anywhere but as a delimiter. */
  readonly #delimiter: Buffer
  /** What has arrived and is not understood yet; its first byte stands at `#at`. */
  #rest: Buffer = Buffer.alloc(0)
  #at = 0
  #state: State = 'first'
  #part: Part | null = null
  #parts = 0
  #textBytes = 0
  #files = 0
  readonly #fields = new Map<string, { readonly value: string; readonly span: Span }>()
  #refusal: Refusal | null = null

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(DASHES + boundary)
  }

  /** Takes the next bytes. Returns why the form is refused, null while nothing has been wrong. */
  push(chunk: Buffer): Refusal | null {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (this.#refusal === null && this.#step());
    return this.#refusal
  }

  /** The form, after its last byte. */
  end(): Result<Form> {
    if (this.#refusal === null && this.#state === 'closing' && this.#rest.length === 0) this.#state = 'done'
    if (this.#refusal === null && this.#state !== 'done') this.#refuse('The form ends before its last boundary.')
    if (this.#refusal !== null) return { ok: false, refusal: this.#refusal }
    const fields = this.#fields
    return accept({
      value: Object.fromEntries([...fields].map(([name, { value }]) => [name, meantBy(name, value)])),
      spanOf: (name) => fields.get(name)?.span ?? null,
      textBytes: this.#textBytes,
      files: this.#files,
    })
  }

  /** Understands a bit more; false when more must arrive first. */
  #step(): boolean {
    switch (this.#state) {
      case 'first':
        return this.#begin()
      case 'after':
        return this.#afterDelimiter()
      case 'headers':
        return this.#headers()
      case 'value':
        return this.#value()
      case 'closing':
        return this.#close()
      case 'done':
        if (this.#rest.length > 0) this.#refuse('Something follows the last boundary of the form.')
        return false
    }
  }

  #begin(): boolean {
    if (this.#rest.length < this.#delimiter.length) return false
    if (!this.#startsWith(this.#delimiter)) return this.#refuse('The form does not begin with its boundary.')
    this.#skip(this.#delimiter.length)
    this.#state = 'after'
    return true
  }

  #afterDelimiter(): boolean {
    if (this.#rest.length < 2) return false
    const closes = this.#rest[0] === 0x2d && this.#rest[1] === 0x2d
    if (!closes && !this.#startsWith(CRLF)) return this.#refuse('The form’s boundary stands where no part begins.')
    this.#skip(2)
    this.#state = closes ? 'closing' : 'headers'
    return true
  }

  #close(): boolean {
    if (this.#rest.length < 2) return false
    if (!this.#startsWith(CRLF)) return this.#refuse('Something follows the last boundary of the form.')
    this.#skip(2)
    this.#state = 'done'
    return true
  }

  #headers(): boolean {
    const end = this.#rest.indexOf(HEADERS_END)
    const length = end < 0 ? this.#rest.length : end
    if (length > HEADERS_MAX_BYTES) return this.#refuse('The headers of a part of the form are too long.')
    if (end < 0) return false
    this.#parts += 1
    if (this.#parts > PARTS_MAX) return this.#refuse('The form has too many parts.')
    const text = this.#rest.toString('latin1', 0, end)
    if (text.includes(this.#delimiter.toString('latin1'))) {
      return this.#refuse('The form’s boundary stands where no part begins.')
    }
    const lines = linesOf(text)
    const disposition = lines === null ? null : dispositionOf(lines)
    if (disposition === null) return this.#refuse('The headers of a part of the form can be read in two ways.')
    this.#skip(end + HEADERS_END.length)
    return this.#beginPart(disposition)
  }

  #beginPart(disposition: Disposition): boolean {
    // Servers exist that take `model[]`, `model.x` or `Model` for `model`.
    const folded = disposition.name
      .replace(/[[.].*$/s, '')
      .toUpperCase()
      .toLowerCase()
    const governs = GOVERNING.has(folded) || folded.startsWith('max_')
    if (governs) {
      const { name, isText } = disposition
      if (name !== folded) return this.#refuse(`The field "${folded}" is written in another form.`, folded)
      if (this.#fields.has(name)) return this.#refuse(`The field "${name}" occurs twice in the form.`, name)
      if (!isText) return this.#refuse(`The field "${name}" must be plain text.`, name)
    }
    if (disposition.isFile) this.#files += 1
    this.#part = { ...disposition, start: this.#at, governs, bytes: [], length: 0 }
    this.#state = 'value'
    return true
  }

  #value(): boolean {
    const found = this.#rest.indexOf(this.#delimiter)
    // What may be the beginning of a delimiter, or the line break before it, waits for the rest.
    const kept = this.#delimiter.length + CRLF.length - 1
    const until = found < 0 ? this.#rest.length - kept : found - CRLF.length
    if (found >= 0 && (until < 0 || !this.#rest.subarray(until, found).equals(CRLF))) {
      return this.#refuse('The form’s boundary stands where no part ends.')
    }
    if (until > 0 && !this.#take(this.#rest.subarray(0, until))) return false
    if (until > 0) this.#skip(until)
    if (found < 0) return false
    this.#skip(CRLF.length + this.#delimiter.length)
    this.#state = 'after'
    return this.#endPart()
  }

  #take(bytes: Buffer): boolean {
    const part = this.#part
    if (part === null) return true
    part.length += bytes.length
    if (!part.isFile) this.#textBytes += bytes.length
    if (!part.governs) return true
    if (part.length > VALUE_MAX_BYTES) return this.#refuse(`The field "${part.name}" is too long.`, part.name)
    part.bytes.push(Buffer.from(bytes))
    return true
  }

  #endPart(): boolean {
    const part = this.#part
    this.#part = null
    if (part?.governs !== true) return true
    const bytes = Buffer.concat(part.bytes)
    if (!isUtf8(bytes)) return this.#refuse(`The field "${part.name}" is not UTF-8.`, part.name)
    const span = { start: part.start, end: part.start + part.length }
    this.#fields.set(part.name, { value: bytes.toString(), span })
    return true
  }

  #startsWith(bytes: Buffer): boolean {
    return this.#rest.subarray(0, bytes.length).equals(bytes)
  }

  #skip(bytes: number): void {
    this.#rest = this.#rest.subarray(bytes)
    this.#at += bytes
  }

  #refuse(message: string, param?: string): false {
    this.#refusal = { code: 'invalid_request', message, ...(param === undefined ? {} : { param }) }
    return false
  }
}

/** A field's text as JSON would have it; what is no number or truth value stays text, which readers then refuse. */
function meantBy(name: string, text: string): unknown {
  if (NUMBERS.has(name) || name.startsWith('max_')) return /^\d{1,16}$/.test(text) ? Number(text) : text
  if (name === 'stream') return text === 'true' ? true : text === 'false' ? false : text
  return text
}
