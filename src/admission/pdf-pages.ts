/**
 * PDF pages: how many pages a document given as base64 has, as far as that can be seen without rendering it.
 *
 * Providers bill each page as an image and its text, so pages say what bytes do not. Pages are objects of the type `Page`, which stand in the
 * file itself or, since PDF 1.5, in compressed streams of objects. Where a document hides them (it is encrypted, or not well formed) this does
 * not know, and the document is held flat.
 */
import { inflateSync } from 'node:zlib'

/** `%PDF-` in base64; what stands before it, as some writers have it, makes it no document of ours. */
const PDF_START = 'JVBERi'
const PAGE_TYPE = Buffer.from('/Page')
const OBJECT_STREAM = Buffer.from('/ObjStm')
const [STREAM, END_OF_STREAM] = [Buffer.from('stream'), Buffer.from('endstream')]
/** Streams hold a hundred objects each, some 20 KB. Together this takes some 30 ms. */
const [STREAMS_MAX, STREAM_BYTES_MAX, INFLATED_BYTES_MAX] = [2_000, 1_048_576, 8_388_608]

/** Null where it is no PDF, or its pages cannot be seen. */
export function pdfPagesOf(base64: string): number | null {
  if (!base64.startsWith(PDF_START)) return null
  const bytes = Buffer.from(base64, 'base64')
  let pages = pagesIn(bytes)
  for (const objects of objectStreams(bytes)) pages += pagesIn(objects)
  return pages === 0 ? null : pages
}

/** Counts `/Type /Page`, with any blanks between and nothing that goes on behind (`/Pages`). */
function pagesIn(bytes: Buffer): number {
  let pages = 0
  for (let at = bytes.indexOf(PAGE_TYPE); at !== -1; at = bytes.indexOf(PAGE_TYPE, at + PAGE_TYPE.length)) {
    if (/[A-Za-z]/.test(bytes.toString('latin1', at + PAGE_TYPE.length, at + PAGE_TYPE.length + 1))) continue
    if (/\/Type\s*$/.test(bytes.toString('latin1', Math.max(0, at - 16), at))) pages += 1
  }
  return pages
}

function* objectStreams(bytes: Buffer): Generator<Buffer> {
  let left = INFLATED_BYTES_MAX
  let streams = 0
  for (let at = bytes.indexOf(OBJECT_STREAM); at !== -1 && streams < STREAMS_MAX; ) {
    streams += 1
    const begin = bytes.indexOf(STREAM, at)
    const end = begin === -1 ? -1 : bytes.indexOf(END_OF_STREAM, begin)
    if (end === -1) return
    const objects = inflated(
      bytes.subarray(afterLine(bytes, begin + STREAM.length), end),
      Math.min(left, STREAM_BYTES_MAX),
    )
    if (objects !== null) {
      left -= objects.length
      yield objects
    }
    at = bytes.indexOf(OBJECT_STREAM, end)
  }
}

/** The data begins on the line after the word. */
function afterLine(bytes: Buffer, at: number): number {
  const next = bytes[at] === 0x0d ? at + 1 : at
  return bytes[next] === 0x0a ? next + 1 : next
}

/** Null where it is too large, or not compressed in this way. */
function inflated(bytes: Buffer, maxOutputLength: number): Buffer | null {
  if (maxOutputLength <= 0) return null
  try {
    return inflateSync(bytes, { maxOutputLength })
  } catch {
    return null
  }
}
