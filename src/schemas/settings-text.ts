/** The settings parts of bursar.yaml as people write them; `settings.ts` compiles them. */
import { type Static, Type } from '@sinclair/typebox'
import type { UserKind } from '../store/entities.ts'
import {
  accepting,
  Duration,
  ExactDuration,
  HookAddress,
  ModelPattern,
  Nullable,
  OneOf,
  Size,
  Text,
  Usd,
} from './fields.ts'
import { NestedLimit } from './limit.ts'

const Group = <P extends Parameters<typeof Type.Object>[0]>(properties: P, description: string) =>
  Type.Optional(Type.Object(properties, { additionalProperties: false, description }))

const WORD = '^[A-Za-z][A-Za-z0-9._-]{0,63}$'

const UnknownPriceText = accepting(
  Type.Union(
    [
      OneOf(['refuse', 'free']),
      Type.Object(
        { input_usd_per_million: Usd(), output_usd_per_million: Usd() },
        { additionalProperties: false, description: 'A price for everything that has none.' },
      ),
    ],
    {
      description: 'refuse the request, count it as free, or a price for everything that has none.',
      default: 'refuse',
      examples: ['refuse'],
    },
  ),
  'refuse, free, or { input_usd_per_million: "5", output_usd_per_million: "15" }',
)

const kindDefaults = (kind: UserKind) =>
  Group(
    {
      max_ips: Type.Optional(
        Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }), {
          description: 'Most distinct addresses of such a user; null = any number.',
          default: null,
          examples: [5],
        }),
      ),
      limits: Type.Optional(
        Type.Array(NestedLimit, {
          maxItems: 100,
          description: 'Given to a new user that comes without limits.',
          default: [],
        }),
      ),
    },
    `What a new ${kind} user gets unless told otherwise.`,
  )

