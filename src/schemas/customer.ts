/** Customers and teams on the outside. */
import { type Static, Type } from '@sinclair/typebox'
import { Id, Metadata, Name, Nullable } from './fields.ts'
import { LimitView, NestedLimits } from './limit.ts'
import { EntityFields, ListQuery, Search } from './lists.ts'

const name = Name({ description: 'Unique.', examples: ['acme'] })
const metadata = Metadata()
const customerId = Nullable(Id(), { description: 'The customer above it; null = none.' })

export const CustomerCreate = Type.Object(
  { name, metadata: Type.Optional(metadata), limits: Type.Optional(NestedLimits()) },
  { additionalProperties: false },
)
export type CustomerCreate = Static<typeof CustomerCreate>

export const CustomerPatch = Type.Partial(Type.Object({ name, metadata: Nullable(metadata) }), {
  additionalProperties: false,
})
export type CustomerPatch = Static<typeof CustomerPatch>

export const CustomerView = Type.Object(
  { ...EntityFields, name, metadata, limits: Type.Array(LimitView, { description: 'Its limits.' }) },
  { additionalProperties: false },
)
export type CustomerView = Static<typeof CustomerView>

export const CustomerQuery = ListQuery({ search: Search })

export const TeamCreate = Type.Object(
  {
    name,
    customer_id: Type.Optional(customerId),
    metadata: Type.Optional(metadata),
    limits: Type.Optional(NestedLimits()),
  },
  { additionalProperties: false },
)
export type TeamCreate = Static<typeof TeamCreate>

export const TeamPatch = Type.Partial(Type.Object({ name, customer_id: customerId, metadata: Nullable(metadata) }), {
  additionalProperties: false,
})
export type TeamPatch = Static<typeof TeamPatch>

export const TeamView = Type.Object(
  {
    ...EntityFields,
    name,
    customer_id: customerId,
    metadata,
    limits: Type.Array(LimitView, { description: 'Its limits.' }),
  },
  { additionalProperties: false },
)
export type TeamView = Static<typeof TeamView>

export const TeamQuery = ListQuery({ search: Search, customer_id: Type.Optional(Id()) })
