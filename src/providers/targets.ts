/**
 * Targets: the address of a call at its provider, from the provider's base URL as admins write it and what its kind has below.
 */
import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import type { Provider, ProviderKind } from '../store/entities.ts'
import { KINDS } from './registry.ts'

const COHERE_COMPATIBLE = '/compatibility/v1'

/** Where a request goes: the origin by which connections are pooled, and the path with its query. */
export interface Target {
  readonly origin: string
  readonly path: string
}

/**
 * The address of an endpoint at a provider.
 *
 * @param model as the provider names it, for the APIs that carry it in the path
 * @param query as the client sent it, without the question mark
 * @param classic the client has chosen Azure's form with the deployment in the path
 */
export function targetOf(
  provider: Pick<Provider, 'kind' | 'baseUrl' | 'apiVersion'>,
  format: ApiFormat,
  endpoint: Endpoint,
  model: string,
  query: string,
  classic = false,
): Target {
  const { origin, path: base } = rootOf(provider)
  const surface = KINDS[provider.kind].surfaces[format]
  const below = surface?.paths[endpoint]
  if (surface === undefined || below === undefined) {
    throw new RangeError(`a provider of kind ${provider.kind} does not take ${format} ${endpoint}`)
  }
  // Cohere has its reranking beside the paths it has made compatible, not below them.
  if (endpoint === 'rerank' && base.endsWith(COHERE_COMPATIBLE)) {
    return { origin, path: withQuery(`${base.slice(0, -COHERE_COMPATIBLE.length)}/v2/rerank`, query) }
  }
  const version = surface.versions.find((ending) => base.endsWith(ending)) ?? ''
  const root = base.slice(0, base.length - version.length)
  if (provider.kind === 'azure')
    return azureTarget(origin, root, below, endpoint, model, query, provider.apiVersion, classic)
  if (format === 'google') {
    const path = `${root}${version || '/v1beta'}/models/${encodeModel(model)}${below}`
    return { origin, path: withQuery(path, query) }
  }
  return { origin, path: withQuery(root + below, query) }
}

/** With a version: the classic form, where the deployment stands in the path. Without: the one that looks like OpenAI's. */
function azureTarget(
  origin: string,
  root: string,
  below: string,
  endpoint: Endpoint,
  deployment: string,
  query: string,
  apiVersion: string | null,
  classic: boolean,
): Target {
  const asked = classic && new URLSearchParams(query).has('api-version')
  if (asked)
    return { origin, path: withQuery(`${root}/openai/deployments/${encodeURIComponent(deployment)}${below}`, query) }
  if (apiVersion === null) return { origin, path: withQuery(`${root}/openai/v1${below}`, query) }
  const parameters = [query, `api-version=${encodeURIComponent(apiVersion)}`].filter((part) => part !== '').join('&')
  const deployments = endpoint === 'responses' ? '' : `/deployments/${encodeURIComponent(deployment)}`
  return { origin, path: withQuery(`${root}/openai${deployments}${below}`, parameters) }
}

/** The base URL in its parts. OpenAI's own address is written with and without its version. */
function rootOf({ kind, baseUrl }: Pick<Provider, 'kind' | 'baseUrl'>): {
  readonly origin: string
  readonly path: string
} {
  const base = baseOf(baseUrl)
  return kind === 'openai' && base.path === '' ? { ...base, path: '/v1' } : base
}

/**
 * The address of a path below a provider's base URL. What both the end of the one and the beginning of the other say is meant once, so
 * that `/v1/files` below `https://api.openai.com/v1` is what it looks like.
 */
export function nativeTarget(provider: Pick<Provider, 'kind' | 'baseUrl'>, path: string, query: string): Target {
  const { origin, path: base } = rootOf(provider)
  const parts = base.split('/')
  for (let shared = 1; shared < parts.length; shared += 1) {
    const end = `/${parts.slice(shared).join('/')}`
    if (path === end || path.startsWith(`${end}/`)) {
      return { origin, path: withQuery(base.slice(0, base.length - end.length) + path, query) }
    }
  }
  return { origin, path: withQuery(base + path, query) }
}

/** The address of something below an endpoint's own. */
export function targetBelow(
  provider: Pick<Provider, 'kind' | 'baseUrl' | 'apiVersion'>,
  format: ApiFormat,
  endpoint: Endpoint,
  path: string,
  query: string,
): Target {
  const target = targetOf(provider, format, endpoint, '', query)
  const end = target.path.indexOf('?')
  const [root, rest] = end < 0 ? [target.path, ''] : [target.path.slice(0, end), target.path.slice(end)]
  return { origin: target.origin, path: root + path + rest }
}

/** The format of a provider's own API, for calls that belong to none of its endpoints. */
export function nativeFormat(kind: ProviderKind, path: string): ApiFormat {
  if (kind === 'anthropic') return 'anthropic'
  return kind === 'google' && !path.includes('/openai/') ? 'google' : 'openai'
}

/** A model's name inside a path. Its slashes are its own, everything else is escaped. */
function encodeModel(model: string): string {
  return model.split('/').map(encodeURIComponent).join('/')
}

function withQuery(path: string, query: string): string {
  return query === '' ? path : `${path}?${query}`
}

const bases = new Map<string, { readonly origin: string; readonly path: string }>()
const BASES_MAX = 1_000

/** Base URLs are few and parsed once; only admins make them. */
function baseOf(baseUrl: string): { readonly origin: string; readonly path: string } {
  let base = bases.get(baseUrl)
  if (base === undefined) {
    const url = new URL(baseUrl)
    base = { origin: url.origin, path: url.pathname.replace(/\/+$/, '') }
    if (bases.size >= BASES_MAX) bases.clear()
    bases.set(baseUrl, base)
  }
  return base
}
