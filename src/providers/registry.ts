/**
 * Registry: what each kind of provider speaks, and how it is asked; targets.ts makes addresses of it. The only place that knows providers apart.
 */
import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import type { Provider, ProviderKind } from '../store/entities.ts'

/** Where the endpoints of a provider lie below its base URL, by the version its format puts into the path. */
interface Surface {
  /** Taken off the end of the base URL, where people do and do not write it, before the path below is added. */
  readonly versions: readonly string[]
  readonly paths: Readonly<Partial<Record<Endpoint, string>>>
}

interface Kind {
  /** Null where every such provider has an address of its own. */
  readonly defaultBaseUrl: string | null
  readonly surfaces: Readonly<Partial<Record<ApiFormat, Surface>>>
}

const OPENAI_PATHS: Surface['paths'] = {
  chat: '/chat/completions',
  completions: '/completions',
  responses: '/responses',
  embeddings: '/embeddings',
  moderations: '/moderations',
  image_generations: '/images/generations',
  image_edits: '/images/edits',
  image_variations: '/images/variations',
  transcriptions: '/audio/transcriptions',
  translations: '/audio/translations',
  speech: '/audio/speech',
}
/** Nobody's standard, but what Cohere began and Jina, Voyage, Together, vLLM and others took over. */
const RERANK_PATHS: Surface['paths'] = { rerank: '/rerank' }
const ANTHROPIC_PATHS: Surface['paths'] = { messages: '/v1/messages', count_tokens: '/v1/messages/count_tokens' }
const GOOGLE_PATHS: Surface['paths'] = {
  generate_content: ':generateContent',
  stream_generate_content: ':streamGenerateContent',
  count_tokens: ':countTokens',
  embed_content: ':embedContent',
  batch_embed_contents: ':batchEmbedContents',
}

/** Below a path of its own: what an OpenAI client calls `/v1/chat/completions`. */
function openaiBelow(prefix: string, versions: readonly string[], endpoints: readonly Endpoint[]): Surface {
  const known = { ...OPENAI_PATHS, ...RERANK_PATHS }
  const paths = endpoints.map((endpoint) => [endpoint, `${prefix}${known[endpoint] ?? ''}`])
  return { versions, paths: Object.fromEntries(paths) }
}

/** What OpenAI itself has; its keys are endpoints. */
const OPENAI_ENDPOINTS = Object.keys(OPENAI_PATHS) as readonly Endpoint[]

export const KINDS: Readonly<Record<ProviderKind, Kind>> = {
  openai: {
    defaultBaseUrl: 'https://api.openai.com/v1',
    surfaces: { openai: { versions: [], paths: OPENAI_PATHS } },
  },
  openai_compatible: {
    defaultBaseUrl: null,
    surfaces: { openai: { versions: [], paths: { ...OPENAI_PATHS, ...RERANK_PATHS } } },
  },
  anthropic: {
    defaultBaseUrl: 'https://api.anthropic.com',
    surfaces: {
      anthropic: { versions: ['/v1'], paths: ANTHROPIC_PATHS },
      openai: openaiBelow('/v1', ['/v1'], ['chat']),
    },
  },
  google: {
    defaultBaseUrl: 'https://generativelanguage.googleapis.com',
    surfaces: {
      google: { versions: ['/v1beta', '/v1'], paths: GOOGLE_PATHS },
      openai: openaiBelow(
        '/v1beta/openai',
        ['/v1beta/openai', '/v1beta', '/v1'],
        ['chat', 'embeddings', 'image_generations'],
      ),
    },
  },
  azure: {
    defaultBaseUrl: null,
    surfaces: { openai: openaiBelow('', ['/openai/v1', '/openai'], OPENAI_ENDPOINTS) },
  },
  sim: {
    defaultBaseUrl: null,
    surfaces: {
      openai: openaiBelow('/v1', ['/v1beta', '/v1'], [...OPENAI_ENDPOINTS, 'rerank']),
      anthropic: { versions: ['/v1beta', '/v1'], paths: ANTHROPIC_PATHS },
      google: { versions: ['/v1beta', '/v1'], paths: GOOGLE_PATHS },
    },
  },
}

