/** Price overrides. */
import { deletePrice as deleteRow, findPrice, insertPrice, updatePrice } from '../persist/repositories/prices.ts'
import { findProviderByName } from '../persist/repositories/providers.ts'
import type { PriceCreate, PricePatch } from '../schemas/price.ts'
import type { PriceOverride } from '../store/entities.ts'
import { parseUsd } from '../units/money.ts'
import { parseTime } from '../units/time.ts'
import { guarded } from './references.ts'
import { at, notFound, Problems } from './refused.ts'
import { sameContent, type Work } from './work.ts'

const taken = (path: string) => ({
  prices_provider_model_effective_from_key: {
    path: at(path, 'effective_from'),
    message: 'There is already a price for this provider and model from that moment on.',
  },
})

export async function createPrice(work: Work, body: PriceCreate, path = ''): Promise<PriceOverride> {
  const blank: PriceOverride = {
    ...work.born(),
    provider: body.provider,
    model: body.model,
    inputPerMillion: null,
    outputPerMillion: null,
    cacheReadPerMillion: null,
    cacheWritePerMillion: null,
    perRequest: null,
    effectiveFrom: work.now,
  }
  const price = await withChanges(work, blank, body, path)
  await guarded(insertPrice(work.db, price), taken(path))
  work.created('price', price)
  return price
}

export async function patchPrice(work: Work, id: string, patch: PricePatch, path = ''): Promise<PriceOverride> {
  const price = await findPrice(work.db, id)
  if (price === null) throw notFound('price', id)
  const changed = await withChanges(work, price, patch, path)
  if (sameContent(price, changed)) return price
  await guarded(updatePrice(work.db, changed), taken(path))
  work.changed('price', price, changed)
  return changed
}

export async function deletePrice(work: Work, id: string): Promise<void> {
  const price = await findPrice(work.db, id)
  if (price === null) throw notFound('price', id)
  await removePrice(work, price)
}

export async function removePrice(work: Work, price: PriceOverride): Promise<void> {
  await deleteRow(work.db, price.id)
  work.deleted('price', price)
}

/** Whether two prices charge the same. */
export function samePrice(a: PriceOverride, b: PriceOverride): boolean {
  return RATES.every((rate) => a[rate] === b[rate])
}

const RATES = [
  'inputPerMillion',
  'outputPerMillion',
  'cacheReadPerMillion',
  'cacheWritePerMillion',
  'perRequest',
] as const

/** The provider need not exist: the prices of one may be there before it is. */
export async function withChanges(
  work: Work,
  price: PriceOverride,
  patch: PricePatch,
  path: string,
): Promise<PriceOverride> {
  const rate = (text: string | null | undefined, kept: bigint | null) =>
    text === undefined ? kept : text === null ? null : parseUsd(text)
  const provider = patch.provider ?? price.provider
  const changed: PriceOverride = {
    ...price,
    provider: (await findProviderByName(work.db, provider, work.parts.secrets))?.name ?? provider,
    model: patch.model ?? price.model,
    inputPerMillion: rate(patch.input_usd_per_million, price.inputPerMillion),
    outputPerMillion: rate(patch.output_usd_per_million, price.outputPerMillion),
    cacheReadPerMillion: rate(patch.cache_read_usd_per_million, price.cacheReadPerMillion),
    cacheWritePerMillion: rate(patch.cache_write_usd_per_million, price.cacheWritePerMillion),
    perRequest: rate(patch.usd_per_request, price.perRequest),
    effectiveFrom: patch.effective_from === undefined ? price.effectiveFrom : (parseTime(patch.effective_from) ?? 0),
    updatedAt: work.now,
  }
  const problems = new Problems()
  if (RATES.every((name) => changed[name] === null)) {
    problems.add(at(path, 'input_usd_per_million'), 'is missing: a price needs at least one rate')
  }
  problems.check()
  return changed
}
