/**
 * The response headers of the three providers, those included that a gateway must not pass on or must rename, so that running
 * against this provider shows whether it does. And where each format carries its key.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { ApiFormat } from '../admission/request-facts.ts'

const OPENAI = [
  ['openai-organization', 'sim-organization'],
  ['openai-project', 'proj_sim'],
  ['openai-processing-ms', '1'],
  ['openai-version', '2020-10-01'],
  ['x-ratelimit-limit-requests', '10000'],
  ['x-ratelimit-remaining-requests', '9999'],
  ['x-ratelimit-reset-requests', '6ms'],
  ['set-cookie', '__sim=1; path=/; HttpOnly'],
].flat()
const ANTHROPIC = [
  ['anthropic-organization-id', 'sim-organization'],
  ['anthropic-ratelimit-requests-limit', '4000'],
  ['anthropic-ratelimit-requests-remaining', '3999'],
].flat()

/** Names and values in turn, as `writeHead` takes them. `mark` is the call's. */
export function responseHeaders(format: ApiFormat, mark: string, contentType: string): string[] {
  const headers = ['content-type', contentType]
  switch (format) {
    case 'openai':
      headers.push('x-request-id', `req_${mark}`, ...OPENAI)
      break
    case 'anthropic':
      headers.push('request-id', `req_${mark}`, ...ANTHROPIC)
      break
    case 'google':
      headers.push('server-timing', 'gfet4t7; dur=1')
  }
  return headers
}

const KEY_HEADERS: { readonly [F in ApiFormat]: string } = {
  openai: 'api-key',
  anthropic: 'x-api-key',
  google: 'x-goog-api-key',
}

/** The key a call presents where its format has a place for one: a bearer token, a header of its own, in Gemini's also the query. */
export function presentedKey(format: ApiFormat, headers: IncomingHttpHeaders, query: string): string | null {
  const own = headers[KEY_HEADERS[format]]
  if (typeof own === 'string') return own
  const bearer = headers.authorization
  if (bearer?.startsWith('Bearer ')) return bearer.slice('Bearer '.length)
  return format === 'google' ? new URLSearchParams(query).get('key') : null
}
