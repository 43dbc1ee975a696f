/**
 * Refused fields: what a request may not ask of a provider, because it would reach models that nobody has checked (F20), or be billed
 * without a bound or a report. The names are those of all the providers that we know of; the others do not know them.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { fieldOf, objectsIn } from '../units/json-object.ts'
import type { BodyReader } from './body-reader.ts'
import type { Refusal } from './decision.ts'

interface RefusedField {
  /** Whether a value asks for it; absent = every one does. */
  readonly asks?: (value: unknown) => boolean
  readonly why: string
}

const ONE_MODEL = 'name one model; falling back is the gateway’s business'
const A_SECOND_MODEL = 'it calls models besides the one that is asked, whose use nobody could check'
const NO_BOUND = 'what it may cost has no bound'

/** OpenRouter's plugins that call no model and cost nothing. */
const FREE_PLUGINS: ReadonlySet<unknown> = new Set(['response-healing', 'context-compression'])
/** OpenAI's, for whose use it charges nothing. */
const FREE_MODERATION = /^(omni|text)-moderation-[\w.-]+$/

const REFUSED: ReadonlyMap<string, RefusedField> = new Map<string, RefusedField>([
  ['models', { why: ONE_MODEL }],
  ['fallbacks', { why: ONE_MODEL }],
  // Vercel's gateway.
  [
    'providerOptions',
    { asks: (options) => fieldOf(fieldOf(options, 'gateway'), 'models') !== undefined, why: ONE_MODEL },
  ],
  // OpenAI's.
  ['multi_agent', { asks: (agents) => fieldOf(agents, 'enabled') !== false, why: NO_BOUND }],
  [
    'moderation',
    {
      // Other endpoints have a word there.
      asks: (moderation) =>
        typeof moderation === 'object' && !FREE_MODERATION.test(String(fieldOf(moderation, 'model'))),
      why: A_SECOND_MODEL,
    },
  ],
  // Kept for twelve hours, which is reported apart.
  [
    'prompt_cache_options',
    {
      asks: (options) => fieldOf(options, 'ttl') === '12h',
      why: 'what writing into a cache for 12 hours costs is not known',
    },
  ],
  // Azure's: searches, which an embedding model and the model itself write.
  ['data_sources', { why: A_SECOND_MODEL }],
  // OpenRouter's.
  ['plugins', { asks: (plugins) => objectsIn(plugins).some(({ id }) => !FREE_PLUGINS.has(id)), why: NO_BOUND }],
  ['preset', { why: A_SECOND_MODEL }],
  // Together's.
  ['safety_model', { why: A_SECOND_MODEL }],
  // Groq's.
  ['compound_custom', { why: A_SECOND_MODEL }],
  // xAI's: searches that are billed by what they find, and answers that are called for later.
  ['search_parameters', { asks: (search) => fieldOf(search, 'mode') !== 'off', why: NO_BOUND }],
  ['deferred', { asks: (deferred) => deferred !== false, why: 'what the answer costs is reported only later' }],
  // Anthropic's: conversations that it keeps, of which any key could go on with any other's.
  ['thread', { why: 'conversations that the provider keeps are not supported by this gateway yet' }],
])

/** They decide what is served: to give one twice, or in another letter case, is to hide it. */
export const REFUSED_NAMES: readonly string[] = [...REFUSED.keys()]

export function refuseFields(body: BodyReader): void {
  for (const name of Object.keys(body.value)) {
    const refused = REFUSED.get(name)
    if (refused === undefined || !body.has(name) || refused.asks?.(body.any(name)) === false) continue
    body.reject(name, `The field "${name}" is not taken: ${refused.why}.`)
  }
}

/** Vertex AI's, which chooses another model than the path's. */
export function refuseRouting(config: BodyReader): void {
  for (const name of ['routingConfig', 'routing_config', 'modelSelectionConfig', 'model_selection_config']) {
    if (config.has(name)) config.reject(name, `The field "${name}" is not taken: ${A_SECOND_MODEL}.`)
  }
}

const DEARER_TIER = 'it chooses a tier that is priced apart'

/** Azure's, for the deployment that makes images; Amazon's and Vertex AI's, for tiers that no field of the body names. */
const REFUSED_HEADERS: readonly (readonly [name: string, why: string])[] = [
  ['x-ms-oai-image-generation-deployment', A_SECOND_MODEL],
  ['x-amzn-bedrock-service-tier', DEARER_TIER],
  ['x-amzn-bedrock-performanceconfig-latency', DEARER_TIER],
  ['x-vertex-ai-llm-request-type', DEARER_TIER],
  ['x-vertex-ai-llm-shared-request-type', DEARER_TIER],
]

/** The same for headers. */
export function refusalOfHeaders(headers: IncomingHttpHeaders): Refusal | null {
  for (const [name, why] of REFUSED_HEADERS) {
    if (headers[name] === undefined) continue
    return { code: 'invalid_request', message: `The header "${name}" is not taken: ${why}.`, param: name }
  }
  return null
}
