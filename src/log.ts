/**
 * Log: JSON lines on standard error, so that standard output is for people. Prompts, completions and credentials are never handed to the log;
 * should one of their fields come along all the same, its serializer takes it out. (pino's redaction by path does the same for a quarter of
 * the processor time of a whole request.)
 */
import { destination, type Logger, pino, stdTimeFunctions } from 'pino'

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
    destination({ fd: 2, sync: true }),
  )
}
