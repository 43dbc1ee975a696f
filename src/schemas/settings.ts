/**
 * Settings: how the gateway behaves, as the program reads it.
 *
 * Every setting has a default, so `defaultSettings` is a complete configuration. Text becomes numbers here, once: milliseconds,
 * bytes, nano-dollars.
 */
import type { UserKind } from '../store/entities.ts'
import { type Duration, parseDuration, parseExactMs } from '../units/duration.ts'
import { type NanoUsd, parseUsd } from '../units/money.ts'
import { parseSize } from '../units/size.ts'
import type { NestedLimit } from './limit.ts'
import type { SettingsText, UnknownPriceText } from './settings-text.ts'

export type UnknownPrice = 'refuse' | 'free' | { readonly inputPerMillion: NanoUsd; readonly outputPerMillion: NanoUsd }

export interface ModelFamily {
  readonly name: string
  readonly patterns: readonly string[]
}

export interface UserDefaults {
  readonly maxIps: number | null
  readonly limits: readonly NestedLimit[]
}

export interface PluginSetting {
  readonly path: string
  readonly options: Readonly<Record<string, unknown>>
  /** How long one of its hooks may take. */
  readonly timeoutMs: number
}

export interface Settings {
  readonly requireKey: boolean
  readonly pricing: { readonly unknown: UnknownPrice }
  readonly outputCeiling: { readonly assumedTokens: number; readonly mode: 'hold' | 'insert' }
  /** How many tokens of another provider's tokenizer are reckoned with for one of OpenAI's. */
  readonly estimate: { readonly otherTokenizers: number }
  /** In the file's order: a model belongs to the first family that matches. */
  readonly modelFamilies: readonly ModelFamily[]
  readonly aliases: ReadonlyMap<string, string>
  readonly userDefaults: Readonly<Record<UserKind, UserDefaults>>
  readonly server: {
    readonly bodyLimitBytes: number
    readonly drainMs: number
    readonly maxAttempts: number
    readonly connectTimeoutMs: number
    readonly headersTimeoutMs: number
    readonly idleTimeoutMs: number
    readonly totalTimeoutMs: number
  }
  readonly journal: {
    /** A number is an interval in ms. */
    readonly sync: 'always' | 'never' | number
    readonly maxSizeBytes: number
    readonly orphans: 'input' | 'hold' | 'void'
  }
  readonly database: {
    readonly atStart: 'retry' | 'stop'
    readonly migrations: 'auto' | 'manual'
    readonly retention: { readonly events: Duration }
  }
  readonly alerts: { readonly webhook: { readonly url: string; readonly secret: string | null } | null }
  readonly plugins: readonly PluginSetting[]
  readonly streamCostComment: boolean
  readonly onAbort: 'finish' | 'cancel'
}

/** Compiles what the schema has accepted; every absent part gets its default. */
export function settingsOf(text: SettingsText): Settings {
  const { pricing, output_ceiling: ceiling, user_defaults: defaults, server, journal, database, alerts } = text
  return {
    requireKey: text.require_key ?? true,
    pricing: { unknown: unknownPrice(pricing?.unknown ?? 'refuse') },
    outputCeiling: { assumedTokens: ceiling?.assumed ?? 4_096, mode: ceiling?.mode ?? 'hold' },
    estimate: { otherTokenizers: text.estimate?.other_tokenizers ?? 1.5 },
    modelFamilies: Object.entries(text.model_families ?? {}).map(([name, patterns]) => ({ name, patterns })),
    aliases: new Map(Object.entries(text.aliases ?? {})),
    userDefaults: {
      normal: userDefaults(defaults?.normal),
      special: userDefaults(defaults?.special),
      temporary: userDefaults(defaults?.temporary),
    },
    server: {
      bodyLimitBytes: read(parseSize, server?.body_limit ?? '32MiB'),
      drainMs: read(parseExactMs, server?.drain ?? '30s'),
      maxAttempts: server?.max_attempts ?? 3,
      connectTimeoutMs: read(parseExactMs, server?.connect_timeout ?? '5s'),
      headersTimeoutMs: read(parseExactMs, server?.headers_timeout ?? '5m'),
      idleTimeoutMs: read(parseExactMs, server?.idle_timeout ?? '2m'),
      totalTimeoutMs: read(parseExactMs, server?.total_timeout ?? '1h'),
    },
    journal: {
      sync: journalSync(journal?.sync ?? '1s'),
      maxSizeBytes: read(parseSize, journal?.max_size ?? '4GiB'),
      orphans: journal?.orphans ?? 'input',
    },
    database: {
      atStart: database?.at_start ?? 'retry',
      migrations: database?.migrations ?? 'auto',
      retention: { events: read(parseDuration, database?.retention?.events ?? '13M') },
    },
    alerts: { webhook: alerts?.webhook ? { url: alerts.webhook.url, secret: alerts.webhook.secret ?? null } : null },
    plugins: (text.plugins ?? []).map(({ path, options, timeout }) => ({
      path,
      options: options ?? {},
      timeoutMs: read(parseExactMs, timeout ?? '1s'),
    })),
    streamCostComment: text.stream_cost_comment ?? true,
    onAbort: text.on_abort ?? 'finish',
  }
}

function userDefaults(text: { max_ips?: number | null; limits?: NestedLimit[] } | undefined): UserDefaults {
  return { maxIps: text?.max_ips ?? null, limits: text?.limits ?? [] }
}

function unknownPrice(text: UnknownPriceText): UnknownPrice {
  if (typeof text === 'string') return text
  return {
    inputPerMillion: read(parseUsd, text.input_usd_per_million),
    outputPerMillion: read(parseUsd, text.output_usd_per_million),
  }
}

function journalSync(text: string): 'always' | 'never' | number {
  return text === 'always' || text === 'never' ? text : read(parseExactMs, text)
}

/** The schema has checked the text with the same parser; null here would be a text that never passed it. */
function read<T>(parse: (text: string) => T | null, text: string): T {
  const value = parse(text)
  if (value === null) throw new TypeError(`"${text}" has not passed the settings schema`)
  return value
}

/** How the gateway behaves without a bursar.yaml. */
export const defaultSettings: Settings = settingsOf({})
