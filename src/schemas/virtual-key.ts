/** Virtual keys on the outside. The key itself appears once: in the answer to its creation or rotation. */
import { type Static, Type } from '@sinclair/typebox'
import {
  accepting,
  Duration,
  Id,
  Metadata,
  ModelPattern,
  Name,
  Nullable,
  OneOf,
  ProviderName,
  Timestamp,
} from './fields.ts'
import { LimitView, NestedLimits } from './limit.ts'
import { EntityFields, ListQuery, Search } from './lists.ts'

const KEY_VALUE_LENGTH_MIN = 20

/** An imported key: bytes that survive any HTTP header. */
const KeyValue = () =>
  accepting(
    Type.String({
      pattern: `^[\\x21-\\x7e]{${KEY_VALUE_LENGTH_MIN},512}$`,
      writeOnly: true,
      description: 'An existing key to import, at least 20 characters; absent = a new one is made.',
      examples: ['my-existing-key-0123456789'],
    }),
    `a key of ${KEY_VALUE_LENGTH_MIN} to 512 printable ASCII characters without blanks`,
  )

const AccessFields = {
  provider: ProviderName({ description: 'A provider that exists.' }),
  models: Type.Optional(
    Nullable(Type.Array(ModelPattern(), { maxItems: 1_000 }), {
      description: 'Models or patterns that are allowed; null = every model, [] = none.',
      default: null,
      examples: [['gpt-4o*']],
    }),
  ),
  blocked_models: Type.Optional(
    Type.Array(ModelPattern(), {
      maxItems: 1_000,
      description: 'Models or patterns that are refused; this wins over models.',
      default: [],
      examples: [['*-preview']],
    }),
  ),
  weight: Type.Optional(
    Nullable(Type.Number({ minimum: 0, maximum: 1_000_000 }), {
      description: 'Share of the requests for bare model names; null = allowed, but never chosen by weight.',
      default: 1,
      examples: [1],
    }),
  ),
}

const AccessRule = Type.Object(
  {
    ...AccessFields,
    key_ids: Type.Optional(
      Nullable(Type.Array(Id(), { maxItems: 1_000 }), {
        description: 'Which of the provider’s keys may serve; null = any, [] = none.',
        default: null,
      }),
    ),
  },
  { additionalProperties: false },
)

/** In bursar.yaml the keys of a provider go by name, since nobody knows their ids there. */
const AccessRuleByName = Type.Object(
  {
    ...AccessFields,
    key_ids: Type.Optional(
      Nullable(Type.Array(Name(), { maxItems: 1_000 }), {
        description: 'Names or ids of the provider’s keys; null = any, [] = none.',
        default: null,
      }),
    ),
  },
  { additionalProperties: false },
)
export type AccessRuleText = Static<typeof AccessRuleByName>

const accessOf = (rule: typeof AccessRule | typeof AccessRuleByName) =>
  Nullable(Type.Array(rule, { maxItems: 100 }), {
    description: 'What the key may reach; null = everything, [] = nothing.',
    examples: [[{ provider: 'openai', models: ['gpt-4o*'] }]],
  })

const name = Name({ description: 'Unique.', examples: ['notebook'] })
const SharedFields = {
  active: Type.Boolean({ description: 'false refuses the key.', default: true }),
  expires_at: Nullable(Timestamp(), { description: 'From then on the key is refused; null = never.' }),
  allowed_ips: Nullable(
    Type.Array(
      accepting(
        Type.String({ maxLength: 64, examples: ['10.0.0.0/8'] }),
        'an address or a CIDR range such as 10.0.0.0/8',
      ),
      { maxItems: 1_000 },
    ),
    { description: 'Addresses the key may be used from; null = any, [] = none.', examples: [['10.0.0.0/8']] },
  ),
  passthrough: Type.Boolean({ description: 'Also allow paths of providers that are not metered.', default: false }),
  metadata: Metadata(),
}
const OwnerFields = {
  user_id: Nullable(Id(), { description: 'The user who is charged; null = none.' }),
  team_id: Nullable(Id(), { description: 'The team that is charged; null = none.' }),
  customer_id: Nullable(Id(), { description: 'The customer that is charged; null = the team’s.' }),
}

const Settable = { access: accessOf(AccessRule), ...SharedFields }

export const VirtualKeyCreate = Type.Object(
  {
    name,
    value: Type.Optional(KeyValue()),
    ...Type.Partial(Type.Object({ ...OwnerFields, ...Settable })).properties,
    limits: Type.Optional(NestedLimits()),
  },
  { additionalProperties: false },
)
export type VirtualKeyCreate = Static<typeof VirtualKeyCreate>

/** A personal key, made together with its user. */
export const UserKeyCreate = Type.Object(
  {
    name: Type.Optional(Name({ description: 'Unique; absent = the user’s name.' })),
    value: Type.Optional(KeyValue()),
    ...Type.Partial(Type.Object({ team_id: OwnerFields.team_id, customer_id: OwnerFields.customer_id, ...Settable }))
      .properties,
    limits: Type.Optional(NestedLimits()),
  },
  { additionalProperties: false, description: 'A personal key to create with the user.' },
)
export type UserKeyCreate = Static<typeof UserKeyCreate>

/** A key of bursar.yaml: owners by name. */
export const VirtualKeyText = Type.Object(
  {
    name,
    value: Type.Optional(KeyValue()),
    user: Type.Optional(Nullable(Name(), { description: 'Name of the user.' })),
    team: Type.Optional(Nullable(Name(), { description: 'Name of the team.' })),
    customer: Type.Optional(Nullable(Name(), { description: 'Name of the customer.' })),
    ...Type.Partial(Type.Object({ access: accessOf(AccessRuleByName), ...SharedFields })).properties,
    limits: Type.Optional(NestedLimits()),
  },
  { additionalProperties: false },
)
export type VirtualKeyText = Static<typeof VirtualKeyText>

export const VirtualKeyPatch = Type.Partial(
  Type.Object({ name, ...OwnerFields, ...Settable, metadata: Nullable(SharedFields.metadata) }),
  { additionalProperties: false },
)
export type VirtualKeyPatch = Static<typeof VirtualKeyPatch>

export const VirtualKeyRotate = Type.Object(
  {
    grace: Type.Optional(
      Duration({ description: 'For how long the old key keeps working; absent = not at all.', examples: ['1h'] }),
    ),
  },
  { additionalProperties: false },
)

export const VirtualKeyView = Type.Object(
  {
    ...EntityFields,
    name,
    ...OwnerFields,
    ...Settable,
    key_start: Type.String({ description: 'How the key begins.', examples: ['sk-bursar-4f8a'] }),
    status: OneOf(['active', 'disabled', 'expired'], { description: 'Disabled wins over expired.' }),
    last_used_at: Nullable(Timestamp(), { description: 'When it was last presented.' }),
    rotated_at: Nullable(Timestamp(), { description: 'When it was last rotated.' }),
    limits: Type.Array(LimitView, { description: 'Its limits.' }),
  },
  { additionalProperties: false },
)
export type VirtualKeyView = Static<typeof VirtualKeyView>

/** The only form in which a key leaves, once. */
export const VirtualKeyWithKey = Type.Object(
  {
    ...VirtualKeyView.properties,
    key: Type.String({
      description: 'The key. It is shown this once.',
      examples: ['sk-bursar-4f8a…'],
    }),
  },
  { additionalProperties: false },
)

export const VirtualKeyQuery = ListQuery({
  search: Search,
  user_id: Type.Optional(Id()),
  team_id: Type.Optional(Id()),
  customer_id: Type.Optional(Id()),
})
