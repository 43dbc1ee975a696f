/** The error bodies of the three formats, in the words their providers use for each HTTP status. */
import type { ApiFormat } from '../admission/request-facts.ts'

/** Ends the reading of a request anywhere in it; the server turns it into the caller's format. */
export class Refused extends Error {
  readonly status: number
  readonly code: string | null
  readonly param: string | null

  constructor(status: number, message: string, rest: { readonly code?: string; readonly param?: string } = {}) {
    super(message)
    this.status = status
    this.code = rest.code ?? null
    this.param = rest.param ?? null
  }
}

interface Words {
  readonly openai: string
  readonly anthropic: string
  readonly google: string
}

const WORDS: { readonly [status: number]: Words } = {
  400: { openai: 'invalid_request_error', anthropic: 'invalid_request_error', google: 'INVALID_ARGUMENT' },
  401: { openai: 'invalid_request_error', anthropic: 'authentication_error', google: 'UNAUTHENTICATED' },
  402: { openai: 'insufficient_quota', anthropic: 'billing_error', google: 'FAILED_PRECONDITION' },
  403: { openai: 'invalid_request_error', anthropic: 'permission_error', google: 'PERMISSION_DENIED' },
  404: { openai: 'invalid_request_error', anthropic: 'not_found_error', google: 'NOT_FOUND' },
  408: { openai: 'timeout', anthropic: 'timeout_error', google: 'DEADLINE_EXCEEDED' },
  409: { openai: 'invalid_request_error', anthropic: 'invalid_request_error', google: 'ABORTED' },
  413: { openai: 'invalid_request_error', anthropic: 'request_too_large', google: 'INVALID_ARGUMENT' },
  429: { openai: 'rate_limit_error', anthropic: 'rate_limit_error', google: 'RESOURCE_EXHAUSTED' },
  500: { openai: 'server_error', anthropic: 'api_error', google: 'INTERNAL' },
  503: { openai: 'server_error', anthropic: 'api_error', google: 'UNAVAILABLE' },
  504: { openai: 'server_error', anthropic: 'timeout_error', google: 'DEADLINE_EXCEEDED' },
  529: { openai: 'server_error', anthropic: 'overloaded_error', google: 'UNAVAILABLE' },
}
const CALLERS_FAULT: Words = { openai: 'invalid_request_error', anthropic: 'invalid_request_error', google: 'UNKNOWN' }
const OUR_FAULT: Words = { openai: 'server_error', anthropic: 'api_error', google: 'INTERNAL' }

/** OpenAI's `code`, where it has one for a status. */
const OPENAI_CODES: { readonly [status: number]: string } = {
  401: 'invalid_api_key',
  402: 'insufficient_quota',
  429: 'rate_limit_exceeded',
}

function wordFor(format: ApiFormat, status: number): string {
  return (WORDS[status] ?? (status < 500 ? CALLERS_FAULT : OUR_FAULT))[format]
}

/** The JSON body of an error answer. `id` is the answer's request id. */
export function errorBody(format: ApiFormat, refused: Refused, id: string): string {
  const { status, message } = refused
  const word = wordFor(format, status)
  switch (format) {
    case 'openai': {
      const code = refused.code ?? OPENAI_CODES[status] ?? null
      return JSON.stringify({ error: { message, type: word, param: refused.param, code } })
    }
    case 'anthropic':
      return JSON.stringify({ type: 'error', error: { type: word, message }, request_id: id })
    case 'google':
      return JSON.stringify({ error: { code: status, message, status: word } })
  }
}

/** What a stream says when the provider fails in its middle, as one SSE event. */
export function errorEvent(format: ApiFormat, refused: Refused, id: string): string {
  const name = format === 'anthropic' ? 'event: error\n' : ''
  return `${name}data: ${errorBody(format, refused, id)}\n\n`
}
