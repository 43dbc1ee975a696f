/**
 * Error to refusal: what a caller is told of an exception that is not one of our refusals.
 *
 * An error that carries a client's status (4xx) was made to be read by the client: Fastify's own, or those of a platform team's
 * plugin. Anything else is a bug, and its text may quote SQL, paths or keys, so the caller learns no more than the request id.
 */
import type { ErrorCode } from '../schemas/errors.ts'
import type { Refusal } from './decision.ts'

/** What Fastify's errors mean in our words; its own words name its internals, or quote the caller's URL. */
const FASTIFY_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['request_too_large', 'The request body is larger than this gateway takes.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'This route takes a body of type application/json.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid_request', 'The body is not as long as its content-length says.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_request', 'The body is empty; a JSON object was expected.'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_request', 'The body is not valid JSON.'],
  FST_ERR_BAD_URL: ['invalid_request', 'The path is not a valid URL path.'],
  FST_ERR_MAX_PARAM_LENGTH: ['invalid_request', 'A part of the path is too long.'],
  FST_ERR_NOT_FOUND: ['not_found', 'There is no such route.'],
}

/** Our code for a client's status; every other 4xx is an invalid request with that status. */
const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'request_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
}

/** The refusal for an error thrown while serving a request; code `internal` for everything that is not the caller's doing. */
export function refusalOfError(error: unknown, requestId: string): Refusal {
  const { code, statusCode, message } = isErrorLike(error) ? error : {}
  const known = typeof code === 'string' ? FASTIFY_ERRORS[code] : undefined
  if (known !== undefined) return { code: known[0], message: known[1] }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 && typeof message === 'string') {
    return { code: CODE_BY_STATUS[statusCode] ?? 'invalid_request', message, status: statusCode }
  }
  return { code: 'internal', message: `Internal error. The request id is ${requestId}.` }
}

interface ErrorLike {
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly message?: unknown
}

function isErrorLike(error: unknown): error is ErrorLike {
  return typeof error === 'object' && error !== null
}
