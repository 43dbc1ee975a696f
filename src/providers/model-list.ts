/**
 * Model list: the models of one caller in the shapes of the three APIs (CONTRACT 3). Pure: catalogue in, JSON out.
 *
 * A model is listed by its bare name, once, however many providers have it: that name can be sent as it is, and stands in one part
 * of a path. Only a name that would be read as `provider/model` is listed under its provider's.
 */
import { GEMINI_METHODS } from '../admission/endpoints.ts'
import type { ApiFormat } from '../admission/request-facts.ts'
import type { ShownRates } from '../pricing/price.ts'
import { formatUsd } from '../units/money.ts'
import { formatTime } from '../units/time.ts'
import type { CatalogueModel } from './catalogue.ts'

export interface ListedModel {
  /** What the caller sends. */
  readonly id: string
  /** Who has it, in the order in which the providers were made. */
  readonly providers: readonly string[]
  readonly contextLength: number | null
  /** Of the first provider that has one. */
  readonly price: ShownRates | null
  /** Epoch ms. */
  readonly since: number
}

/**
 * @param isProvider whether there is a provider of this name
 * @param priceOf what a provider's model costs, null where that is not known
 */
export function listedModels(
  catalogue: readonly CatalogueModel[],
  isProvider: (name: string) => boolean,
  priceOf: (provider: string, model: string) => ShownRates | null,
): ReadonlyMap<string, ListedModel> {
  const listed = new Map<string, ListedModel>()
  for (const { provider, model, contextLength, since } of catalogue) {
    const slash = model.indexOf('/')
    const id = slash > 0 && isProvider(model.slice(0, slash)) ? `${provider}/${model}` : model
    const known = listed.get(id)
    listed.set(id, {
      id,
      providers: [...(known?.providers ?? []), provider],
      contextLength: known?.contextLength ?? contextLength,
      price: known?.price ?? priceOf(provider, model),
      since: Math.min(known?.since ?? since, since),
    })
  }
  return listed
}

/** The model a caller asks for by its listed name or as `provider/model`; null when it may not use it, or nobody has it. */
export function findModel(models: ReadonlyMap<string, ListedModel>, asked: string): ListedModel | null {
  const listed = models.get(asked)
  if (listed !== undefined) return listed
  const slash = asked.indexOf('/')
  const named = slash > 0 ? models.get(asked.slice(slash + 1)) : undefined
  return named?.providers.includes(asked.slice(0, slash)) ? { ...named, id: asked } : null
}

/** A list of models as the API's own. */
export function presentModels(models: readonly ListedModel[], format: ApiFormat): object {
  const list = models.map((model) => presentModel(model, format))
  switch (format) {
    case 'openai':
      return { object: 'list', data: list }
    case 'anthropic':
      return { data: list, has_more: false, first_id: models.at(0)?.id ?? null, last_id: models.at(-1)?.id ?? null }
    case 'google':
      return { models: list }
  }
}

/** One model as the API's own. Where a format has no field for something, it is told in one of ours. */
export function presentModel({ id, providers, contextLength, price, since }: ListedModel, format: ApiFormat): object {
  const context = (name: string) => (contextLength === null ? {} : { [name]: contextLength })
  const pricing = price === null ? {} : { pricing: pricingOf(price) }
  switch (format) {
    case 'openai': {
      const created = Math.floor(since / 1_000)
      const owner = providers[0] ?? ''
      return { id, object: 'model', created, owned_by: owner, providers, ...context('context_length'), ...pricing }
    }
    case 'anthropic': {
      const made = formatTime(since)
      return { type: 'model', id, display_name: id, created_at: made, ...context('max_input_tokens'), ...pricing }
    }
    case 'google': {
      const methods = Object.keys(GEMINI_METHODS)
      const common = { name: `models/${id}`, displayName: id, supportedGenerationMethods: methods }
      return { ...common, ...context('inputTokenLimit'), ...pricing }
    }
  }
}

/** In dollars, by the names under which admins set prices. */
function pricingOf({ input, output, cacheRead }: ShownRates): object {
  return {
    input_usd_per_million: formatUsd(input),
    output_usd_per_million: formatUsd(output),
    cache_read_usd_per_million: formatUsd(cacheRead),
  }
}