/** The settings parts of bursar.yaml; the entities beside them are in `config-file.ts`. */
export const SettingsFields = {
  require_key: Type.Optional(Type.Boolean({ description: 'Refuse requests without a key.', default: true })),
  pricing: Group(
    { unknown: Type.Optional(UnknownPriceText) },
    'What happens under a cost limit to a model without a price.',
  ),
  output_ceiling: Group(
    {
      assumed: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 10_000_000,
          description: 'Output tokens held where a request names no ceiling.',
          default: 4096,
        }),
      ),
      mode: Type.Optional(
        OneOf(['hold', 'insert'], { description: 'insert also writes the ceiling into the request.', default: 'hold' }),
      ),
    },
    'How much output is assumed of a request that names no ceiling.',
  ),
  estimate: Group(
    {
      other_tokenizers: Type.Optional(
        Type.Number({
          minimum: 1,
          maximum: 10,
          description: 'Tokens reckoned with at providers other than OpenAI for each one counted by its tokenizer.',
          default: 1.5,
        }),
      ),
    },
    'What is made of a request’s tokens where they are counted, because a limit is near.',
  ),
  model_families: Type.Optional(
    accepting(
      Type.Record(Type.String({ pattern: WORD }), Type.Array(ModelPattern(), { minItems: 1, maxItems: 1_000 }), {
        additionalProperties: false,
        description: 'Names for groups of models; a model belongs to the first family with a pattern that matches.',
        default: {},
        examples: [{ gpt4: ['gpt-4*', 'o1*'] }],
      }),
      'family names, each with a list of model patterns, such as { gpt4: ["gpt-4*", "o1*"] }',
    ),
  ),
  aliases: Type.Optional(
    accepting(
      Type.Record(Type.String({ pattern: '^[^\\s]{1,256}$' }), ModelPattern(), {
        additionalProperties: false,
        description: 'Other names for models: name → provider/model.',
        default: {},
        examples: [{ fast: 'openai/gpt-4o-mini' }],
      }),
      'names, each with a model, such as { fast: openai/gpt-4o-mini }',
    ),
  ),
  user_defaults: Group(
    { normal: kindDefaults('normal'), special: kindDefaults('special'), temporary: kindDefaults('temporary') },
    'What new users get, by kind.',
  ),
  server: Group(
    {
      body_limit: Type.Optional(Size({ description: 'Largest request body.', default: '32MiB' })),
      drain: Type.Optional(
        ExactDuration({ description: 'How long a stop waits for requests in flight.', default: '30s' }),
      ),
      max_attempts: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 20,
          description: 'Calls to providers for one request, fallbacks included.',
          default: 3,
        }),
      ),
      connect_timeout: Type.Optional(ExactDuration({ description: 'For a connection to a provider.', default: '5s' })),
      headers_timeout: Type.Optional(
        ExactDuration({ description: 'Until a provider’s answer begins.', default: '5m' }),
      ),
      idle_timeout: Type.Optional(ExactDuration({ description: 'Between two pieces of an answer.', default: '2m' })),
      total_timeout: Type.Optional(
        ExactDuration({ description: 'For one call to a provider, its whole answer included.', default: '1h' }),
      ),
    },
    'The gateway’s listener and its calls to providers.',
  ),
  journal: Group(
    {
      sync: Type.Optional(
        accepting(
          Type.Union([OneOf(['always', 'never']), ExactDuration()], {
            description: 'How often the journal is forced to the disk: what a power cut can lose.',
            default: '1s',
          }),
          'always, never, or a duration such as 1s',
        ),
      ),
      max_size: Type.Optional(
        Size({ description: 'Above it new work is refused until the database is back.', default: '4GiB' }),
      ),
      orphans: Type.Optional(
        OneOf(['input', 'hold', 'void'], {
          description:
            'What requests cut off by a crash are charged: the input estimate, all that was held, or nothing.',
          default: 'input',
        }),
      ),
    },
    'The append-only file between the gateway and the database.',
  ),
  database: Group(
    {
      at_start: Type.Optional(
        OneOf(['retry', 'stop'], { description: 'When it cannot be reached at the start.', default: 'retry' }),
      ),
      migrations: Type.Optional(
        OneOf(['auto', 'manual'], { description: 'manual: a start with open migrations stops.', default: 'auto' }),
      ),
      retention: Group(
        { events: Type.Optional(Duration({ description: 'How long single events are kept.', default: '13M' })) },
        'What is deleted when.',
      ),
    },
    'Postgres.',
  ),
  alerts: Group(
    {
      webhook: Group(
        {
          url: HookAddress({ description: 'Receives a POST for each alert.' }),
          secret: Type.Optional(Text(1_000, { description: 'Signs the body (HMAC-SHA256).' })),
        },
        'Where alerts are sent.',
      ),
    },
    'Alerts of limits that fill up.',
  ),
  plugins: Type.Optional(
    Type.Array(
      Type.Object(
        {
          path: Type.String({
            minLength: 1,
            description: 'A file, relative to this one, or a package.',
            examples: ['./plugins/office-hours.ts'],
          }),
          options: Type.Optional(
            Type.Record(Type.String(), Type.Unknown(), {
              description: 'Handed to the plugin; checked by the schema it exports.',
            }),
          ),
          timeout: Type.Optional(ExactDuration({ description: 'How long one of its hooks may take.', default: '1s' })),
        },
        { additionalProperties: false },
      ),
      { description: 'Plugins of your own (definePlugin), loaded into the gateway.', default: [] },
    ),
  ),
  stream_cost_comment: Type.Optional(
    Type.Boolean({ description: 'Write the cost as a comment before the end of a stream.', default: true }),
  ),
  on_abort: Type.Optional(
    OneOf(['finish', 'cancel'], {
      description:
        'What happens to a collected answer whose client has gone: finish it and charge what is reported, or cancel it and charge the hold.',
      default: 'finish',
    }),
  ),
}

const SettingsText = Type.Object(SettingsFields, { additionalProperties: false })
export type SettingsText = Static<typeof SettingsText>
export type UnknownPriceText = Static<typeof UnknownPriceText>
