/**
 * Client error: the answer to bytes that are no HTTP request, written on the bare socket because there is no request to reply to. The shape is
 * OpenAI's, as on every path that tells no other.
 */
import { newId } from '../units/id.ts'
import type { Refusal } from './decision.ts'
import { errorBody, errorHeaders } from './error-body.ts'

const REASONS: Readonly<Record<string, readonly [status: number, phrase: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request took too long to arrive.'],
}
const UNREADABLE = [400, 'Bad Request', 'This is not a request that HTTP/1.1 knows.'] as const

/** The whole response, head and body, for the parser's error code. */
export function clientErrorResponse(code: string | undefined): string {
  const [status, phrase, message] = REASONS[code ?? ''] ?? UNREADABLE
  const refusal: Refusal = { code: 'invalid_request', message, status }
  const body = JSON.stringify(errorBody(refusal, 'openai'))
  const headers: Record<string, string> = {
    'x-bursar-request-id': newId(),
    ...errorHeaders(refusal),
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body).toString(),
    connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${phrase}\r\n${lines.join('')}\r\n${body}`
}
