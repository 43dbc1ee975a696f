/**
 * bursar.yaml as a whole: settings, and the entities it declares (CONTRACT section 7).
 */
import { type Static, Type } from '@sinclair/typebox'
import { CustomerCreate } from './customer.ts'
import { Name, Nullable } from './fields.ts'
import { GlobalLimit } from './limit.ts'
import { PriceCreate } from './price.ts'
import { ProviderCreate } from './provider.ts'
import { SettingsFields } from './settings-text.ts'
import { UserText } from './user.ts'
import { VirtualKeyText } from './virtual-key.ts'

const TeamText = Type.Object(
  {
    ...CustomerCreate.properties,
    customer: Type.Optional(Nullable(Name(), { description: 'Name of the customer above it.' })),
  },
  { additionalProperties: false },
)

export const ConfigFile = Type.Object(
  {
    ...SettingsFields,
    prune: Type.Optional(
      Type.Boolean({ description: 'Delete what an earlier file made and this one no longer names.', default: false }),
    ),
    providers: Type.Optional(Type.Array(ProviderCreate, { description: 'Providers.' })),
    prices: Type.Optional(Type.Array(PriceCreate, { description: 'Prices that override the bundled ones.' })),
    customers: Type.Optional(Type.Array(CustomerCreate, { description: 'Customers.' })),
    teams: Type.Optional(Type.Array(TeamText, { description: 'Teams.' })),
    users: Type.Optional(Type.Array(UserText, { description: 'Users.' })),
    virtual_keys: Type.Optional(Type.Array(VirtualKeyText, { description: 'Virtual keys.' })),
    limits: Type.Optional(Type.Array(GlobalLimit, { description: 'Global limits: those of providers and models.' })),
  },
  { additionalProperties: false },
)
export type ConfigFile = Static<typeof ConfigFile>

/** What applying a file would change. */
export const ConfigDifferences = Type.Object(
  {
    changes: Type.Array(
      Type.Object(
        {
          action: Type.String({ examples: ['limit.update'] }),
          name: Nullable(Type.String(), { description: 'Of the entity, where it has one.' }),
          fields: Type.Array(
            Type.Object(
              { field: Type.String({ examples: ['max'] }), before: Type.Unknown(), after: Type.Unknown() },
              { additionalProperties: false },
            ),
            { description: 'What would change; null where there is nothing before or after.' },
          ),
        },
        { additionalProperties: false },
      ),
    ),
    kept: Type.Array(Type.String(), { description: 'What would not be pruned, because something refers to it.' }),
  },
  { additionalProperties: false },
)
export type ConfigDifferences = Static<typeof ConfigDifferences>
