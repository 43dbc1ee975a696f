/** Reports on the outside: the audit log, alerts, the state of the process, consistency, explanations. */
import { type Static, Type } from '@sinclair/typebox'
import { NOTICE_KINDS } from '../ledger/facts.ts'
import { METRICS } from '../store/entities.ts'
import { Id, Nullable, OneOf, Text, Timestamp } from './fields.ts'
import { ListQuery, Span } from './lists.ts'

const Count = (description: string) => Type.Integer({ description })
const NullableId = (description: string) => Nullable(Id(), { description })

/** What the audit log speaks of; `books`: all of them at once, as an import or a rebuild does. */
export const AUDIT_KINDS = [
  'customer',
  'team',
  'user',
  'virtual_key',
  'limit',
  'provider',
  'price',
  'management_key',
  'books',
] as const
export type AuditKind = (typeof AUDIT_KINDS)[number]

export const AuditQuery = ListQuery({
  ...Span,
  entity_kind: Type.Optional(OneOf(AUDIT_KINDS, { examples: ['virtual_key'] })),
  entity_id: Type.Optional(Id()),
  actor_id: Type.Optional(Id({ description: 'The management key that was used.' })),
  actor: Type.Optional(
    Text(200, { description: 'Who, by name; `root`, `bursar.yaml` and `system` have no id.', examples: ['root'] }),
  ),
  action: Type.Optional(Text(100, { examples: ['virtual_key.rotate'] })),
})

export const AuditView = Type.Object(
  {
    id: Id(),
    at: Timestamp(),
    actor: Type.Object(
      {
        id: NullableId('The management key; null for the root key, bursar.yaml and the program itself.'),
        name: Type.String(),
      },
      { additionalProperties: false, description: 'Who.' },
    ),
    address: Nullable(Type.String(), { description: 'From where.' }),
    action: Type.String({ description: 'What.', examples: ['virtual_key.rotate'] }),
    entity_kind: Type.String({ examples: ['virtual_key'] }),
    entity_id: Nullable(Id()),
    entity_name: Nullable(Type.String()),
    before: Type.Unknown({ description: 'Its fields before; null when it was created.' }),
    after: Type.Unknown({ description: 'Its fields after; null when it was deleted.' }),
  },
  { additionalProperties: false },
)

export const AlertQuery = ListQuery({ ...Span, limit_id: Type.Optional(Id()) })

export const AlertView = Type.Object(
  {
    id: Id(),
    at: Timestamp(),
    kind: OneOf(['limit', ...NOTICE_KINDS], { description: 'What it is about.' }),
    limit_id: NullableId('The limit, where it is about one.'),
    window_started_at: Nullable(Timestamp()),
    metric: Nullable(OneOf(METRICS)),
    threshold: Nullable(Type.String({ examples: ['0.8'] }), { description: 'The share of max that was reached.' }),
    used: Nullable(Type.Union([Type.String(), Type.Integer()])),
    max: Nullable(Type.Union([Type.String(), Type.Integer()])),
    user_id: NullableId('The user, where it is about one.'),
    message: Nullable(Type.String(), {
      description: 'What has happened, in the names of then; null for those of limits that earlier versions raised.',
    }),
    delivered_at: Nullable(Timestamp(), { description: 'When the webhook took it.' }),
    delivery_attempts: Type.Integer(),
    delivery_error: Nullable(Type.String()),
  },
  { additionalProperties: false },
)

export const TestAlertView = Type.Object(
  {
    id: Id({ description: 'Of the alert, as it stands in the list.' }),
    delivered: Type.Boolean({ description: 'Whether the webhook has taken it.' }),
    error: Nullable(Type.String(), { description: 'Why it has not.', examples: ['answered 500'] }),
  },
  { additionalProperties: false },
)
export type TestAlertView = Static<typeof TestAlertView>

export const StatusView = Type.Object(
  {
    status: OneOf(['ok', 'degraded'], { description: 'degraded: serving goes on, something is away.' }),
    reasons: Type.Array(Type.String(), { description: 'What is away, in words.' }),
    version: Type.String({ examples: ['0.1.0'] }),
    started_at: Timestamp(),
    uptime_s: Count('Seconds since the start.'),
    database: Type.Object(
      { kind: OneOf(['postgres', 'embedded']), reachable: Type.Boolean() },
      { additionalProperties: false },
    ),
    journal: Type.Object(
      {
        accepting: Type.Boolean({ description: 'false: new work is refused.' }),
        waiting_facts: Count('Written, and not yet in the database.'),
        lag_bytes: Count('How much of the journal that is.'),
      },
      { additionalProperties: false },
    ),
    dump: Type.Object(
      {
        last_at: Nullable(Timestamp(), { description: 'When the last dump succeeded.' }),
        lag_ms: Type.Integer({ description: 'Since then; before the first, since the start.' }),
        last_ms: Nullable(Type.Number(), { description: 'How long it took.' }),
        last_error: Nullable(Type.String(), { description: 'Why the one after it failed.' }),
      },
      { additionalProperties: false },
    ),
    holds_open: Count('Amounts set aside by requests in flight.'),
    quarantined_facts: Count('Facts that could not be written to the database.'),
    prices: Type.Object(
      {
        version: Type.String({ description: 'Of the bundled price data.' }),
        updated_at: Nullable(Timestamp(), {
          description: 'When it was published; null for data newer than this program.',
        }),
        age_days: Nullable(Type.Integer(), { description: 'Days since then.' }),
      },
      { additionalProperties: false },
    ),
    alerts_waiting: Count('Alerts that the webhook has not taken yet.'),
    clock_steps: Count('Jumps of the clock of more than five seconds since the start.'),
  },
  { additionalProperties: false },
)
export type StatusView = Static<typeof StatusView>