/** Whether a provider of this kind takes such requests in the caller's own format; nothing is ever translated. */
export function speaks(kind: ProviderKind, format: ApiFormat, endpoint: Endpoint): boolean {
  return KINDS[kind].surfaces[format]?.paths[endpoint] !== undefined
}

/** What the provider calls the model: Azure knows it by the name of its deployment. */
export function wireModel({ deployments }: Pick<Provider, 'deployments'>, model: string): string {
  return Object.hasOwn(deployments, model) ? (deployments[model] ?? model) : model
}

/** The headers that carry a provider's credential, for the format it is asked in. */
export function credentialHeaders(kind: ProviderKind, format: ApiFormat, value: string): readonly [string, string] {
  if (kind === 'azure') return ['api-key', value]
  if (format === 'google') return ['x-goog-api-key', value]
  if (format === 'anthropic') return ['x-api-key', value]
  return ['authorization', `Bearer ${value}`]
}

/** The first version of Azure's API that knows `stream_options`. */
const AZURE_STREAM_OPTIONS = '2024-09-01'
/** They refuse fields they do not know, and report usage without being asked. */
const REPORT_UNASKED = /(^|\.)(mistral\.ai|perplexity\.ai)$/

/** Whether a stream in OpenAI's format may be asked for its usage (`stream_options.include_usage`). */
export function takesUsageOption({
  kind,
  baseUrl,
  apiVersion,
}: Pick<Provider, 'kind' | 'baseUrl' | 'apiVersion'>): boolean {
  if (kind === 'azure') return apiVersion === null || !/^\d/.test(apiVersion) || apiVersion >= AZURE_STREAM_OPTIONS
  return kind !== 'openai_compatible' || !REPORT_UNASKED.test(URL.parse(baseUrl)?.hostname ?? '')
}

export interface EnvironmentProvider {
  readonly name: string
  readonly kind: ProviderKind
  readonly baseUrl: string
}

/** The variables of CONTRACT section 2: each one present adds its provider. */
const ENVIRONMENT_PROVIDERS: Readonly<Record<string, EnvironmentProvider>> = {
  OPENAI_API_KEY: atUsualAddress('openai'),
  ANTHROPIC_API_KEY: atUsualAddress('anthropic'),
  GEMINI_API_KEY: atUsualAddress('google'),
  MISTRAL_API_KEY: compatible('mistral', 'https://api.mistral.ai/v1'),
  GROQ_API_KEY: compatible('groq', 'https://api.groq.com/openai/v1'),
  DEEPSEEK_API_KEY: compatible('deepseek', 'https://api.deepseek.com/v1'),
  XAI_API_KEY: compatible('xai', 'https://api.x.ai/v1'),
  OPENROUTER_API_KEY: compatible('openrouter', 'https://openrouter.ai/api/v1'),
  TOGETHER_API_KEY: compatible('together', 'https://api.together.xyz/v1'),
  FIREWORKS_API_KEY: compatible('fireworks', 'https://api.fireworks.ai/inference/v1'),
  CEREBRAS_API_KEY: compatible('cerebras', 'https://api.cerebras.ai/v1'),
  PERPLEXITY_API_KEY: compatible('perplexity', 'https://api.perplexity.ai'),
  COHERE_API_KEY: compatible('cohere', 'https://api.cohere.ai/compatibility/v1'),
}

function atUsualAddress(kind: 'openai' | 'anthropic' | 'google'): EnvironmentProvider {
  return { name: kind, kind, baseUrl: KINDS[kind].defaultBaseUrl ?? '' }
}

function compatible(name: string, baseUrl: string): EnvironmentProvider {
  return { name, kind: 'openai_compatible', baseUrl }
}

/** The providers whose keys the environment carries, with those keys. */
export function providersFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): readonly (EnvironmentProvider & { readonly key: string })[] {
  return Object.entries(ENVIRONMENT_PROVIDERS).flatMap(([variable, provider]) => {
    const key = env[variable]?.trim() ?? ''
    return key === '' ? [] : [{ ...provider, key }]
  })
}
