/** Management keys on the outside: who may use the admin API, and for what. */
import { type Static, Type } from '@sinclair/typebox'
import { Id, Name, Nullable, OneOf, Timestamp } from './fields.ts'
import { EntityFields, ListQuery, Search } from './lists.ts'

export const ROLES = ['admin', 'viewer'] as const
export type Role = (typeof ROLES)[number]

const name = Name({ description: 'Unique.', examples: ['ci'] })
const role = OneOf(ROLES, { description: 'viewer reads, admin also changes.' })
const Settable = {
  customer_id: Nullable(Id(), { description: 'Only what lies below this customer; null = everything.' }),
  expires_at: Nullable(Timestamp(), { description: 'From then on it is refused; null = never.' }),
}

export const ManagementKeyCreate = Type.Object(
  { name, role, ...Type.Partial(Type.Object(Settable)).properties },
  { additionalProperties: false },
)
export type ManagementKeyCreate = Static<typeof ManagementKeyCreate>

export const ManagementKeyPatch = Type.Partial(Type.Object({ name, role, ...Settable }), {
  additionalProperties: false,
})
export type ManagementKeyPatch = Static<typeof ManagementKeyPatch>

export const ManagementKeyView = Type.Object(
  {
    ...EntityFields,
    name,
    role,
    ...Settable,
    key_start: Type.String({ description: 'How the key begins.', examples: ['bursar-mgmt-Z'] }),
    last_used_at: Nullable(Timestamp()),
  },
  { additionalProperties: false },
)
export type ManagementKeyView = Static<typeof ManagementKeyView>

export const ManagementKeyWithKey = Type.Object(
  {
    ...ManagementKeyView.properties,
    key: Type.String({
      description: 'The key. It is shown this once.',
      examples: ['bursar-mgmt-Z…'],
    }),
  },
  { additionalProperties: false },
)

export const ManagementKeyQuery = ListQuery({ search: Search, customer_id: Type.Optional(Id()) })
