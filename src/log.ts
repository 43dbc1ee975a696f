/**
 * Log: JSON lines on standard error, so that standard output is for people. Prompts, completions and credentials are never handed to the log;
 * should one of their fields come along all the same, its serializer takes it out. (pino's redaction by path does the same for a quarter of
 * the processor time of a whole request.)
 */
import process from 'node:process'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
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
  const { [pino.symbols.streamSym]: stream, isLevelEnabled } = log as Partial<Logger> & Record<symbol, unknown>
  if (!(stream instanceof Gathered) || isLevelEnabled === undefined) {
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
 */
class Gathered implements DestinationStream {
  readonly #sink: DestinationStream
  readonly #flush = () => this.flush()
  #lines = ''

  constructor(fd: number) {
    this.#sink = destination({ fd, sync: true })
    process.once('exit', this.#flush)
  }

  write(line: string): void {
    if (this.#lines === '') setImmediate(this.#flush)
    this.#lines += line
    if (this.#lines.length > GATHERED_MAX) this.flush()
  }

  flush(): void {
    if (this.#lines === '') return
    const text = this.#lines
    this.#lines = ''
    this.#sink.write(text)
  }
}
