/**
 * Spool: keeps forms in files while they are checked and sent on, so that recordings and pictures of many clients do not fill the memory.
 *
 * A file has no name any more once it is open: whatever happens to this process, nothing is left behind. Together they are bounded.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Refusal, Result } from '../admission/decision.ts'
import { MultipartReader } from '../admission/multipart.ts'
import type { ReceivedForm } from '../admission/read-facts.ts'
import type { Edit, Upload } from '../admission/request-facts.ts'
import { newId } from '../units/id.ts'
import type { Log } from '../units/log.ts'

export interface SpoolOptions {
  /** Largest body of one request, in bytes. */
  readonly bodyMaxBytes: number
  /** Bytes of all files together. Beyond it new ones are refused. */
  readonly totalMaxBytes?: number
  readonly log: Log
  /** Opens a new file for reading and writing that nobody else can reach. Default: in the system's folder for such files. */
  readonly openFile?: () => Promise<FileHandle>
}

const TOTAL_MAX_BYTES = 4 * 1024 ** 3
const READ_BYTES = 256 * 1024

/** A form in its file. It must be released, by whoever has taken it, once no attempt will begin any more. */
export interface SpooledForm extends ReceivedForm {
  release(): void
}

export class Spool {
  readonly #options: SpoolOptions
  #bytes = 0
  #files = 0

  constructor(options: SpoolOptions) {
    this.#options = options
  }

  /** Files that are open. */
  get files(): number {
    return this.#files
  }

  /** Takes in a form to its end. Refused is what cannot be read, is too large, or cannot be written; then nothing is kept. */
  async take(body: AsyncIterable<Buffer>, boundary: string): Promise<Result<SpooledForm>> {
    const reader = new MultipartReader(boundary)
    const file = await this.#open()
    if (file === null) return OVERLOADED
    try {
      const refusal = await this.#fill(file, body, reader)
      const form = refusal === null ? reader.end() : ({ ok: false, refusal } as const)
      if (form.ok) return { ok: true, value: { form: form.value, upload: file, release: () => file.release() } }
      file.release()
      return form
    } catch (error) {
      file.release()
      throw error
    }
  }

  async #fill(file: SpooledFile, body: AsyncIterable<Buffer>, reader: MultipartReader): Promise<Refusal | null> {
    const { bodyMaxBytes, totalMaxBytes = TOTAL_MAX_BYTES, log } = this.#options
    for await (const chunk of body) {
      this.#bytes += chunk.length
      file.reserved += chunk.length
      if (file.reserved > bodyMaxBytes) return TOO_LARGE
      if (this.#bytes > totalMaxBytes) return OVERLOADED.refusal
      const refusal = reader.push(chunk)
      if (refusal !== null) return refusal
      try {
        await file.write(chunk)
      } catch (error) {
        log.error({ err: error }, 'a form could not be written to its temporary file')
        return OVERLOADED.refusal
      }
    }
    return null
  }

  async #open(): Promise<SpooledFile | null> {
    const { openFile = openNameless, log } = this.#options
    try {
      const handle = await openFile()
      this.#files += 1
      return new SpooledFile(handle, ({ reserved }) => {
        this.#files -= 1
        this.#bytes -= reserved
        handle.close().catch((error: unknown) => log.warn({ err: error }, 'a temporary file could not be closed'))
      })
    } catch (error) {
      log.error({ err: error }, 'no temporary file could be made for a form')
      return null
    }
  }
}

const OVERLOADED = {
  ok: false,
  refusal: { code: 'overloaded', message: 'There is no room for this form at the moment. Try again.', retryAfterS: 5 },
} as const
export const TOO_LARGE: Refusal = {
  code: 'request_too_large',
  message: 'The request body is larger than this gateway takes.',
}

async function openNameless(): Promise<FileHandle> {
  const path = join(tmpdir(), `bursar-form-${newId()}`)
  const handle = await open(path, 'wx+', 0o600)
  await unlink(path)
  return handle
}

/** Closed when it has been released and nobody reads it any more: a call to a provider may outlive its client. */
class SpooledFile implements Upload {
  bytes = 0
  /** What counts against the sum of all, written or not. */
  reserved = 0
  readonly #handle: FileHandle
  readonly #close: (file: SpooledFile) => void
  #readers = 0
  #released = false

  constructor(handle: FileHandle, close: (file: SpooledFile) => void) {
    this.#handle = handle
    this.#close = close
  }

  async write(chunk: Buffer): Promise<void> {
    let from = 0
    while (from < chunk.length) {
      const { bytesWritten } = await this.#handle.write(chunk, from, chunk.length - from, this.bytes)
      from += bytesWritten
      this.bytes += bytesWritten
    }
  }

  read(edits: readonly Edit[]): Readable {
    this.#readers += 1
    const stream = Readable.from(this.#pieces(edits), { objectMode: false, highWaterMark: READ_BYTES })
    // Also of a stream that nobody has read.
    return stream.once('close', () => {
      this.#readers -= 1
      this.#closeWhenUnused()
    })
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#closeWhenUnused()
  }

  #closeWhenUnused(): void {
    if (this.#released && this.#readers === 0) this.#close(this)
  }

  async *#pieces(edits: readonly Edit[]): AsyncGenerator<Buffer, void> {
    let at = 0
    for (const { start, end, text } of edits) {
      yield* this.#range(at, start)
      yield Buffer.from(text)
      at = end
    }
    yield* this.#range(at, this.bytes)
  }

  async *#range(from: number, to: number): AsyncGenerator<Buffer, void> {
    for (let at = from; at < to; ) {
      const { bytesRead, buffer } = await this.#handle.read(
        Buffer.allocUnsafe(Math.min(READ_BYTES, to - at)),
        0,
        Math.min(READ_BYTES, to - at),
        at,
      )
      if (bytesRead === 0) throw new Error('a temporary file is shorter than what was written to it')
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }
}
