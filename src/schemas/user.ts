/** Users on the outside. */
import { type Static, Type } from '@sinclair/typebox'
import { USER_KINDS } from '../store/entities.ts'
import { accepting, Id, Metadata, Name, Nullable, OneOf, Text, Timestamp } from './fields.ts'
import { LimitView, NestedLimits } from './limit.ts'
import { EntityFields, ListQuery, Search } from './lists.ts'
import { UserKeyCreate, VirtualKeyView } from './virtual-key.ts'

const name = Name({ description: 'Unique.', examples: ['ada'] })
const kind = OneOf(USER_KINDS, {
  description: 'special: limits are observed, no address cap; temporary: ends at expires_at.',
  default: 'normal',
})
const SettableFields = {
  email: Nullable(
    accepting(
      Type.String({ pattern: '^[^\\s@]+@[^\\s@]+$', maxLength: 320, examples: ['ada@example.com'] }),
      'an email address',
    ),
    { description: 'For people; nothing is sent to it.' },
  ),
  kind,
  expires_at: Nullable(Timestamp(), {
    description: 'When a temporary user ends: required for these, refused for others.',
    examples: [null],
  }),
  max_ips: Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }), {
    description: 'Most distinct addresses (IPv6 by /64); null = the default of the kind.',
    examples: [5],
  }),
  note: Nullable(Text(10_000), { description: 'For people.' }),
  metadata: Metadata(),
}
const DisabledFields = {
  disabled_at: Nullable(Timestamp(), {
    description: 'Since when the user is disabled; null = enabled.',
    examples: [null],
  }),
  disabled_reason: Nullable(Text(500, { minLength: 1 }), { description: 'Shown to the caller whose key is refused.' }),
}
const Settable = { ...SettableFields, ...DisabledFields, metadata: Nullable(SettableFields.metadata) }

export const UserCreate = Type.Object(
  {
    name,
    ...Type.Partial(Type.Object({ ...SettableFields, ...DisabledFields })).properties,
    limits: Type.Optional(NestedLimits()),
    virtual_key: Type.Optional(UserKeyCreate),
  },
  { additionalProperties: false },
)
export type UserCreate = Static<typeof UserCreate>

export const UserPatch = Type.Partial(Type.Object({ name, ...Settable }), { additionalProperties: false })
export type UserPatch = Static<typeof UserPatch>

/** Absent = keep, null = clear; an unknown id creates, and then a name is needed (U04). */
export const UserPut = Type.Object(
  {
    id: Type.Optional(Id({ description: 'The same as in the path; it cannot change.' })),
    ...UserPatch.properties,
    limits: Type.Optional(NestedLimits()),
    virtual_key: Type.Optional(UserKeyCreate),
  },
  { additionalProperties: false },
)
export type UserPut = Static<typeof UserPut>

export const UserBulk = Type.Object(
  {
    users: Type.Array(UserPut, {
      minItems: 1,
      maxItems: 1_000,
      description: 'Each is found by its id, else by its name, else created. All or nothing.',
    }),
  },
  { additionalProperties: false },
)

/** A user of bursar.yaml. */
export const UserText = Type.Object(
  { name, ...Type.Partial(Type.Object(SettableFields)).properties, limits: Type.Optional(NestedLimits()) },
  { additionalProperties: false },
)
export type UserText = Static<typeof UserText>

export const UserDisable = Type.Object(
  {
    reason: Type.Optional(
      Text(500, { minLength: 1, description: 'Shown to the caller.', examples: ['Contract ended.'] }),
    ),
  },
  { additionalProperties: false },
)

export const UserView = Type.Object(
  {
    ...EntityFields,
    name,
    ...SettableFields,
    ...DisabledFields,
    ips: Type.Array(
      Type.Object(
        {
          address: Type.String({ examples: ['203.0.113.7'] }),
          first_seen_at: Timestamp(),
          last_seen_at: Timestamp(),
        },
        { additionalProperties: false },
      ),
      { description: 'Addresses the user’s keys were used from.' },
    ),
    last_used_at: Nullable(Timestamp(), { description: 'When one of its keys was last presented.' }),
    usage: Type.Object(
      {
        requests: Type.Integer({ description: 'Ever.' }),
        tokens: Type.Record(Type.String(), Type.Integer(), {
          description: 'Ever, by model family; models in no family count in none.',
          examples: [{ gpt4: 128_000 }],
        }),
      },
      { additionalProperties: false, description: 'Lifetime numbers; no reset touches them.' },
    ),
    limits: Type.Array(LimitView, { description: 'Its limits.' }),
  },
  { additionalProperties: false },
)
export type UserView = Static<typeof UserView>

/** The answer to a creation that made a personal key. */
export const UserWithKey = Type.Object(
  {
    ...UserView.properties,
    key: Type.Optional(
      Type.String({
        description: 'The personal key, when one was made. It is shown this once.',
        examples: ['sk-bursar-4f8a…'],
      }),
    ),
    virtual_key: Type.Optional(VirtualKeyView),
  },
  { additionalProperties: false },
)

export const UserQuery = ListQuery({
  search: Search,
  kind: Type.Optional(kind),
  disabled: Type.Optional(Type.Boolean({ description: 'Only disabled ones, or only the others.' })),
})
