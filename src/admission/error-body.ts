/**
 * Error body: a refusal in the shape that the caller's SDK expects (CONTRACT section 4). Pure: refusal in, status, headers and body out.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { ERRORS, type ErrorCode } from '../schemas/errors.ts'
import type { Refusal } from './decision.ts'
import { endpointOfPath } from './endpoints.ts'
import type { ApiFormat } from './request-facts.ts'

/** How each SDK calls an HTTP status: `type` for OpenAI and Anthropic, `status` for Gemini. */
const WORDS: Readonly<Record<number, Readonly<Record<ApiFormat, string>>>> = {
  400: { openai: 'invalid_request_error', anthropic: 'invalid_request_error', google: 'INVALID_ARGUMENT' },
  401: { openai: 'authentication_error', anthropic: 'authentication_error', google: 'UNAUTHENTICATED' },
  402: { openai: 'insufficient_quota', anthropic: 'billing_error', google: 'RESOURCE_EXHAUSTED' },
  403: { openai: 'permission_error', anthropic: 'permission_error', google: 'PERMISSION_DENIED' },
  404: { openai: 'not_found_error', anthropic: 'not_found_error', google: 'NOT_FOUND' },
  405: { openai: 'invalid_request_error', anthropic: 'invalid_request_error', google: 'UNIMPLEMENTED' },
  409: { openai: 'conflict_error', anthropic: 'conflict_error', google: 'ABORTED' },
  413: { openai: 'invalid_request_error', anthropic: 'request_too_large', google: 'INVALID_ARGUMENT' },
  415: { openai: 'invalid_request_error', anthropic: 'invalid_request_error', google: 'INVALID_ARGUMENT' },
  429: { openai: 'rate_limit_error', anthropic: 'rate_limit_error', google: 'RESOURCE_EXHAUSTED' },
  500: { openai: 'server_error', anthropic: 'api_error', google: 'INTERNAL' },
  502: { openai: 'server_error', anthropic: 'api_error', google: 'UNAVAILABLE' },
  503: { openai: 'server_error', anthropic: 'overloaded_error', google: 'UNAVAILABLE' },
  504: { openai: 'server_error', anthropic: 'timeout_error', google: 'DEADLINE_EXCEEDED' },
}

/** Refusals that a limit made: their clients are told whether to retry. */
const BY_LIMIT: ReadonlySet<string> = new Set(['rate_limited', 'budget_exceeded', 'limit_unreachable'])

/** A wait of up to so many seconds is worth an SDK's automatic retry. */
const RETRY_WAIT_MAX_S = 60

export function statusOf(refusal: Refusal): number {
  const { code, status } = refusal
  return status ?? (Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode].status : ERRORS.forbidden.status)
}

/** The word for a status; a status without one of its own takes its class's. */
function wordOf(status: number, format: ApiFormat): string {
  const words = WORDS[status] ?? WORDS[status < 500 ? 400 : 500]
  return words?.[format] ?? 'error'
}

/** The JSON body of a refusal. */
export function errorBody(refusal: Refusal, format: ApiFormat): object {
  const { code, message, param = null, details = null } = refusal
  const status = statusOf(refusal)
  const type = wordOf(status, format)
  switch (format) {
    case 'openai':
      return { error: { message, type, code, param, details } }
    case 'anthropic':
      return { type: 'error', error: { type, message, code, details } }
    case 'google': {
      // Gemini's `code` is the HTTP status, so ours stands where Google's clients look for a machine-readable reason.
      const reason = { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'bursar' }
      return {
        error: { code: status, message, status: type, details: details === null ? [reason] : [details, reason] },
      }
    }
  }
}

/** The headers of a refusal, besides those that every governed response carries. */
export function errorHeaders(refusal: Refusal): Record<string, string> {
  const headers: Record<string, string> = { 'x-bursar-error-source': 'gateway' }
  const { retryAfterS } = refusal
  if (retryAfterS !== undefined) headers['retry-after'] = retryAfterS.toString()
  if (BY_LIMIT.has(refusal.code)) {
    headers['x-should-retry'] = String(retryAfterS !== undefined && retryAfterS <= RETRY_WAIT_MAX_S)
  }
  return headers
}

/**
 * The format that the caller of a path expects, where the route does not say it, and where there is no route.
 *
 * Below `/v1/models` three SDKs meet: Anthropic's always names the version it speaks, Google's is the only one with its own key header.
 */
export function formatOfPath(path: string, headers: IncomingHttpHeaders): ApiFormat {
  const governed = endpointOfPath(path)
  if (governed !== null) return governed.format
  if (isBelow(path, '/v1beta') || isBelow(path, '/v1alpha')) return 'google'
  if (isBelow(path, '/v1/messages')) return 'anthropic'
  if (!isBelow(path, '/v1/models')) return 'openai'
  if (headers['anthropic-version'] !== undefined) return 'anthropic'
  return headers['x-goog-api-key'] === undefined ? 'openai' : 'google'
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`)
}
