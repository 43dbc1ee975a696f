/**
 * Limits on the outside: one form for the admin API, for `limits: […]` inside other entities, and for bursar.yaml.
 *
 * What a schema cannot say (which max fits which metric, which window which align) is checked in `src/control/limit-text.ts`.
 */
import { type Static, Type } from '@sinclair/typebox'
import { METRICS, SCOPE_KINDS } from '../store/entities.ts'
import { accepting, Id, ModelPattern, Nullable, OneOf, ProviderName, Timestamp, Timezone } from './fields.ts'
import { EntityFields, ListQuery } from './lists.ts'

const MAX_SAFE = Number.MAX_SAFE_INTEGER

const Max = () =>
  accepting(
    Type.Union([Type.String(), Type.Integer({ minimum: 1, maximum: MAX_SAFE })], {
      description: 'cost: dollars as a string from 0.000000001 to 999999999; every other metric: an integer from 1.',
      examples: ['25.00', 60],
    }),
    'dollars as a string such as "25.00" for cost, an integer from 1 to 9007199254740991 for every other metric',
  )

const Window = () =>
  accepting(
    Nullable(Type.String({ minLength: 1, maxLength: 100 }), {
      description:
        'The period: a duration, a cron expression, hourly, daily or lifetime. Required, except for concurrency, which has none.',
      examples: ['1M', '1m', 'daily', '0 6 * * 1', 'lifetime'],
    }),
    'a duration such as 1M, a cron expression, hourly, daily or lifetime (null for concurrency)',
  )

const Align = () =>
  Nullable(OneOf(['fixed', 'calendar', 'sliding']), {
    description:
      'fixed: from the limit’s creation on; calendar: days, weeks, months as in the calendar of the time zone; sliding: the last window, weighted. null with cron, lifetime and concurrency.',
    default: 'fixed',
    examples: ['calendar'],
  })

/** What says which traffic is counted, and how: with the scope and the mode, a limit's identity. */
const CountFields = {
  metric: OneOf(METRICS, { description: 'What is counted.', examples: ['cost'] }),
  window: Type.Optional(Window()),
  align: Type.Optional(Align()),
  timezone: Type.Optional(Timezone({ description: 'For calendar windows and cron expressions.', default: 'UTC' })),
  provider: Type.Optional(
    Nullable(ProviderName(), { description: 'Only traffic to this provider; null = all.', examples: ['openai'] }),
  ),
  model: Type.Optional(
    Nullable(ModelPattern(), {
      description: 'Only this model: a name, a pattern with *, or family:<name> of model_families; null = all.',
      examples: ['gpt-4o*', 'family:gpt4'],
    }),
  ),
}

const RuleFields = {
  mode: Type.Optional(
    OneOf(['enforce', 'observe'], {
      description: 'observe counts and reports, and never refuses.',
      default: 'enforce',
    }),
  ),
  alert_at: Type.Optional(
    accepting(
      Type.Array(
        accepting(
          Type.String({ pattern: '^(0\\.\\d{1,6}|1(\\.0{1,6})?)$' }),
          'a share such as "0.8", above 0 and at most 1',
        ),
        {
          maxItems: 10,
          description: 'Shares of max at which an alert is raised, once a window each.',
          default: ['0.8', '1'],
          examples: [['0.8', '1']],
        },
      ),
      'at most ten shares as strings, such as ["0.8", "1"]',
    ),
  ),
}

const LimitScope = Type.Object(
  {
    kind: OneOf(SCOPE_KINDS, { description: 'Which level of the chain is limited.', examples: ['team'] }),
    id: Type.Optional(Nullable(Id(), { description: 'The entity; null or absent for global.' })),
  },
  { additionalProperties: false, description: 'Whose traffic is counted.' },
)

/** A limit inside the entity that it limits. */
export const NestedLimit = Type.Object(
  { ...CountFields, max: Max(), ...RuleFields },
  { additionalProperties: false, description: 'A limit on the entity it stands in.' },
)
export type NestedLimit = Static<typeof NestedLimit>

