/**
 * Price book: the price of every (provider, model), from the bundled list under the admins' overrides.
 *
 * A pair is resolved once (tens of microseconds) and remembered; what is remembered is bounded, because strangers invent names.
 */
import type { Settings } from '../schemas/settings.ts'
import type { PriceOverride } from '../store/entities.ts'
import { compileGlob, isGlob } from '../store/glob.ts'
import { nanoUsd, ZERO_USD } from '../units/money.ts'
import type { Price, PriceBook, PricedProvider } from './price.ts'
import type { Schedule } from './price-data.ts'
import { listedSchedule } from './price-list.ts'
import { CardPrice, type RateCard, ratesOf } from './rates.ts'
import type { ServiceTiers } from './ratio.ts'
import { serviceTiersOf } from './service-tiers.ts'

/** Where the overrides are: the governance store. */
export interface OverrideSource {
  readonly prices: ReadonlyMap<string, PriceOverride>
  /** Grows with every change. */
  readonly version: number
}

/** What everything costs that has no price, in nano-dollars per million tokens (`pricing.unknown`). */
export interface FallbackPrice {
  readonly inputPerMillion: bigint
  readonly outputPerMillion: bigint
}

interface TimedPrice {
  readonly holds: (now: number) => boolean
  readonly price: Price
}

/** An override with what finding it takes: fewer free letters, then a later beginning, go first. */
interface CompiledOverride {
  readonly provider: string
  readonly matches: (model: string) => boolean
  readonly override: PriceOverride
}

/** The prices of one pair, in order of preference: overrides that may not hold yet, then the list's. */
type Entry = readonly (readonly TimedPrice[])[]

const ENTRIES_MAX = 10_000

/** The book for a store, with what the settings say of models that have no price. */
export function createPriceBook(source: OverrideSource, { pricing }: Pick<Settings, 'pricing'>): PriceBook {
  return new GenaiPriceBook(source, typeof pricing.unknown === 'string' ? null : pricing.unknown)
}

export class GenaiPriceBook implements PriceBook {
  readonly #source: OverrideSource
  readonly #fallback: Price | null
  readonly #entries = new Map<string, Entry>()
  /** What the list says never changes while we run, whatever admins edit. */
  readonly #listed = new Map<string, Schedule | null>()
  #overrides: readonly CompiledOverride[] = []
  #version = -1

  /** @param fallback the price of what has none; null leaves it unknown */
  constructor(source: OverrideSource, fallback: FallbackPrice | null) {
    this.#source = source
    this.#fallback =
      fallback === null ? null : new CardPrice(cardOf(fallback.inputPerMillion, fallback.outputPerMillion))
  }

  priceOf(provider: PricedProvider, model: string, now: number): Price | null {
    if (this.#version !== this.#source.version) this.#readOverrides()
    const name = `${provider.kind}\n${provider.name}\n${provider.baseUrl ?? ''}\n${model}`
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = this.#resolve(provider, model, name)
      remember(this.#entries, name, entry)
    }
    for (const prices of entry) {
      const timed = prices.findLast(({ holds }) => holds(now))
      if (timed !== undefined) return timed.price
    }
    return this.#fallback
  }

  #readOverrides(): void {
    this.#version = this.#source.version
    this.#entries.clear()
    this.#overrides = [...this.#source.prices.values()]
      .sort((a, b) => freedom(a.model) - freedom(b.model) || b.effectiveFrom - a.effectiveFrom)
      .map((override) => ({
        provider: override.provider.toLowerCase(),
        matches: compileGlob(override.model.toLowerCase()),
        override,
      }))
  }

  #resolve(provider: PricedProvider, model: string, name: string): Entry {
    let listed = this.#listed.get(name)
    if (listed === undefined) {
      listed = listedSchedule(provider, model)
      remember(this.#listed, name, listed)
    }
    const schedule = listed ?? []
    const tiers = serviceTiersOf(provider, model)
    const providerName = provider.name.toLowerCase()
    const modelName = model.toLowerCase()
    const entry: TimedPrice[][] = []
    for (const candidate of this.#overrides) {
      if (candidate.provider !== providerName || !candidate.matches(modelName)) continue
      entry.push(overridden(candidate.override, schedule, tiers))
    }
    entry.push(schedule.map(({ holds, card }) => ({ holds, price: new CardPrice(card, tiers) })))
    return entry
  }
}

/** How much a pattern leaves open: nothing for a name; the more letters a glob spells out, the less. */
function freedom(pattern: string): number {
  return isGlob(pattern) ? 1_000 - pattern.replaceAll('*', '').length : 0
}

/**
 * The prices of an override, from its beginning on. Rates that it leaves out come from the list; but a cache rate left out beside a
 * given input rate follows that one, because the list's belongs to another price. An override is the standard price: service tiers
 * multiply it like the list's.
 */
function overridden(override: PriceOverride, schedule: Schedule, serviceTiers: ServiceTiers): TimedPrice[] {
  const begun = (now: number) => now >= override.effectiveFrom
  if (schedule.length === 0) return [{ holds: begun, price: new CardPrice(overlaid(override, null), serviceTiers) }]
  return schedule.map(({ holds, card }) => ({
    holds: (now) => begun(now) && holds(now),
    price: new CardPrice(overlaid(override, card), serviceTiers),
  }))
}

function overlaid(override: PriceOverride, listed: RateCard | null): RateCard {
  const { inputPerMillion, outputPerMillion, cacheReadPerMillion, cacheWritePerMillion, perRequest } = override
  const over = (rates: RateCard['base'] | null): RateCard['base'] => {
    const own = inputPerMillion === null ? rates : null
    return ratesOf({
      input: inputPerMillion ?? rates?.input ?? 0n,
      output: outputPerMillion ?? rates?.output ?? 0n,
      cacheRead: cacheReadPerMillion ?? own?.cacheRead,
      cacheReadAudio: cacheReadPerMillion === null ? own?.cacheReadAudio : undefined,
      cacheReadImage: cacheReadPerMillion === null ? own?.cacheReadImage : undefined,
      cacheWrite: cacheWritePerMillion ?? own?.cacheWrite,
      cacheWrite1h: cacheWritePerMillion === null ? own?.cacheWrite1h : undefined,
      inputAudio: own?.inputAudio,
      outputAudio: outputPerMillion === null ? rates?.outputAudio : undefined,
      inputImage: own?.inputImage,
      outputImage: outputPerMillion === null ? rates?.outputImage : undefined,
      inputVideo: own?.inputVideo,
      outputVideo: outputPerMillion === null ? rates?.outputVideo : undefined,
      reasoning: outputPerMillion === null ? rates?.reasoning : undefined,
      citation: outputPerMillion === null ? rates?.citation : undefined,
    })
  }
  const flat = inputPerMillion !== null && outputPerMillion !== null
  return {
    base: over(listed?.base ?? null),
    tiers: flat || listed === null ? [] : listed.tiers.map(({ above, rates }) => ({ above, rates: over(rates) })),
    perRequest: perRequest === null ? (listed?.perRequest ?? ZERO_USD) : nanoUsd(perRequest),
    perWebSearch: listed?.perWebSearch ?? ZERO_USD,
    perFileSearch: listed?.perFileSearch ?? ZERO_USD,
  }
}

function cardOf(input: bigint, output: bigint): RateCard {
  return { base: ratesOf({ input, output }), tiers: [], perRequest: ZERO_USD }
}

function remember<V>(memory: Map<string, V>, name: string, value: V): void {
  if (memory.size >= ENTRIES_MAX) memory.clear()
  memory.set(name, value)
}