export const MigrationsView = Type.Object(
  {
    data: Type.Array(
      Type.Object(
        {
          name: Type.String({ examples: ['0001_entities'] }),
          state: OneOf(['applied', 'pending', 'changed', 'unknown'], {
            description: 'changed: the file differs from what was applied; unknown: applied by another version.',
          }),
          applied_at: Nullable(Timestamp()),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)
export type MigrationsView = Static<typeof MigrationsView>

export const ConsistencyView = Type.Object(
  {
    checked: Count('Windows of limits that were recomputed.'),
    differences: Type.Array(
      Type.Object(
        {
          limit_id: Id(),
          count_number: Type.Integer(),
          window_started_at: Timestamp(),
          metric: OneOf(METRICS),
          posted: Type.Union([Type.String(), Type.Integer()], { description: 'What the books say.' }),
          recomputed: Type.Union([Type.String(), Type.Integer()], {
            description: 'What events and corrections add up to.',
          }),
        },
        { additionalProperties: false },
      ),
      { description: 'At most a thousand are named.' },
    ),
    hours_checked: Count('Hourly sums that were recomputed.'),
    hour_differences: Type.Array(
      Type.Object(
        {
          hour: Timestamp(),
          customer_id: Nullable(Id()),
          team_id: Nullable(Id()),
          user_id: Nullable(Id()),
          virtual_key_id: Nullable(Id()),
          provider: Nullable(Type.String()),
          model: Nullable(Type.String()),
          requests: Count('What the books say.'),
          recomputed_requests: Count('What the events add up to.'),
          cost_usd: Type.String(),
          recomputed_cost_usd: Type.String(),
        },
        { additionalProperties: false },
      ),
      { description: 'Hourly sums that the events do not explain; at most a thousand are named.' },
    ),
    since: Timestamp({ description: 'What began before, and may have lost events to the retention, is left out.' }),
  },
  { additionalProperties: false },
)
export type ConsistencyView = Static<typeof ConsistencyView>

export const ExplainRequest = Type.Object(
  {
    virtual_key_id: Id({ description: 'Whose request it would be.' }),
    path: Type.String({ pattern: '^/', maxLength: 2_048, examples: ['/v1/chat/completions'] }),
    body: Type.Unknown({
      description: 'The request’s body.',
      examples: [{ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] }],
    }),
  },
  { additionalProperties: false },
)
export type ExplainRequest = Static<typeof ExplainRequest>

const AmountOrNull = Nullable(Type.Union([Type.String(), Type.Integer()]))

/** CONTRACT section 6. */
export const ExplanationView = Type.Object(
  {
    verdict: OneOf(['allow', 'refuse']),
    code: Nullable(Type.String({ examples: ['budget_exceeded'] })),
    message: Type.Optional(Nullable(Type.String())),
    provider: Nullable(Type.String()),
    model: Nullable(Type.String()),
    attempts: Type.Array(Type.String()),
    estimate: Nullable(
      Type.Object({
        input_tokens: Type.Integer(),
        output_tokens: Type.Integer(),
        cost_usd: Type.String(),
        basis: Type.String({ examples: ['bytes'] }),
      }),
    ),
    limits: Type.Array(
      Type.Object(
        {
          limit_id: Type.String(),
          scope: Type.String(),
          scope_id: Nullable(Type.String()),
          metric: OneOf(METRICS),
          window: Nullable(Type.String()),
          max: AmountOrNull,
          posted: AmountOrNull,
          held: AmountOrNull,
          requested: AmountOrNull,
          remaining: AmountOrNull,
          resets_at: Nullable(Type.String()),
          mode: Type.String(),
          verdict: OneOf(['allow', 'refuse', 'would_refuse']),
        },
        { additionalProperties: true },
      ),
    ),
    details: Type.Optional(Type.Unknown()),
  },
  { additionalProperties: true, description: 'What would happen, limit by limit; nothing is forwarded or charged.' },
)
