/**
 * Credential: where a request carries its virtual key (CONTRACT 3.1).
 *
 * The order is fixed, so that a proxy in front of us cannot change who pays by adding a header of lower rank. Keys in the query
 * string are refused rather than read: URLs end up in logs, histories and referrers.
 */
import type { IncomingHttpHeaders } from 'node:http'

/** Headers that may carry the key, first wins. None of them ever reaches a provider. */
export const CREDENTIAL_HEADERS = [
  'x-bursar-key',
  'x-bf-vk',
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
] as const

/** Query parameters under which clients are known to send keys. */
const KEY_PARAMETERS: ReadonlySet<string> = new Set(['key', 'api_key', 'apikey', 'access_token'])

const BEARER = /^bearer +(.*)$/i

/** Where browsers, which cannot set headers of a WebSocket, put what OpenAI wants in headers. */
export const PROTOCOLS = 'sec-websocket-protocol'
const KEY_PROTOCOL = 'openai-insecure-api-key.'
const OPERATORS_PROTOCOL = /^openai-(insecure-api-key|organization|project)\./

/** A list of protocols without those that say who is asking. */
export function withoutCredentials(protocols: string): string {
  return protocolsOf(protocols)
    .filter((protocol) => !OPERATORS_PROTOCOL.test(protocol))
    .join(', ')
}

function protocolsOf(header: string): string[] {
  return header.split(',').map((protocol) => protocol.trim())
}

/** The presented key, or null when no header carries one. An empty header counts as absent. */
export function readCredential(headers: IncomingHttpHeaders): string | null {
  for (const name of CREDENTIAL_HEADERS) {
    const value = headers[name]
    if (typeof value !== 'string') continue
    const key = (name === 'authorization' ? (BEARER.exec(value)?.[1] ?? '') : value).trim()
    if (key !== '') return key
  }
  const protocol = protocolsOf(headers[PROTOCOLS] ?? '').find((name) => name.startsWith(KEY_PROTOCOL))
  return protocol === undefined ? null : protocol.slice(KEY_PROTOCOL.length) || null
}

/** Whether the query string (without the question mark) has a parameter that carries a key, however its name is written. */
export function hasKeyInQuery(query: string): boolean {
  if (query === '') return false
  for (const parameter of query.split('&')) {
    const end = parameter.indexOf('=')
    if (KEY_PARAMETERS.has(decodeName(end < 0 ? parameter : parameter.slice(0, end)))) return true
  }
  return false
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name).toLowerCase()
  } catch {
    return name.toLowerCase()
  }
}
