/**
 * Endpoints: the governed routes, once. The proxy serves them, an explanation finds a path among them.
 */
import type { ApiFormat, Endpoint } from './request-facts.ts'

/** Paths whose model is in the body. */
export const BODY_ROUTES: readonly {
  readonly path: string
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  /** The body is a form with files in it, not JSON. */
  readonly form?: true
}[] = [
  { path: '/v1/chat/completions', format: 'openai', endpoint: 'chat' },
  { path: '/v1/completions', format: 'openai', endpoint: 'completions' },
  { path: '/v1/embeddings', format: 'openai', endpoint: 'embeddings' },
  { path: '/v1/responses', format: 'openai', endpoint: 'responses' },
  { path: '/v1/moderations', format: 'openai', endpoint: 'moderations' },
  { path: '/v1/rerank', format: 'openai', endpoint: 'rerank' },
  { path: '/v1/images/generations', format: 'openai', endpoint: 'image_generations' },
  { path: '/v1/images/edits', format: 'openai', endpoint: 'image_edits', form: true },
  { path: '/v1/images/variations', format: 'openai', endpoint: 'image_variations', form: true },
  { path: '/v1/audio/transcriptions', format: 'openai', endpoint: 'transcriptions', form: true },
  { path: '/v1/audio/translations', format: 'openai', endpoint: 'translations', form: true },
  { path: '/v1/audio/speech', format: 'openai', endpoint: 'speech' },
  { path: '/v1/messages', format: 'anthropic', endpoint: 'messages' },
  { path: '/v1/messages/count_tokens', format: 'anthropic', endpoint: 'count_tokens' },
]

/** Gemini's methods, each after `/models/{model}:`. */
export const GEMINI_METHODS: Readonly<Record<string, Endpoint>> = {
  generateContent: 'generate_content',
  streamGenerateContent: 'stream_generate_content',
  countTokens: 'count_tokens',
  embedContent: 'embed_content',
  batchEmbedContents: 'batch_embed_contents',
}

/** The versions Google's SDKs put before `/models`: v1beta in its documentation, v1 in its current JavaScript package. */
export const GEMINI_VERSIONS = ['v1beta', 'v1', 'v1alpha'] as const

export interface NativeRoute {
  /** What follows the provider's name; a router's pattern. */
  readonly path: string
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  readonly form?: true
  readonly classic?: true
}

/** Where providers have what OpenAI has under `/v1`; the empty one is for base URLs that end with a version. */
const OPENAI_ROOTS = ['', '/v1', '/openai/v1', '/v1beta/openai'] as const

/** The governed paths of every provider's own API. What is not among them is not governed, and needs a key that may do that. */
export const NATIVE_ROUTES: readonly NativeRoute[] = [
  ...BODY_ROUTES.flatMap(({ path, ...route }) => {
    if (route.format !== 'openai') return [{ path, ...route }]
    const below = path.slice('/v1'.length)
    const classic = { path: `/openai/deployments/:deployment${below}`, ...route, classic: true as const }
    return [...OPENAI_ROOTS.map((root) => ({ path: root + below, ...route })), classic]
  }),
  { path: '/v2/rerank', format: 'openai', endpoint: 'rerank' },
  ...GEMINI_VERSIONS.flatMap((version) =>
    Object.entries(GEMINI_METHODS).map(([method, endpoint]) => ({
      path: `/${version}/models/:model(^[^/]+)::${method}`,
      format: 'google' as const,
      endpoint,
    })),
  ),
]

const GEMINI_PATH = new RegExp(`^/(?:${GEMINI_VERSIONS.join('|')})/models/(.+):(\\w+)$`)

export interface GovernedPath {
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  /** The model in the path, null where the body carries it. */
  readonly pathModel: string | null
}

/** What a path (without its query) is the endpoint of; null for one that is not governed. */
export function endpointOfPath(path: string): GovernedPath | null {
  const route = BODY_ROUTES.find((known) => known.path === path)
  if (route !== undefined) return { format: route.format, endpoint: route.endpoint, pathModel: null }
  const [, model, method] = GEMINI_PATH.exec(path) ?? []
  const endpoint = GEMINI_METHODS[method ?? '']
  if (model === undefined || endpoint === undefined) return null
  const pathModel = decoded(model)
  return pathModel === null ? null : { format: 'google', endpoint, pathModel }
}

const CLASSIC_PATH = /^\/openai\/deployments\/([^/]+)(\/.+)$/

/** The same for what follows a provider's name; `classic` where the path carries one of Azure's deployments. */
export function endpointOfNativePath(path: string): (GovernedPath & { readonly classic: boolean }) | null {
  const [, deployment, below] = CLASSIC_PATH.exec(path) ?? []
  if (deployment !== undefined) {
    const classic = endpointOfPath(`/v1${below}`)
    return classic === null ? null : { ...classic, pathModel: decoded(deployment), classic: true }
  }
  const { format, endpoint } = NATIVE_ROUTES.find((route) => route.path === path) ?? {}
  if (format !== undefined && endpoint !== undefined) return { format, endpoint, pathModel: null, classic: false }
  const known = endpointOfPath(path)
  return known?.format === 'google' ? { ...known, classic: false } : null
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
