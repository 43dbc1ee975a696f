/**
 * Headers: what of a request's headers a provider may see, and what of its answer's the client may.
 *
 * Dropped on the way out: every credential, everything of ours, what belongs to one connection only (the headers that `Connection`
 * names included), and who stands behind the gateway. On the way back: the operator's account.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { ApiFormat } from '../admission/request-facts.ts'
import { CREDENTIAL_HEADERS, PROTOCOLS, withoutCredentials } from '../auth/credential.ts'
import { formatUsd, type NanoUsd } from '../units/money.ts'
import type { Candidate } from './candidate.ts'
import { credentialHeaders } from './registry.ts'

/** Names and values in turn, as undici takes them. */
export type HeaderList = string[]
export type AnswerHeaders = Record<string, string | string[]>

const OF_A_CONNECTION = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

const NOT_TO_PROVIDERS: ReadonlySet<string> = new Set([
  ...CREDENTIAL_HEADERS,
  ...OF_A_CONNECTION,
  'cookie',
  'openai-organization',
  'openai-project',
  'host',
  'expect',
  // What was checked is a POST to this path; some servers would take it for something else.
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  // Set anew: the body may have changed, and an answer that is compressed cannot be metered on its way.
  'content-length',
  'accept-encoding',
  'forwarded',
  'via',
  'x-real-ip',
])
const NOT_TO_PROVIDERS_PREFIX = /^x-(bursar|bf|forwarded)-/

const NOT_TO_CLIENTS: ReadonlySet<string> = new Set([
  ...OF_A_CONNECTION,
  'set-cookie',
  'openai-organization',
  'openai-project',
  'anthropic-organization-id',
  // Said of the provider's own host, which the client is not talking to.
  'alt-svc',
  'strict-transport-security',
  'content-length',
])

const ANTHROPIC_VERSION = '2023-06-01'

/** The headers of the call to a candidate. */
export function requestHeaders(
  client: IncomingHttpHeaders,
  { provider, providerKey }: Pick<Candidate, 'provider' | 'providerKey'>,
  format: ApiFormat,
  requestId: string,
): HeaderList {
  const headers: HeaderList = []
  const perConnection = namedBy(client.connection)
  const own = ownHeadersOf(provider)
  for (const name in client) {
    const value = client[name]
    if (value === undefined || NOT_TO_PROVIDERS.has(name) || NOT_TO_PROVIDERS_PREFIX.test(name)) continue
    if (perConnection?.has(name) || own.has(name)) continue
    if (name === PROTOCOLS) {
      const kept = withoutCredentials(String(value))
      if (kept !== '') headers.push(name, kept)
      continue
    }
    if (typeof value === 'string') headers.push(name, value)
    else for (const one of value) headers.push(name, one)
  }
  headers.push('accept-encoding', 'identity')
  if (format === 'anthropic' && client['anthropic-version'] === undefined && !own.has('anthropic-version')) {
    headers.push('anthropic-version', ANTHROPIC_VERSION)
  }
  if (providerKey !== null) {
    const [name, value] = credentialHeaders(provider.kind, format, providerKey.value)
    if (!own.has(name)) headers.push(name, value)
  }
  // The simulated provider keeps it in its ledger, against which the books can be held.
  if (provider.kind === 'sim') headers.push('x-bursar-request-id', requestId)
  for (const [name, value] of own) headers.push(name, value)
  return headers
}

const ownHeaders = new WeakMap<Candidate['provider'], ReadonlyMap<string, string>>()

/** The headers that an admin has set for a provider, their names in lower case. */
function ownHeadersOf(provider: Candidate['provider']): ReadonlyMap<string, string> {
  let own = ownHeaders.get(provider)
  if (own === undefined) {
    own = new Map(Object.entries(provider.headers).map(([name, value]) => [name.toLowerCase(), value]))
    ownHeaders.set(provider, own)
  }
  return own
}

/** Makes headers that came several times what their readers take them for, as Node.js does: the first type counts, codings are a list. */
export function oneOfEach(headers: Record<string, string | string[] | undefined>): void {
  const { 'content-type': type, 'content-encoding': encoding } = headers
  if (Array.isArray(type)) headers['content-type'] = type[0]
  if (Array.isArray(encoding)) headers['content-encoding'] = encoding.join(', ')
}

/** The provider's headers as the client gets them; the length is set by whoever knows the body. */
export function answerHeaders(provider: IncomingHttpHeaders): AnswerHeaders {
  const headers: AnswerHeaders = {}
  const perConnection = namedBy(provider.connection)
  for (const name in provider) {
    const value = provider[name]
    if (value === undefined || NOT_TO_CLIENTS.has(name) || name.startsWith('x-bursar-')) continue
    if (perConnection?.has(name)) continue
    headers[name.startsWith('x-ratelimit-') ? `x-upstream-${name.slice('x-'.length)}` : name] = value
  }
  return headers
}

/** The head of the answer after which a connection is a WebSocket. */
export function switchingProtocols(headers: OutgoingHttpHeaders): string {
  const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`))
  return ['HTTP/1.1 101 Switching Protocols', ...lines, '', ''].join('\r\n')
}

/** What the gateway says of an answer: who served it, and what its request cost, all attempts together, where that is known (CONTRACT section 3.3). */
export function servedHeaders(
  { candidate }: { readonly candidate: Pick<Candidate, 'provider' | 'model'> },
  cost: NanoUsd | null,
): Record<string, string> {
  const { provider, model } = candidate
  const served: Record<string, string> = { 'x-bursar-provider': provider.name }
  if (model !== '') served['x-bursar-model'] = headerValue(model)
  if (cost !== null) served['x-bursar-cost-usd'] = formatUsd(cost)
  return served
}

/** A name as a header can carry it: printable ASCII as it is, everything else percent-encoded. */
function headerValue(name: string): string {
  return name.replace(/[^ -~]+/gu, encodeURIComponent)
}

/** The headers that a `Connection` header says are for this connection only. */
function namedBy(connection: string | string[] | undefined): ReadonlySet<string> | null {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return null
  const names = String(connection).toLowerCase().split(',')
  return new Set(names.map((name) => name.trim()))
}
