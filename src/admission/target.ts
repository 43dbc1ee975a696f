/**
 * Target: what is refused of a request for its URL alone, before anything else is asked (CONTRACT 3.1 and 3.2).
 *
 * Whoever normalises `..`, `//` or an encoded slash later than the check that allowed the path reaches another endpoint; and a key in
 * the query string ends up in logs, histories and referrers.
 */
import { hasKeyInQuery } from '../auth/credential.ts'
import type { Refusal } from './decision.ts'
import type { ApiFormat } from './request-facts.ts'

const AMBIGUOUS_PATH = /\.\.|\/\/|\\|%2f|%2e|%5c/i

/** Why a request target (path and query) is refused; null when it is not. Nothing of it is repeated. */
export function refusalOfTarget(url: string): Refusal | null {
  if (AMBIGUOUS_PATH.test(pathOf(url))) {
    const message = 'The path has "..", "//", a backslash, or an encoded slash or dot, which can be read in two ways.'
    return { code: 'invalid_request', message }
  }
  if (hasKeyInQuery(queryOf(url))) {
    const message = 'A key was sent in the query string, where it ends up in logs. Send it in a header, and replace it.'
    return { code: 'key_in_query', message }
  }
  return null
}

/** The path of a request target, up to the query. */
export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

/** The first part of a request target's path, as sent. */
export function firstPartOf(url: string): string {
  const path = pathOf(url)
  const end = path.indexOf('/', 1)
  return end < 0 ? path.slice(1) : path.slice(1, end)
}

/** The query of a request target as sent, without the question mark; empty when there is none. */
export function queryOf(url: string): string {
  const start = url.indexOf('?')
  return start < 0 ? '' : url.slice(start + 1)
}

/**
 * The model in the path of a Gemini request, or the deployment in one of Azure's; null for the others, whose bodies carry it.
 *
 * @param params what the router found: `model`, with `provider` before it where the path has both; or `*`, all that follows
 *   `/models/`, whose last colon begins the method
 */
export function pathModelOf(format: ApiFormat, params: unknown): string | null {
  if (typeof params !== 'object' || params === null) return null
  if ('deployment' in params) return String(params.deployment)
  if (format !== 'google') return null
  const { provider, model, '*': rest } = params as Readonly<Record<string, unknown>>
  if (typeof model === 'string') return typeof provider === 'string' ? `${provider}/${model}` : model
  if (typeof rest !== 'string') return null
  const method = rest.lastIndexOf(':')
  return method < 0 ? rest : rest.slice(0, method)
}
