/** `GET` of the models, all or one, in the caller's format. */
import type { ApiFormat } from '../admission/request-facts.ts'
import { type Answer, free, modelOf, type SimCall } from './call.ts'
import type { JsonObject } from './json.ts'
import { findModel, SIM_MODELS, type SimModel } from './models.ts'

/** When these models are said to have been made: listings carry a date and nobody plans by it. */
const CREATED_S = 1_735_689_600
const CREATED = new Date(CREATED_S * 1000).toISOString().replace('.000', '')

const FORMS: { readonly [F in ApiFormat]: (model: SimModel) => JsonObject } = {
  openai: ({ id, owner }) => ({ id, object: 'model', created: CREATED_S, owned_by: owner }),
  anthropic: ({ id, contextLength, maxOutputTokens }) => ({
    type: 'model',
    id,
    display_name: id,
    created_at: CREATED,
    max_input_tokens: contextLength,
    max_tokens: maxOutputTokens,
  }),
  google: ({ id, kind, contextLength, maxOutputTokens }) => ({
    name: `models/${id}`,
    version: '001',
    displayName: id,
    inputTokenLimit: contextLength,
    outputTokenLimit: maxOutputTokens,
    supportedGenerationMethods: [
      ...(kind === 'embedding' ? [] : ['generateContent', 'streamGenerateContent', 'countTokens']),
      ...(kind === 'chat' ? [] : ['embedContent', 'batchEmbedContents']),
    ],
  }),
}

/** OpenAI's list names every model, since its format serves them all; the other two name their own and the provider's. */
export function listModels(call: SimCall): Answer {
  const { format } = call.entry
  const listed = SIM_MODELS.filter((model) => format === 'openai' || model.format === null || model.format === format)
  const data = listed.map(FORMS[format])
  switch (format) {
    case 'openai':
      return free({ object: 'list', data })
    case 'anthropic':
      return free({ data, has_more: false, first_id: listed[0]?.id ?? null, last_id: listed.at(-1)?.id ?? null })
    case 'google':
      return free({ models: data })
  }
}

export function oneModel(call: SimCall): Answer {
  const known = findModel(call.pathModel ?? '', false)
  const kind = known === null || known.kind === 'any' ? 'chat' : known.kind
  const model = modelOf(call, call.pathModel, kind)
  return free(FORMS[call.entry.format](model))
}
