/**
 * Fields: the building blocks that several schemas share, each with the words a refusal shows.
 *
 * Texts with a grammar of their own (durations, sizes, times, amounts) are TypeBox formats, so that one pass over a body or a
 * configuration file finds every problem together with its place.
 */
import { FormatRegistry, Kind, type SchemaOptions, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'
import { DURATION_FORMS, parseDuration, parseExactMs } from '../units/duration.ts'
import { isId } from '../units/id.ts'
import { parseUsd, USD_PATTERN } from '../units/money.ts'
import { parseSize, SIZE_FORMS } from '../units/size.ts'
import { parseTime } from '../units/time.ts'
import { isTimezone } from '../units/window.ts'

/** Where a schema carries what it accepts, in words. A symbol, so that it never shows in OpenAPI. */
export const ACCEPTS = Symbol('accepts')

/** Says in words what a schema accepts, for the message `must be …`. */
export function accepting<S extends TSchema>(schema: S, words: string): S {
  return Object.assign(schema, { [ACCEPTS]: words })
}

FormatRegistry.Set('uuid', isId)
FormatRegistry.Set('date-time', (text) => parseTime(text) !== null)
FormatRegistry.Set('usd', (text) => parseUsd(text) !== null)
FormatRegistry.Set('duration', (text) => parseDuration(text) !== null)
FormatRegistry.Set('exact-duration', (text) => parseExactMs(text) !== null)
FormatRegistry.Set('size', (text) => parseSize(text) !== null)
FormatRegistry.Set('timezone', isTimezone)
FormatRegistry.Set('web-address', (text) => isHookAddress(text) && URL.parse(text)?.search === '')
FormatRegistry.Set('hook-address', isHookAddress)

function isHookAddress(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password + url.hash === ''
}

export const Id = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ format: 'uuid', examples: ['019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f'], ...options }),
    'an id (UUID)',
  )

/** Names appear in refusals, logs and file names: no control characters, nothing blank around them. */
export const Name = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ minLength: 1, maxLength: 200, pattern: '^(?! )[^\\u0000-\\u001f\\u007f]+(?<! )$', ...options }),
    'a name of 1 to 200 characters without control characters or blanks around it',
  )

export const ProviderName = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$', examples: ['openai'], ...options }),
    'a provider name: letters, digits, dots, hyphens and underscores, at most 64',
  )

/** A model name or a glob. */
export const ModelPattern = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[^\\s\\u0000-\\u001f]+$',
      examples: ['gpt-4o*'],
      ...options,
    }),
    'a model name or a pattern with *, of 1 to 256 characters without blanks',
  )

export const Text = (maxLength: number, options: SchemaOptions = {}) =>
  accepting(Type.String({ maxLength, ...options }), `a text of at most ${maxLength} characters`)

export const Timestamp = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ format: 'date-time', examples: ['2026-12-01T00:00:00Z'], ...options }),
    'a time such as 2026-12-01T00:00:00Z',
  )

/** Dollars as a decimal string: up to nine digits and nine decimals. */
export const Usd = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ pattern: USD_PATTERN, examples: ['12.50'], ...options }),
    'dollars as a decimal string such as "12.50", with at most nine digits and nine decimals',
  )

export const Duration = (options: SchemaOptions = {}) =>
  accepting(Type.String({ format: 'duration', examples: ['13M'], ...options }), DURATION_FORMS)

/** A length of time that does not depend on the calendar. */
export const ExactDuration = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ format: 'exact-duration', examples: ['30s'], ...options }),
    'a duration of s, m, h, d and w such as 30s or 1h30m, at least 1s',
  )

export const Size = (options: SchemaOptions = {}) =>
  accepting(Type.String({ format: 'size', examples: ['32MiB'], ...options }), SIZE_FORMS)

export const Timezone = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ format: 'timezone', examples: ['Europe/Berlin'], ...options }),
    'an IANA time zone such as UTC or Europe/Berlin',
  )

export const WebAddress = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ format: 'web-address', maxLength: 2_048, examples: ['https://api.openai.com/v1'], ...options }),
    'an http or https address without user name, password, query or fragment',
  )

/** Where somebody else's program listens, which may know its callers by the query. */
export const HookAddress = (options: SchemaOptions = {}) =>
  accepting(
    Type.String({ format: 'hook-address', maxLength: 2_048, examples: ['https://hooks.example/bursar'], ...options }),
    'an http or https address without user name, password or fragment',
  )

/** Any JSON object; kept as it is, never interpreted. */
export const Metadata = (options: SchemaOptions = {}) =>
  accepting(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'Anything of yours; stored and returned, never interpreted.',
      examples: [{ cost_center: '4711' }],
      ...options,
    }),
    'an object',
  )

/** The value, or null. In a change, null clears. */
export const Nullable = <S extends TSchema>(schema: S, options: SchemaOptions = {}) =>
  Type.Union([schema, Type.Null()], options)

/** The kind of {@link OneOf}: in OpenAPI a plain enum. */
const ENUM = 'StringEnum'
TypeRegistry.Set<{ enum: readonly string[] }>(
  ENUM,
  (schema, value) => typeof value === 'string' && schema.enum.includes(value),
)

/** One of a closed set of words. */
export function OneOf<const W extends string>(words: readonly W[], options: SchemaOptions = {}) {
  const schema = Type.Unsafe<W>({ [Kind]: ENUM, type: 'string', enum: words, examples: [words[0]], ...options })
  return accepting(schema, words.length === 1 ? `${words[0]}` : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`)
}
