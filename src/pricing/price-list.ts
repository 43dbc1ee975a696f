/**
 * Price list: which list of prices a provider's models are looked up in.
 *
 * An OpenAI-compatible provider is known by its name or address. One that is not still sells some models that only their maker can
 * have made (a reseller's `gpt-4o`); open weights are never priced by their maker's list, since a local copy costs something else.
 */
import { SIM_MODELS } from '../sim/models.ts'
import { ZERO_USD } from '../units/money.ts'
import type { PricedProvider } from './price.ts'
import { hasModel, listedProvider, listedProviderAt, makerOf, type Schedule, scheduleOf } from './price-data.ts'
import { ratesOf } from './rates.ts'

const BY_KIND: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  google: 'google',
  azure: 'azure',
}

/** Makers whose models nobody else can run. */
const CLOSED_MAKERS: ReadonlySet<string> = new Set(['openai', 'anthropic', 'google', 'x-ai'])
/** What these makers have given away. */
const OPEN_WEIGHTS = /^(gpt-oss|gemma)/i

/** The id under which price data lists this provider, or null where it does not. */
export function listOf({ name, kind, baseUrl }: PricedProvider): string | null {
  if (kind === 'sim') return null
  return BY_KIND[kind] ?? listedProvider(name) ?? (baseUrl === undefined ? null : listedProviderAt(baseUrl))
}

/** OpenAI says that these are free of charge; lists of prices leave them out. */
const FREE_MODELS = /^(omni|text)-moderation-/i
const FREE: Schedule = [
  { holds: () => true, card: { base: ratesOf({ input: 0n, output: 0n }), tiers: [], perRequest: ZERO_USD } },
]

/** What the provider charges for the model by the bundled data; null where that is not known. */
export function listedSchedule(provider: PricedProvider, model: string): Schedule | null {
  const list = listOf(provider)
  if (FREE_MODELS.test(model) && (list === 'openai' || provider.kind === 'sim')) return FREE
  if (provider.kind === 'sim') return simSchedule(model)
  if (list !== null) return scheduleOf(list, model)
  const maker = OPEN_WEIGHTS.test(model) ? null : makerOf(model)
  return maker !== null && CLOSED_MAKERS.has(maker) && hasModel(maker, model) ? scheduleOf(maker, model) : null
}

/** Its own models carry their prices; the real ones it imitates cost what their makers charge. */
function simSchedule(model: string): Schedule | null {
  const own = SIM_MODELS.find(({ id }) => id === model)
  if (own === undefined || own.price === null) {
    const maker = own?.owner ?? makerOf(model)
    return maker === null ? null : scheduleOf(maker, model)
  }
  const { inputNanoUsd, outputNanoUsd, cacheReadNanoUsd, cacheWriteNanoUsd } = own.price
  const base = ratesOf({
    input: inputNanoUsd,
    output: outputNanoUsd,
    cacheRead: cacheReadNanoUsd,
    cacheWrite: cacheWriteNanoUsd,
  })
  return [{ holds: () => true, card: { base, tiers: [], perRequest: ZERO_USD } }]
}
