/** What has been used, on the outside: single events, and their sums by period. */
import { type Static, Type } from '@sinclair/typebox'
import { USAGE_SOURCES } from '../ledger/facts.ts'
import { METRICS } from '../store/entities.ts'
import { accepting, Id, ModelPattern, Nullable, OneOf, ProviderName, Text, Timestamp } from './fields.ts'
import { ListQuery, Span } from './lists.ts'

const ChainFilter = {
  customer_id: Type.Optional(Id()),
  team_id: Type.Optional(Id()),
  user_id: Type.Optional(Id()),
  virtual_key_id: Type.Optional(Id()),
  provider: Type.Optional(ProviderName()),
  model: Type.Optional(ModelPattern()),
}
const Count = (description: string) => Type.Integer({ description })
const Usd = (description: string) => Type.String({ description, examples: ['0.0002754'] })
const NullableId = (description: string) => Nullable(Id(), { description })

export const USAGE_ROWS_MAX = 50_000

export const UsageQuery = Type.Object(
  {
    ...Span,
    interval: Type.Optional(OneOf(['hour', 'day', 'month'], { description: 'Periods, in UTC.', default: 'day' })),
    group_by: Type.Optional(
      accepting(
        Type.String({
          pattern:
            '^(customer|team|user|virtual_key|provider|model)(,(customer|team|user|virtual_key|provider|model))*$',
          description: 'Dimensions, separated by commas.',
          examples: ['team,model'],
        }),
        'a list such as team,model of customer, team, user, virtual_key, provider and model',
      ),
    ),
    ...ChainFilter,
  },
  { additionalProperties: false },
)

export const UsageLineView = Type.Object(
  {
    at: Timestamp({ description: 'Where the period begins.' }),
    customer_id: Type.Optional(NullableId('With group_by=customer.')),
    customer: Type.Optional(Nullable(Type.String(), { description: 'Its name; null when it has been deleted.' })),
    team_id: Type.Optional(NullableId('With group_by=team.')),
    team: Type.Optional(Nullable(Type.String())),
    user_id: Type.Optional(NullableId('With group_by=user.')),
    user: Type.Optional(Nullable(Type.String())),
    virtual_key_id: Type.Optional(NullableId('With group_by=virtual_key.')),
    virtual_key: Type.Optional(Nullable(Type.String())),
    provider: Type.Optional(Nullable(Type.String(), { description: 'With group_by=provider.' })),
    model: Type.Optional(Nullable(Type.String(), { description: 'With group_by=model.' })),
    requests: Count('Requests.'),
    input_tokens: Count('All input tokens, cache included.'),
    output_tokens: Count('All output tokens, reasoning included.'),
    cache_read_tokens: Count('The part of the input that was read from a cache.'),
    cache_write_tokens: Count('The part of the input that was written to a cache.'),
    reasoning_tokens: Count('The part of the output that was reasoning.'),
    cost_usd: Usd('Cost.'),
  },
  { additionalProperties: false },
)
export type UsageLineView = Static<typeof UsageLineView>

export const UsageReportView = Type.Object({ data: Type.Array(UsageLineView) }, { additionalProperties: false })

export const EventQuery = ListQuery({
  ...Span,
  ...ChainFilter,
  request_id: Type.Optional(Id()),
  endpoint: Type.Optional(Type.String({ maxLength: 100, examples: ['chat'] })),
  status: Type.Optional(Type.Integer({ minimum: 100, maximum: 599 })),
  success: Type.Optional(Type.Boolean()),
  refused_code: Type.Optional(Type.String({ maxLength: 100, examples: ['budget_exceeded'] })),
  usage_source: Type.Optional(OneOf(USAGE_SOURCES)),
  tag: Type.Optional(Text(64)),
})

export const EventView = Type.Object(
  {
    request_id: Id({ description: 'As in x-bursar-request-id.' }),
    attempt: Count('1 for the first call to a provider; 0 = refused before any.'),
    ended_at: Timestamp(),
    virtual_key_id: NullableId('The key, also when it has been deleted since.'),
    user_id: NullableId('Its user.'),
    team_id: NullableId('Its team.'),
    customer_id: NullableId('Its customer.'),
    provider: Nullable(Type.String()),
    provider_key_id: NullableId('Which of the provider’s keys served.'),
    model: Nullable(Type.String()),
    endpoint: Type.String({ description: 'The route family.', examples: ['chat'] }),
    stream: Type.Boolean(),
    tags: Type.Array(Type.String(), { description: 'Of x-bursar-tags.' }),
    status: Nullable(Type.Integer(), { description: 'HTTP status; null when there was none.' }),
    success: Type.Boolean(),
    refused_code: Nullable(Type.String(), { description: 'Why we refused.' }),
    requests: Count('1 when it counted as a request.'),
    input_tokens: Count('All input tokens, cache included.'),
    output_tokens: Count('All output tokens, reasoning included.'),
    tokens: Count('Their sum.'),
    cache_read_tokens: Count('Part of the input.'),
    cache_write_tokens: Count('Part of the input.'),
    reasoning_tokens: Count('Part of the output.'),
    cost_usd: Usd('Cost.'),
    overage_usd: Usd('The part of the cost above what had been held.'),
    usage_source: Nullable(OneOf(USAGE_SOURCES), {
      description: 'Where the numbers come from; null when nothing was charged.',
    }),
    latency_ms: Count('Until the end.'),
    ttft_ms: Nullable(Type.Integer(), { description: 'Until the first byte of a stream.' }),
    charges: Type.Array(
      Type.Object(
        {
          limit_id: Id(),
          count_number: Type.Integer(),
          window_started_at: Timestamp(),
          metric: OneOf(METRICS),
          amount: Type.Union([Type.String(), Type.Integer()]),
        },
        { additionalProperties: false },
      ),
      { description: 'What was posted, limit by limit, in the window that admitted it.' },
    ),
  },
  { additionalProperties: false },
)
export type EventView = Static<typeof EventView>
