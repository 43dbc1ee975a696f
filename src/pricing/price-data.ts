/**
 * Price data: the bundled list of what providers charge, compiled from floats to integers on first use of a model.
 *
 * Finding a model costs tens of microseconds, so the book remembers what it found; here nothing is remembered.
 */
import { calcPrice, findProvider, type ModelInfo, type ModelPrice, type Provider } from '@pydantic/genai-prices'
import { bareName } from '../store/bare-name.ts'
import { type NanoUsd, nanoUsd } from '../units/money.ts'
import { TOKENS_PER_AUDIO_SECOND } from '../usage/usage.ts'
import { type KnownRates, type RateCard, ratesOf } from './rates.ts'

/** When a card holds: always, from a moment on, or between two times of day (UTC). */
export type Condition = (now: number) => boolean

/** Cards in the list's order: the last whose condition holds is in force. */
export type Schedule = readonly { readonly holds: Condition; readonly card: RateCard }[]

export interface ListedModel {
  readonly id: string
  readonly contextLength: number | null
}

/** Companies that serve their own models under names nobody else gives to anything. The first that has a model owns it. */
const MAKERS = ['openai', 'anthropic', 'google', 'mistral', 'deepseek', 'x-ai', 'cohere', 'perplexity']

/** Names under which people know a provider of the list. */
const OTHER_NAMES: Readonly<Record<string, string>> = { xai: 'x-ai', gemini: 'google', moonshot: 'moonshotai' }

/** The list's own id for a provider of this name, or null where the list has none. */
export function listedProvider(name: string): string | null {
  const id = OTHER_NAMES[name.toLowerCase()] ?? name.toLowerCase()
  return listed(id) === null ? null : id
}

/** The library also takes names that resemble an id; here only the id itself counts. */
function listed(id: string): Provider | null {
  const provider = findProvider({ providerId: id })
  return provider?.id === id ? provider : null
}

/** The list's id for the provider that is served at this URL, or null. */
export function listedProviderAt(baseUrl: string): string | null {
  return findProvider({ providerApiUrl: baseUrl })?.id ?? null
}

const REMEMBERED_MAX = 10_000

/** A look-up takes tens of microseconds and is asked per request; its answers never change. Bounded, because strangers invent names. */
function remembering<T>(find: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>()
  return (name) => {
    const answer = known.get(name)
    if (answer !== undefined) return answer
    const found = find(name)
    if (known.size >= REMEMBERED_MAX) known.clear()
    known.set(name, found)
    return found
  }
}

/** Who makes the model of this name: the list's id, or null where the name tells nobody's. */
export const makerOf = remembering(findMaker)

function findMaker(model: string): string | null {
  const name = bareName(model.toLowerCase()).replace(/^ft:/, '')
  const byName = findProvider({ modelId: name })?.id
  if (byName !== undefined && MAKERS.includes(byName)) return byName
  return MAKERS.find((id) => hasModel(id, name)) ?? null
}

/** Whether the list has the model among that provider's own; what it may price by another's list does not count. */
export function hasModel(providerId: string, model: string): boolean {
  return knowsModel(`${providerId}\n${model}`)
}

const knowsModel = remembering((pair: string): boolean => {
  const [providerId = '', model = ''] = pair.split('\n')
  const found = find(providerId, model)
  return found !== null && listed(providerId)?.models.includes(found) === true
})

export function modelsOf(providerId: string): readonly ListedModel[] {
  const models = listed(providerId)?.models ?? []
  return models
    .filter((model) => model.deprecated !== true)
    .map(({ id, context_window }) => ({ id, contextLength: context_window ?? null }))
}

/** What the provider charges for the model; null where the list does not know it or prices nothing that we count. */
export function scheduleOf(providerId: string, model: string): Schedule | null {
  const found = find(providerId, model)
  if (found === null) return null
  const priced = Array.isArray(found.prices) ? found.prices : [{ prices: found.prices }]
  const schedule: { holds: Condition; card: RateCard }[] = []
  for (const { constraint, prices } of priced) {
    const card = compileCard(prices)
    if (card === null) return null
    schedule.push({ holds: conditionOf(constraint), card })
  }
  return schedule.length === 0 ? null : schedule
}

function find(providerId: string, model: string): ModelInfo | null {
  try {
    return calcPrice({ input_tokens: 0 }, bareName(model), { providerId })?.model ?? null
  } catch {
    // The library throws where a model's prices contradict themselves: such a model has no price.
    return null
  }
}

type Constraint =
  | { readonly type: 'start_date'; readonly start_date: string }
  | { readonly type: 'time_of_date'; readonly start_time: string; readonly end_time: string }

const DAY_MS = 86_400_000

function conditionOf(constraint: Constraint | undefined): Condition {
  if (constraint === undefined) return () => true
  if (constraint.type === 'start_date') {
    const start = Date.parse(constraint.start_date)
    return (now) => now >= start
  }
  const start = timeOfDay(constraint.start_time)
  const end = timeOfDay(constraint.end_time)
  return (now) => {
    const time = now % DAY_MS
    return end < start ? time >= start || time < end : time >= start && time < end
  }
}

