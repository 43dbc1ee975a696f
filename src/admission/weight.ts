/**
 * Weight: the parts of a body whose size says nothing about the tokens they become, found while a format is read.
 *
 * An inline image is counted as one attachment and its base64 is taken off the text; what the provider fetches or has stored is only
 * noted. Inline *text* files stay text: their bytes become tokens.
 */
import { pixelsOf } from './image-size.ts'
import type { ImageFacts } from './image-tokens.ts'
import { pdfPagesOf } from './pdf-pages.ts'
import type { Endpoint } from './request-facts.ts'

export class Weight {
  attachments = 0
  /** Those of the attachments that are images. */
  readonly images: ImageFacts[] = []
  /** The pages of each of them that is a document whose pages can be seen. */
  readonly documentPages: number[] = []
  /** Bytes of base64 that are no text. */
  inlineBytes = 0
  /** What those bytes say. */
  readonly inlined: string[] = []
  /** Something is fetched or looked up by the provider. */
  stored = false

  /** An attachment given by URL: `data:` holds it, anything else is fetched by the provider. */
  url(url: unknown): void {
    if (typeof url !== 'string') return
    if (isData(url)) this.#data(url, null)
    else this.#elsewhere()
  }

  /** An image given by URL, and how closely it is to be looked at. */
  imageUrl(url: unknown, detail: unknown): void {
    if (typeof url !== 'string') return
    if (isData(url)) this.#data(url, wordOf(detail))
    else this.#imageElsewhere(detail)
  }

  /** An attachment given as base64, with its media type when the caller said one. */
  inline(base64: unknown, mediaType: unknown): void {
    if (typeof base64 === 'string') this.#inline(base64, base64, mediaType, null)
  }

  /** Something the provider keeps, by its id. */
  reference(id: unknown): void {
    if (id !== undefined && id !== null) this.#elsewhere()
  }

  /** An image that the provider keeps, by its id. */
  imageReference(id: unknown, detail: unknown): void {
    if (id !== undefined && id !== null) this.#imageElsewhere(detail)
  }

  /** The files of a form. */
  files(count: number, endpoint: Endpoint): void {
    this.attachments += count
    if (endpoint !== 'image_edits' && endpoint !== 'image_variations') return
    for (let file = 0; file < count; file += 1) this.images.push({ pixels: null, detail: null })
  }

  #elsewhere(): void {
    this.attachments += 1
    this.stored = true
  }

  #imageElsewhere(detail: unknown): void {
    this.#elsewhere()
    this.images.push({ pixels: null, detail: wordOf(detail) })
  }

  #data(url: string, detail: string | null): void {
    const comma = url.indexOf(',')
    this.#inline(url, url.slice(comma + 1), url.slice('data:'.length, comma), detail)
  }

  /** @param text the base64 as the body has it, with what may stand before it */
  #inline(text: string, base64: string, mediaType: unknown, detail: string | null): void {
    this.attachments += 1
    const type = typeof mediaType === 'string' ? mediaType.trim() : ''
    if (/^(text\/|application\/(json|xml))/i.test(type)) return
    if (/^image\//i.test(type)) this.images.push({ pixels: pixelsOf(base64), detail })
    else {
      const pages = pdfPagesOf(base64)
      if (pages !== null) this.documentPages.push(pages)
    }
    // A value may hold escapes and then be shorter than its bytes: that errs towards more tokens.
    this.inlineBytes += Buffer.byteLength(text)
    this.inlined.push(text)
  }
}

function wordOf(detail: unknown): string | null {
  return typeof detail === 'string' ? detail : null
}

function isData(url: string): boolean {
  return /^data:/i.test(url)
}
