/**
 * Log: JSON lines on standard error, so that standard output is for people. Prompts, completions and credentials are never handed to the log;
 * should one of their fields come along all the same, its serializer takes it out. (pino's redaction by path does the same for a quarter of
 * the processor time of a whole request.)
 */
import process from 'node:process'
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'

const withheld = () => '[withheld]'

export function createLog(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
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
    gathered(2),
  )
}

/** Most characters of a turn's lines that wait for its end. */
const GATHERED_MAX = 64 * 1024

/**
 * Writes the lines of one event-loop turn together, at its end or at the process's: a write for each line costs more than all else that is
 * done for it. A `kill -9` loses at most the lines of the turn it comes in.
 */
function gathered(fd: number): DestinationStream {
  const sink = destination({ fd, sync: true })
  let lines = ''
  const flush = () => {
    if (lines === '') return
    const text = lines
    lines = ''
    sink.write(text)
  }
  process.once('exit', flush)
  return {
    write(line) {
      if (lines === '') setImmediate(flush)
      lines += line
      if (lines.length > GATHERED_MAX) flush()
    },
  }
}
