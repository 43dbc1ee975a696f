/** Providers on the outside. Credentials go in and never come out. */
import { type Static, Type } from '@sinclair/typebox'
import { PROVIDER_KINDS } from '../store/entities.ts'
import { accepting, Id, Name, Nullable, OneOf, ProviderName, WebAddress } from './fields.ts'
import { EntityFields, ListQuery, Search } from './lists.ts'

const weight = Type.Number({
  minimum: 0,
  maximum: 1_000_000,
  description: 'Share of the traffic.',
  default: 1,
  examples: [1],
})
const keyName = Name({ description: 'Unique within the provider.', examples: ['main'] })
const credential = accepting(
  Type.String({ pattern: '^[\\x21-\\x7e]{1,4096}$', writeOnly: true, description: 'The provider’s key.' }),
  'a key of printable ASCII characters without blanks',
)

const ProviderKeyCreate = Type.Object(
  { name: keyName, value: credential, weight: Type.Optional(weight) },
  { additionalProperties: false },
)

/** In a change, a key that stays may leave out its value: it is found by its name. */
const ProviderKeyPatch = Type.Object(
  { name: keyName, value: Type.Optional(credential), weight: Type.Optional(weight) },
  { additionalProperties: false },
)
export type ProviderKeyText = Static<typeof ProviderKeyPatch>

const name = ProviderName({ description: 'Unique; the first part of provider/model and of pass-through paths.' })
const kind = OneOf(PROVIDER_KINDS, { description: 'Which API it speaks.' })
/** Headers of one connection, of framing and of the body's encoding are the gateway's own to set. */
const OWN_HEADERS =
  'connection|content-encoding|content-length|expect|host|keep-alive|proxy-[a-z-]+|te|trailer|transfer-encoding|upgrade|accept-encoding'
const headerNames = `^(?!(?:${anyCase(OWN_HEADERS)})$)[A-Za-z0-9!#$%&'*+.^_\`|~-]{1,100}$`

/** JSON Schema's patterns know no flag for letter case. */
function anyCase(pattern: string): string {
  return pattern.replaceAll(/\[a-z-\]|[a-z]/g, (part) =>
    part.length > 1 ? '[A-Za-z-]' : `[${part}${part.toUpperCase()}]`,
  )
}
const headers = accepting(
  Type.Record(
    Type.String({ pattern: headerNames }),
    Type.String({ pattern: '^[\\t\\x20-\\x7e]{0,4096}$', writeOnly: true }),
    {
      additionalProperties: false,
      description: 'Sent with every request; values are never shown again.',
      examples: [{ 'x-team': 'research' }],
    },
  ),
  'header names, each with a text in ASCII; not those that frame a request, such as host or content-length',
)
const SettableFields = {
  base_url: WebAddress({ description: 'Absent = the public address of the kind.' }),
  api_version: Nullable(Type.String({ minLength: 1, maxLength: 100, examples: ['2024-10-21'] }), {
    description: 'Azure and Anthropic: the version of the API.',
  }),
  deployments: accepting(
    Type.Record(Type.String({ minLength: 1 }), Type.String({ minLength: 1, maxLength: 200 }), {
      description: 'Azure: model → deployment.',
      examples: [{ 'gpt-4o': 'my-gpt-4o' }],
    }),
    'models, each with a deployment',
  ),
  timeout_ms: Nullable(Type.Integer({ minimum: 1, maximum: 86_400_000 }), {
    description: 'Longest wait for an answer to begin; null = the server’s setting.',
    examples: [300_000],
  }),
  headers,
  enabled: Type.Boolean({ description: 'false takes it out of routing.', default: true }),
}

export const ProviderCreate = Type.Object(
  {
    name,
    kind,
    ...Type.Partial(Type.Object(SettableFields)).properties,
    keys: Type.Optional(Type.Array(ProviderKeyCreate, { maxItems: 100, description: 'Its credentials.', default: [] })),
  },
  { additionalProperties: false },
)
export type ProviderCreate = Static<typeof ProviderCreate>

export const ProviderPatch = Type.Partial(
  Type.Object({
    name,
    kind,
    ...SettableFields,
    base_url: Nullable(SettableFields.base_url),
    deployments: Nullable(SettableFields.deployments),
    headers: Nullable(headers),
    keys: Nullable(Type.Array(ProviderKeyPatch, { maxItems: 100 }), {
      description:
        'All its keys from now on; null = none. A key that stays may leave out its value, unless base_url changes.',
    }),
  }),
  { additionalProperties: false },
)
export type ProviderPatch = Static<typeof ProviderPatch>

export const ProviderView = Type.Object(
  {
    ...EntityFields,
    name,
    kind,
    ...SettableFields,
    base_url: Type.String(),
    headers: Type.Record(Type.String(), Type.Null(), { description: 'The names; the values are write-only.' }),
    keys: Type.Array(
      Type.Object(
        {
          id: Id(),
          name: keyName,
          start: Type.String({ description: 'How the key begins.', examples: ['sk-pr'] }),
          weight,
        },
        { additionalProperties: false },
      ),
      { description: 'Its credentials, without their values.' },
    ),
  },
  { additionalProperties: false },
)
export type ProviderView = Static<typeof ProviderView>

export const ProviderQuery = ListQuery({ search: Search, kind: Type.Optional(kind) })
