/** Price overrides on the outside. */
import { type Static, Type } from '@sinclair/typebox'
import { ModelPattern, Nullable, ProviderName, Timestamp, Usd } from './fields.ts'
import { EntityFields, ListQuery } from './lists.ts'

const rate = (description: string) => Nullable(Usd(), { description, examples: ['5'] })

const provider = ProviderName({ description: 'Whose price it is.' })
const model = ModelPattern({ description: 'A model or a pattern with *.' })
const Rates = {
  input_usd_per_million: rate('Per million input tokens.'),
  output_usd_per_million: rate('Per million output tokens.'),
  cache_read_usd_per_million: rate('Per million input tokens read from the cache; null = as input.'),
  cache_write_usd_per_million: rate('Per million input tokens written to the cache; null = as input.'),
  usd_per_request: rate('For each request.'),
}
const effectiveFrom = Timestamp({ description: 'From when on it holds; absent = now.' })

export const PriceCreate = Type.Object(
  {
    provider,
    model,
    ...Type.Partial(Type.Object(Rates)).properties,
    effective_from: Type.Optional(effectiveFrom),
  },
  { additionalProperties: false },
)
export type PriceCreate = Static<typeof PriceCreate>

export const PricePatch = Type.Partial(Type.Object({ provider, model, ...Rates, effective_from: effectiveFrom }), {
  additionalProperties: false,
})
export type PricePatch = Static<typeof PricePatch>

export const PriceView = Type.Object(
  { ...EntityFields, provider, model, ...Rates, effective_from: effectiveFrom },
  { additionalProperties: false },
)
export type PriceView = Static<typeof PriceView>

export const PriceQuery = ListQuery({
  provider: Type.Optional(provider),
  search: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Only models that contain this.' })),
})
