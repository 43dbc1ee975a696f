/**
 * Log: JSON lines on standard error, so that standard output is for people. Credentials are taken out by path wherever they could stand;
 * prompts and completions are never handed to the log in the first place.
 */
import { destination, type Logger, pino, stdTimeFunctions } from 'pino'

const CREDENTIAL_HEADERS = [
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'x-bursar-key',
  'x-bf-vk',
  'cookie',
  'set-cookie',
]

export function createLog(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: [
        ...CREDENTIAL_HEADERS.map((name) => `*.headers["${name}"]`),
        ...CREDENTIAL_HEADERS.map((name) => `headers["${name}"]`),
        'key',
        '*.key',
        '*.value',
      ],
      serializers: {
        // Fastify's own would write the query string, where a careless client has put its key.
        req: (request: { method: string; url: string }) => ({
          method: request.method,
          path: request.url.split('?')[0],
        }),
      },
    },
    destination({ fd: 2, sync: true }),
  )
}
