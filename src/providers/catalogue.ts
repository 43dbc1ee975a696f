/**
 * Catalogue: the models that one caller may use, for lists of models. Names come from the bundled price data, the admins' prices and
 * deployments, and the keys' own access lists; no provider is asked.
 */
import { accessOf } from '../auth/access.ts'
import type { Principal } from '../auth/principal.ts'
import { modelsOf } from '../pricing/price-data.ts'
import { listOf } from '../pricing/price-list.ts'
import { SIM_MODELS } from '../sim/models.ts'
import type { PriceOverride, Provider } from '../store/entities.ts'
import { isGlob } from '../store/glob.ts'
import type { RoutingStore } from './routing.ts'

export interface CatalogueModel {
  /** The provider's name; `provider/model` reaches exactly this one. */
  readonly provider: string
  readonly model: string
  /** Tokens of context; null where not known. */
  readonly contextLength: number | null
  /** Epoch ms since when the gateway has the provider. */
  readonly since: number
}

/** Every model the principal may use at an enabled provider, by provider, then by name. */
export function listModels(store: RoutingStore, principal: Principal): CatalogueModel[] {
  const access = accessOf(principal.key)
  const listed: CatalogueModel[] = []
  for (const provider of store.providers.values()) {
    if (!provider.enabled || !access.allowsProvider(provider.name)) continue
    const models = namesOf(provider, store.prices.values())
    for (const rule of principal.key?.access ?? []) {
      if (rule.provider.toLowerCase() !== provider.name.toLowerCase()) continue
      for (const name of rule.models ?? []) if (!isGlob(name) && !models.has(name)) models.set(name, null)
    }
    for (const model of [...models.keys()].sort()) {
      if (access.grantOf(provider.name, model) === null) continue
      const contextLength = models.get(model) ?? null
      listed.push({ provider: provider.name, model, contextLength, since: provider.createdAt })
    }
  }
  return listed
}

/** Whether a provider's model is one that admins or the price data name: there are only so many of those, whatever clients invent. */
export function namedModels(store: RoutingStore): (provider: string, model: string) => boolean {
  let version = store.version
  let known = new Map<string, ReadonlyMap<string, unknown>>()
  return (name, model) => {
    if (version !== store.version) [version, known] = [store.version, new Map()]
    let models = known.get(name)
    if (models === undefined) {
      const provider = store.providerByName(name)
      models = provider === null ? new Map() : namesOf(provider, store.prices.values())
      known.set(name, models)
    }
    return models.has(model)
  }
}

/** Name → tokens of context. Azure has what is deployed there, where that is known. */
function namesOf(provider: Provider, prices: Iterable<PriceOverride>): Map<string, number | null> {
  const names = new Map<string, number | null>()
  const deployments = Object.keys(provider.deployments)
  const list = listOf(provider)
  if (provider.kind === 'sim') for (const { id, contextLength } of SIM_MODELS) names.set(id, contextLength)
  else if (deployments.length > 0) for (const name of deployments) names.set(name, null)
  else if (list !== null) for (const { id, contextLength } of modelsOf(list)) names.set(id, contextLength)
  for (const price of prices) {
    const ours = price.provider.toLowerCase() === provider.name.toLowerCase()
    if (ours && !isGlob(price.model) && !names.has(price.model)) names.set(price.model, null)
  }
  return names
}
