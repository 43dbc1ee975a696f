/**
 * Ownership: how surely a provider has a model, from its name alone. It decides where a bare model name goes.
 */
import { hasModel, makerOf } from '../pricing/price-data.ts'
import { listOf } from '../pricing/price-list.ts'
import { SIM_MODELS } from '../sim/models.ts'
import type { PriceOverride, Provider } from '../store/entities.ts'
import { compileGlob } from '../store/glob.ts'

/** From the surest: it makes the model; it is known to have it; nobody knows what it has; it has not got it. */
export const MAKES = 3
export const LISTS = 2
export const PERHAPS = 1
export const LACKS = 0
export type Claim = typeof MAKES | typeof LISTS | typeof PERHAPS | typeof LACKS

/** @param prices the admins' overrides: a price for a model says that the provider has it */
export function claimOf(provider: Provider, model: string, prices: Iterable<PriceOverride>): Claim {
  if (Object.hasOwn(provider.deployments, model)) return LISTS
  if (provider.kind === 'sim') {
    const own = SIM_MODELS.find(({ id }) => id === model)
    if (own !== undefined) return own.owner === 'sim' ? MAKES : LISTS
    return isPriced(provider, model, prices) ? LISTS : LACKS
  }
  const list = listOf(provider)
  if (list !== null && list === makerOf(model)) return MAKES
  if (list !== null && hasModel(list, model)) return LISTS
  // Azure sells what OpenAI makes, also before the list of its prices knows.
  if (provider.kind === 'azure' && makerOf(model) === 'openai') return LISTS
  if (isPriced(provider, model, prices)) return LISTS
  return provider.kind === 'openai_compatible' ? PERHAPS : LACKS
}

/** A price for everything (`*`) says nothing about one model. */
function isPriced(provider: Provider, model: string, prices: Iterable<PriceOverride>): boolean {
  for (const price of prices) {
    if (price.model === '*' || price.provider.toLowerCase() !== provider.name.toLowerCase()) continue
    if (compileGlob(price.model.toLowerCase())(model.toLowerCase())) return true
  }
  return false
}