export const NestedLimits = () =>
  Type.Array(NestedLimit, { maxItems: 100, description: 'Limits to create with it: all or nothing.', examples: [[]] })

/** A limit of bursar.yaml's own list: those of entities stand inside their entities. */
export const GlobalLimit = Type.Object(
  { scope: OneOf(['global'], { description: 'Always global here.' }), ...CountFields, max: Max(), ...RuleFields },
  { additionalProperties: false },
)
export type GlobalLimit = Static<typeof GlobalLimit>

export const LimitCreate = Type.Object(
  { scope: LimitScope, ...CountFields, max: Max(), ...RuleFields },
  { additionalProperties: false },
)
export type LimitCreate = Static<typeof LimitCreate>

/** What has a default goes back to it with null. */
export const LimitPatch = Type.Partial(
  Type.Object({
    ...CountFields,
    timezone: Nullable(CountFields.timezone, { description: 'null = UTC.' }),
    max: Max(),
    mode: Nullable(RuleFields.mode, { description: 'null = enforce.' }),
    alert_at: Nullable(RuleFields.alert_at, { description: 'null = the default.' }),
  }),
  { additionalProperties: false },
)
export type LimitPatch = Static<typeof LimitPatch>

/** Dollars for cost, else a count. */
const Amount = (description: string) =>
  Type.Union([Type.String(), Type.Integer()], { description, examples: ['24.90', 12] })

const LimitUsage = Type.Object(
  {
    window_started_at: Nullable(Timestamp(), { description: 'null where the window has no beginning.' }),
    resets_at: Nullable(Timestamp(), { description: 'null = never.' }),
    posted: Amount('Final in this window.'),
    held: Amount('Set aside by requests in flight.'),
    remaining: Amount('What another request may still use.'),
    lifetime: Amount('Everything ever posted; no reset touches it.'),
  },
  { additionalProperties: false, description: 'The limit’s live numbers.' },
)

const LimitOverride = Type.Object(
  { max: Max(), until: Nullable(Timestamp(), { description: 'null = until it is removed.' }) },
  { additionalProperties: false },
)

export const LimitOverridePut = Type.Object(
  {
    max: Max(),
    until: Type.Optional(Nullable(Timestamp(), { description: 'Until when; null = until it is removed.' })),
    windows: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000,
        description: 'For so many windows, the current one included.',
        examples: [1],
      }),
    ),
  },
  { additionalProperties: false, description: 'Another max for a time; the limit itself stays as it is.' },
)
export type LimitOverridePut = Static<typeof LimitOverridePut>

export const LimitView = Type.Object(
  {
    ...EntityFields,
    scope: Type.Object(
      { kind: OneOf(SCOPE_KINDS), id: Nullable(Id()) },
      { additionalProperties: false, description: 'Whose traffic is counted.' },
    ),
    metric: CountFields.metric,
    max: Max(),
    window: Window(),
    align: Align(),
    timezone: Type.String({ description: 'For calendar windows and cron expressions.', examples: ['UTC'] }),
    provider: Nullable(ProviderName()),
    model: Nullable(ModelPattern()),
    mode: OneOf(['enforce', 'observe']),
    alert_at: Type.Array(Type.String(), { examples: [['0.8', '1']] }),
    usage: LimitUsage,
    override: Nullable(LimitOverride, { description: 'Another max for a time.' }),
    invalid: Nullable(Type.String(), {
      description: 'Why the limit cannot be read; its traffic is refused until it is mended.',
    }),
  },
  { additionalProperties: false },
)
export type LimitView = Static<typeof LimitView>

export const LimitQuery = ListQuery({
  scope_kind: Type.Optional(OneOf(SCOPE_KINDS)),
  scope_id: Type.Optional(Id()),
  customer_id: Type.Optional(Id({ description: 'Limits of this customer.' })),
  team_id: Type.Optional(Id({ description: 'Limits of this team.' })),
  user_id: Type.Optional(Id({ description: 'Limits of this user.' })),
  virtual_key_id: Type.Optional(Id({ description: 'Limits of this key.' })),
  metric: Type.Optional(OneOf(METRICS)),
  provider: Type.Optional(ProviderName()),
})
