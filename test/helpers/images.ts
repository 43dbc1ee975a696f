/** Beginnings of image files, with what a reader of their size looks at, and documents of empty pages. */
import { deflateSync } from 'node:zlib'
import type { Pixels } from '../../src/admission/image-size.ts'

export function pngOf({ width, height }: Pixels): Buffer {
  const bytes = Buffer.alloc(33)
  bytes.write('89504e470d0a1a0a0000000d49484452', 'hex')
  bytes.writeUInt32BE(width, 16)
  bytes.writeUInt32BE(height, 20)
  return bytes
}

/** A JPEG's segment with its length. */
export function segment(marker: number, content: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0])
  head.writeUInt16BE(content.length + 2, 2)
  return Buffer.concat([head, content])
}

export function jpegOf(
  { width, height }: Pixels,
  { before = Buffer.alloc(0), marker = 0xc0 }: { before?: Buffer; marker?: number } = {},
): Buffer {
  const frame = Buffer.alloc(15)
  frame.writeUInt8(8, 0)
  frame.writeUInt16BE(height, 1)
  frame.writeUInt16BE(width, 3)
  const jfif = segment(0xe0, Buffer.from('JFIF\0'))
  return Buffer.concat([Buffer.from('ffd8', 'hex'), jfif, before, segment(marker, frame), Buffer.alloc(20)])
}

export function webpOf({ width, height }: Pixels, kind: string): Buffer {
  const bytes = Buffer.alloc(40)
  bytes.write('RIFF', 0)
  bytes.write(`WEBP${kind}`, 8)
  if (kind === 'VP8 ') {
    bytes.write('9d012a', 23, 'hex')
    bytes.writeUInt16LE(width, 26)
    bytes.writeUInt16LE(height, 28)
  } else if (kind === 'VP8L') {
    bytes[20] = 0x2f
    bytes.writeUInt32LE(((width - 1) | ((height - 1) << 14)) >>> 0, 21)
  } else {
    bytes.writeUIntLE(width - 1, 24, 3)
    bytes.writeUIntLE(height - 1, 27, 3)
  }
  return bytes
}

/** A document of so many empty pages, as writers of PDF 1.4 and, compressed, of 1.5 put it down. */
export function pdfOf(pages: number, { compressed = false }: { compressed?: boolean } = {}): Buffer {
  const objects = Array.from({ length: pages }, () => '<< /Type /Page /MediaBox [0 0 595 842] >>')
  const head = `%PDF-1.${compressed ? 5 : 4}\n1 0 obj << /Type /Pages /Count ${pages} >> endobj\n`
  if (!compressed) return Buffer.from(head + objects.map((page) => `2 0 obj ${page} endobj\n`).join(''))
  const streams: Buffer[] = []
  for (let at = 0; at < pages; at += 100) {
    const data = deflateSync(objects.slice(at, at + 100).join('\n'))
    const dictionary = `3 0 obj << /Type /ObjStm /Filter /FlateDecode /Length ${data.length} >>\nstream\r\n`
    streams.push(Buffer.from(dictionary), data, Buffer.from('\nendstream endobj\n'))
  }
  return Buffer.concat([Buffer.from(head), ...streams])
}
