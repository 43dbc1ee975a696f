/**
 * Decoding: an answer that was compressed although we asked for none, made readable again, so that its usage can be read.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'

const DECODERS: Readonly<Record<string, (body: Buffer, limits: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
}

/** The body as it was meant; `encoded` where it could not be made readable and is still the provider's bytes. */
export function decoded(
  body: Buffer,
  headers: IncomingHttpHeaders,
  { answerMaxBytes }: { readonly answerMaxBytes: number },
): { readonly body: Buffer; readonly encoded: boolean } {
  const encoding = encodingOf(headers)
  if (encoding === null) return { body, encoded: false }
  try {
    const decoder = DECODERS[encoding]
    if (decoder !== undefined) return { body: decoder(body, { maxOutputLength: answerMaxBytes }), encoded: false }
  } catch {
    // Not what it says it is: the client may make more of it than we can.
  }
  return { body, encoded: true }
}

/** Null where the body is what it seems. */
export function encodingOf(headers: IncomingHttpHeaders): string | null {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? ''
  return encoding === '' || encoding === 'identity' ? null : encoding
}