/** `16:30:00Z` or with an offset, as milliseconds after midnight UTC. */
function timeOfDay(text: string): number {
  return ((Date.parse(`1970-01-01T${text}`) % DAY_MS) + DAY_MS) % DAY_MS
}

/** Which key of the list is which part. Keys that are not per token (pages, hours) are not ours to count, but for those below. */
const PARTS: Readonly<Record<keyof KnownRates, string>> = {
  input: 'input_mtok',
  output: 'output_mtok',
  cacheRead: 'cache_read_mtok',
  cacheReadAudio: 'cache_audio_read_mtok',
  cacheReadImage: 'cache_image_read_mtok',
  cacheWrite: 'cache_write_mtok',
  cacheWrite1h: 'cache_write_1h_mtok',
  inputAudio: 'input_audio_mtok',
  outputAudio: 'output_audio_mtok',
  inputImage: 'input_image_mtok',
  outputImage: 'output_image_mtok',
  inputVideo: 'input_video_mtok',
  outputVideo: 'output_video_mtok',
  reasoning: 'output_reasoning_mtok',
  citation: 'output_citation_mtok',
}
const PER_REQUEST = 'requests_kcount'
const PER_WEB_SEARCH = 'web_searches_kcount'
const PER_FILE_SEARCH = 'storage_searches_kcount'

function compileCard(prices: ModelPrice): RateCard | null {
  const perThousand = prices[PER_REQUEST]
  const perRequest = perOne(perThousand)
  const byHour = prices.input_audio_hours
  if (typeof byHour === 'number' && prices[PARTS.input] === undefined) return hourly(byHour, perRequest)
  if (prices[PARTS.input] === undefined && prices[PARTS.output] === undefined && perThousand === undefined) return null
  const tiers = tierStarts(prices).map((above) => ({ above, rates: compileRates(prices, above) }))
  return {
    base: compileRates(prices, null),
    tiers,
    perRequest,
    perWebSearch: perOne(prices[PER_WEB_SEARCH]),
    perFileSearch: perOne(prices[PER_FILE_SEARCH]),
  }
}

/** Dollars per thousand as nano-dollars for one. */
function perOne(dollarsPerThousand: ModelPrice[string]): NanoUsd {
  return nanoUsd(typeof dollarsPerThousand === 'number' ? ceiled(dollarsPerThousand * 1e6) : 0n)
}

/** Recordings that are charged by their length, of which each second counts as so many tokens. What is written costs nothing. */
function hourly(dollarsPerHour: number, perRequest: NanoUsd): RateCard {
  const input = ceiled((dollarsPerHour * 1e15) / (3_600 * TOKENS_PER_AUDIO_SECOND))
  return { base: ratesOf({ input, output: 0n }), tiers: [], perRequest }
}

function tierStarts(prices: ModelPrice): number[] {
  const starts = new Set<number>()
  for (const key of Object.values(PARTS)) {
    const price = prices[key]
    if (typeof price === 'object') for (const tier of price.tiers) starts.add(tier.start)
  }
  return [...starts].sort((a, b) => a - b)
}

/** The rates of a request whose input is just longer than `above`; null for one of any small length. */
function compileRates(prices: ModelPrice, above: number | null): ReturnType<typeof ratesOf> {
  const rate = (part: keyof KnownRates): bigint | undefined => {
    const price = prices[PARTS[part]]
    if (price === undefined) return undefined
    if (typeof price === 'number') return nanoPerMillion(price)
    let dollars = price.base
    if (above !== null) {
      for (const tier of [...price.tiers].sort((a, b) => a.start - b.start)) {
        if (above >= tier.start) dollars = tier.price
      }
    }
    return nanoPerMillion(dollars)
  }
  return ratesOf({
    input: rate('input') ?? 0n,
    output: rate('output') ?? 0n,
    cacheRead: rate('cacheRead'),
    cacheReadAudio: rate('cacheReadAudio'),
    cacheReadImage: rate('cacheReadImage'),
    cacheWrite: rate('cacheWrite'),
    cacheWrite1h: rate('cacheWrite1h'),
    inputAudio: rate('inputAudio'),
    outputAudio: rate('outputAudio'),
    inputImage: rate('inputImage'),
    outputImage: rate('outputImage'),
    inputVideo: rate('inputVideo'),
    outputVideo: rate('outputVideo'),
    reasoning: rate('reasoning'),
    citation: rate('citation'),
  })
}

/** Dollars per million tokens, a float, as whole nano-dollars per million. */
function nanoPerMillion(dollars: number): bigint {
  return ceiled(dollars * 1e9)
}

/** The integer a float stands for; upwards where it stands for none, such as a third. */
function ceiled(value: number): bigint {
  const nearest = Math.round(value)
  return BigInt(Math.abs(value - nearest) < 1e-4 ? nearest : Math.ceil(value))
}
