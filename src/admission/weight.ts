/**
 * Weight: the parts of a body whose size says nothing about the tokens they become, found while a format is read.
 *
 * An inline image is counted as one attachment and its base64 is taken off the text; what the provider fetches or has stored is only
 * noted. Inline *text* files stay text: their bytes become tokens.
 */
import { isObject } from './read-body.ts'

export class Weight {
  attachments = 0
  /** Bytes of base64 that are no text. */
  inlineBytes = 0
  /** What those bytes say. */
  readonly inlined: string[] = []
  /** Something is fetched or looked up by the provider. */
  stored = false

  /** An attachment given by URL: `data:` holds it, anything else is fetched by the provider. */
  url(url: unknown): void {
    if (typeof url !== 'string') return
    if (/^data:/i.test(url)) this.inline(url, url.slice(5, url.indexOf(',')))
    else {
      this.attachments += 1
      this.stored = true
    }
  }

  /** An attachment given as base64, with its media type when the caller said one. */
  inline(base64: unknown, mediaType: unknown): void {
    if (typeof base64 !== 'string') return
    this.attachments += 1
    if (typeof mediaType === 'string' && /^\s*(text\/|application\/(json|xml))/i.test(mediaType)) return
    // A value may hold escapes and then be shorter than its bytes: that errs towards more tokens.
    this.inlineBytes += Buffer.byteLength(base64)
    this.inlined.push(base64)
  }

  /** Something the provider keeps, by its id. */
  reference(id: unknown): void {
    if (id === undefined || id === null) return
    this.attachments += 1
    this.stored = true
  }
}

/** The objects among the elements of a value that may be an array. */
export function objectsIn(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** A field of a value that may be an object. */
export function fieldOf(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined
}
