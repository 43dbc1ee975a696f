/**
 * Service tiers: what providers charge more or less than their standard price for, by the words they use of it: OpenAI's and Gemini's
 * `service_tier`, Anthropic's `speed` and `inference_geo`.
 *
 * The bundled list has standard prices only. These ratios are what the providers' own price pages said in November 2026; where a page
 * names a span (Gemini's priority costs 75 to 100 % more), the upper end counts. Words that are not here cost the standard price.
 */
import type { PricedProvider } from './price.ts'
import { makerOf } from './price-data.ts'
import { listOf } from './price-list.ts'
import { type Ratio, type ServiceTiers, STANDARD } from './ratio.ts'

interface Row {
  readonly tiers: readonly string[]
  /** Absent = every model. */
  readonly models?: RegExp
  readonly ratio: Ratio
}

const row = (tiers: string, times: bigint, over = 1n, models?: RegExp): Row => ({
  tiers: tiers.split(' '),
  ratio: { times, over },
  ...(models === undefined ? {} : { models }),
})

/** The first row that fits counts. OpenAI calls one tier by two names: fast is what used to be called priority. */
const OPENAI: readonly Row[] = [
  row('flex batch', 1n, 2n),
  row('ultrafast', 6n),
  row('priority fast', 5n, 2n, /^gpt-5\.5/),
  row('priority fast', 9n, 5n, /^gpt-5-mini/),
  row('priority fast', 2n, 1n, /^gpt-4\.1-nano/),
  row('priority fast', 7n, 4n, /^(gpt-4\.1|o3)/),
  row('priority fast', 5n, 3n, /^gpt-4o-mini/),
  row('priority fast', 17n, 10n, /^gpt-4o/),
  row('priority fast', 20n, 11n, /^o4-mini/),
  row('priority fast', 2n),
]

/** Anthropic's own priority tier is paid for in advance, so that its tokens cost what they always do. */
const ANTHROPIC: readonly Row[] = [
  row('batch', 1n, 2n),
  row('fast', 6n, 1n, /^claude-opus-4-[67]/),
  row('fast', 2n),
  row('us', 11n, 10n),
]

const GOOGLE: readonly Row[] = [row('flex batch', 1n, 2n), row('priority', 2n)]

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  openai: OPENAI,
  azure: OPENAI,
  anthropic: ANTHROPIC,
  google: GOOGLE,
}

/** What a provider's words do to the price of one of its models. Resellers are taken to charge like the model's maker. */
export function serviceTiersOf(provider: PricedProvider, model: string): ServiceTiers {
  const list = listOf(provider)
  const name = model.slice(model.lastIndexOf('/') + 1).toLowerCase()
  const seller = list === null || list === 'openrouter' ? makerOf(name) : list
  const rows = (TABLES[seller ?? ''] ?? []).filter(({ models }) => models?.test(name) !== false)
  return (tier) => rows.find(({ tiers }) => tiers.includes(tier))?.ratio ?? STANDARD
}
