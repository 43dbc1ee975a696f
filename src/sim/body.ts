/** Collecting a request's body. */
import type { IncomingMessage } from 'node:http'

/** Above what the gateway itself accepts (32 MiB), so that this server is never the one to refuse. */
const BODY_BYTES_MAX = 64 * 1024 * 1024
export const EMPTY = Buffer.alloc(0)

/**
 * Calls back once with the whole body: the bytes as they came, or null when there are too many of them (the rest is read and
 * dropped). Never calls back when the peer leaves before the end.
 */
export function readBody(request: IncomingMessage, done: (body: Buffer | null) => void): void {
  const parts: Buffer[] = []
  let length = 0
  request.on('data', (part: Buffer) => {
    length += part.length
    if (length <= BODY_BYTES_MAX) parts.push(part)
    else parts.length = 0
  })
  request.on('end', () => {
    if (length > BODY_BYTES_MAX) return done(null)
    const [only] = parts
    done(parts.length > 1 ? Buffer.concat(parts, length) : (only ?? EMPTY))
  })
}
