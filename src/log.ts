/**
 * Log: JSON lines on standard error, so that standard output is for people. Prompts, completions and credentials are never handed to the log;
 * should one of their fields come along all the same, its serializer takes it out. (pino's redaction by path does the same for a quarter of
 * the processor time of a whole request.)
 */
import { writeSync } from 'node:fs'
import process from 'node:process'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Log } from './units/log.ts'

const withheld = () => '[withheld]'

/** @param fd where the lines go; standard error unless told otherwise */
export function createLog(level: string, fd = 2): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: timeField,
      serializers: {
        // Fastify's own would write the query string, where a careless client has put its key.
        req: (request: { method: string; url: string }) => ({
          method: request.method,
          path: request.url.split('?')[0],
        }),
        headers: withheld,
        authorization: withheld,
        body: withheld,
        key: withheld,
        keys: withheld,
        secret: withheld,
        value: withheld,
      },
    },
    new Gathered(fd),
  )
}

/** Writes an `info` line whose fields are JSON already, without the braces around them: `"requestId":"…","status":200`. */
export type WriteFields = (fields: string, message: string) => void

/**
 * For the line that every request has: made once as text, for the journal too, it need not be taken apart and put together again. A logger
 * that is not ours has its own ways, and gets the fields as an object.
 */
export function fieldsTo(log: Log): WriteFields {
  const stream = gatheredOf(log)
  if (stream === null) {
    return (fields, message) => log.info(JSON.parse(`{${fields}}`), message)
  }
  const logger = log as Logger
  const level = pino.levels.values.info
  return (fields, message) => {
    if (!logger.isLevelEnabled('info')) return
    stream.write(`{"level":${level}${timeField()},${fields},"msg":${JSON.stringify(message)}}\n`)
  }
}

let [second, secondText] = [0, '']

/** `,"time":"…"`: most lines share their second with others. */
function timeField(): string {
  const now = Date.now()
  const ms = now % 1_000
  if (now - ms !== second) [second, secondText] = [now - ms, `,"time":"${new Date(now).toISOString().slice(0, -4)}`]
  return `${secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z"`
}

/** Most characters of a turn's lines that wait for its end. */
const GATHERED_MAX = 64 * 1024

/**
 * Writes the lines of one event-loop turn together, at its end or at the process's: a write for each line costs more than all else that is
 * done for it. A `kill -9` loses at most the lines of the turn it comes in.
 *
 * Lines that are not taken (the disk is full, nobody reads any more) are lost and counted: the gateway serves on, and says so when it can.
 */
class Gathered implements DestinationStream {
  readonly #fd: number
  readonly #flush = () => this.flush()
  #lines = ''
  /** Since the start, and since lines were taken last. */
  #lost = 0
  #lostLately = 0
  /** What was taken last ends in the middle of a line. */
  #torn = false

  constructor(fd: number) {
    this.#fd = fd
    process.once('exit', this.#flush)
  }

  get lost(): number {
    return this.#lost
  }

  write(line: string): void {
    if (this.#lines === '') setImmediate(this.#flush)
    this.#lines += line
    if (this.#lines.length > GATHERED_MAX) this.flush()
  }

  flush(): void {
    if (this.#lines === '') return
    const lines = this.#lines
    this.#lines = ''
    const bytes = Buffer.from((this.#torn ? '\n' : '') + this.#ofLost() + lines)
    const left = writeTo(this.#fd, bytes, this.#lostLately === 0)
    if (left.length === 0) {
      this.#lostLately = 0
      this.#torn = false
      return
    }
    if (left.length < bytes.length) this.#torn = bytes[bytes.length - left.length - 1] !== NEWLINE
    // The line about lost ones is none of those; told a second time it does no harm.
    const lost = Math.min(count(left), count(Buffer.from(lines)))
    this.#lost += lost
    this.#lostLately += lost
  }

  #ofLost(): string {
    if (this.#lostLately === 0) return ''
    const level = pino.levels.values.warn
    return `{"level":${level}${timeField()},"lines":${this.#lostLately},"msg":"log lines were lost: what they go to did not take them"}\n`
  }
}

/** How many log lines were not taken since the start, by where they go; 0 for a logger that is not ours. */
export function linesLost(log: Log): number {
  return gatheredOf(log)?.lost ?? 0
}

/** Where the lines of a logger of ours go, which pino's types do not tell; null for any other. */
function gatheredOf(log: Log): Gathered | null {
  const { [pino.symbols.streamSym]: stream } = log as Partial<Logger> & Record<symbol, unknown>
  return stream instanceof Gathered ? stream : null
}

const NEWLINE = 0x0a

function count(lines: Buffer): number {
  let newlines = 0
  for (const byte of lines) if (byte === NEWLINE) newlines += 1
  return newlines
}

/** A pipe whose reader is slow is waited for so long at most: everything else waits, too. */
const PATIENCE_MS = 200
const PAUSE_MS = 5
const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Does not throw. What has not been taken. */
function writeTo(fd: number, bytes: Buffer, isPatient: boolean): Buffer {
  let left = bytes
  for (let waitedMs = 0; left.length > 0; ) {
    try {
      left = left.subarray(writeSync(fd, left))
    } catch (error) {
      const isBusy = error instanceof Error && 'code' in error && error.code === 'EAGAIN'
      if (!isBusy || !isPatient || waitedMs >= PATIENCE_MS) break
      Atomics.wait(sleeper, 0, 0, PAUSE_MS)
      waitedMs += PAUSE_MS
    }
  }
  return left
}
