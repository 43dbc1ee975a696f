/**
 * Failure: what went wrong between us and a provider, in words for the books and for the caller.
 */
import type { Refusal } from '../admission/decision.ts'
import { errorBody } from '../admission/error-body.ts'
import type { ApiFormat } from '../admission/request-facts.ts'
import type { Ending } from '../usage/settle.ts'

export interface Failure {
  /** How an attempt that had no status yet has ended. */
  readonly ending: Ending
  readonly refusal: Refusal
  /** The error's code, for the log. */
  readonly cause: string
}

const TIMEOUTS: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])
/** We have closed the connection ourselves, because the process stops. */
const OUR_DOING: ReadonlySet<string> = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED', 'UND_ERR_ABORTED'])

/**
 * @param forwarded the request was on its way over a connection
 */
export function failureOf(error: unknown, provider: string, forwarded: boolean): Failure {
  const code = codeOf(error)
  if (OUR_DOING.has(code)) {
    const message = 'The gateway is stopping and has given up this call.'
    const refusal = { code: 'overloaded', message, retryAfterS: 1 } as const
    return { ending: forwarded ? 'abandoned' : 'withdrawn', refusal, cause: code }
  }
  if (TIMEOUTS.has(code)) {
    const message = `The provider ${provider} did not answer in time.`
    return { ending: forwarded ? 'silent' : 'unreached', refusal: { code: 'upstream_timeout', message }, cause: code }
  }
  const message = forwarded
    ? `The connection to the provider ${provider} broke before its answer was complete.`
    : `The provider ${provider} could not be reached.`
  return { ending: 'unreached', refusal: { code: 'upstream_unreachable', message }, cause: code }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown'
}

/**
 * A status after which the next candidate may do better. Redirects are not followed, so they lead nowhere; and 401 is about our credential,
 * of which another candidate has another.
 */
export function mayBeRetried(status: number): boolean {
  return status === 401 || status === 408 || status === 409 || status === 429 || status >= 500 || isRedirect(status)
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400
}

/** What the caller is told instead of a provider's own answer; null where that answer may be passed on. */
export function refusalOfStatus(status: number, provider: string): Refusal | null {
  if (status === 401 || status === 403) {
    return { code: 'upstream_auth_failed', message: `The provider ${provider} has refused the gateway’s credential.` }
  }
  if (isRedirect(status)) {
    const message = `The provider ${provider} answered with a redirect, which is not followed.`
    return { code: 'upstream_unreachable', message }
  }
  // No server may pass these on: Node.js and the clients would refuse them in words of their own.
  if (status > 599) {
    const message = `The provider ${provider} answered with the status ${status}, which HTTP does not have.`
    return { code: 'upstream_unreachable', message }
  }
  return null
}

/** What a stream that was cut off says to its client: the name of the event, where the format has names, and its data. */
export function failureEvent(
  format: ApiFormat,
  refusal: Refusal,
): { readonly event: string | null; readonly json: string } {
  return { event: format === 'anthropic' ? 'error' : null, json: JSON.stringify(errorBody(refusal, format)) }
}

/** Credentials and account ids as providers quote them in their errors. */
const SECRETS: readonly RegExp[] = [
  /\b(?:sk|pk|rk|sess|xai|gsk|hf|r8|pplx|csk|fw|tgp)[-_][\w*-]{8,}/g,
  /\bAIza[\w*-]{10,}/g,
  /\b(?:org|proj|user|acct)[-_][A-Za-z0-9]{6,}/g,
  /(?<=\b(?:organi[sz]ation|account|workspace|subscription|tenant|project)s?\b[^\n]{0,40}?)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi,
  /(?<=\bprojects\/)[\w:.-]+/g,
  /(?<=\bproject_number:)\d+/g,
  /(?<=\barn:aws:[\w-]*:[\w-]*:)\d+/g,
]
const MASK = '***'

/** The text of a provider's error without the operator's credentials and account ids. */
export function masked(text: string, credential: string | null): string {
  let safe = credential === null || credential.length < 4 ? text : text.replaceAll(credential, MASK)
  for (const secret of SECRETS) safe = safe.replaceAll(secret, MASK)
  return safe
}
