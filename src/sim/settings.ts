/**
 * How the simulated provider behaves: one table of settings, read alike from code, from `POST /_sim/configure` (snake_case) and,
 * for those that make sense for one call, from its `x-sim-*` headers.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { Refused } from './errors.ts'
import { isObject } from './json.ts'
import { separated } from './names.ts'
import { SENTENCE_TOKENS } from './text.ts'

/** Where usage is reported: see `SimSettings.usage`. */
type UsageReport = 'normal' | 'none' | 'split' | 'early' | 'each'
type Stall = 'headers' | 'body'
type Death = 'before-headers' | 'after-headers' | 'mid-body' | 'error-event' | 'early-end'

/** What one call can choose for itself with `x-sim-<name-in-kebab-case>`; the value `off` stands for null. */
interface SimControls {
  /** Milliseconds before the response headers, errors included. Default 0. */
  latencyMs: number
  /** Milliseconds between two content chunks of a stream. Default 0: as fast as the reader takes them. */
  chunkDelayMs: number
  /** Words of a text answer, before the caller's ceiling. JSON and tool arguments have their own length. Default: one sentence. */
  outputTokens: number
  /** Content chunks a stream's text comes in, at most one per token. Default null: one per token. */
  chunks: number | null
  /** Reports this many input tokens instead of counting the request's text. Default null. */
  inputTokens: number | null
  /** Input tokens reported as read from the cache; the input is never reported smaller than its parts. Default 0. */
  cachedTokens: number
  /** Input tokens reported as written to the cache (Gemini's format has no word for them). Default 0. */
  cacheWriteTokens: number
  /** Hidden output tokens of each choice: inside the ceiling, counted as output, never sent. Default 0. */
  reasoningTokens: number
  /**
   * Where usage is reported. `normal` (default): where the format's owner does. `none`: nowhere. `split`: its event, or the body
   * around it, arrives in two packets. `early`: in a stream's chunk before the last. `each`: the sum so far on each chunk.
   * The last two model servers that report without being asked; the responses API has one place only and is not changed by them.
   */
  usage: UsageReport
  /** Answers this HTTP status (400 to 599) with the format's own error body and does no work. Default null. */
  status: number | null
  /** `retry-after` of such an answer, as it is. Default null. */
  retryAfter: string | null
  /** Goes silent: `headers` never answers, `body` stops half-way; until the peer leaves. Default null. */
  stall: Stall | null
  /**
   * Fails: `before-headers`, `after-headers` and `mid-body` destroy the socket there; `error-event` ends a stream half-way with the
   * format's error event, `early-end` without any word. Collected answers take the last two as `mid-body`. Default null.
   */
  die: Death | null
}

export interface SimSettings extends SimControls {
  /** Share of calls that fail, 0 to 1, drawn from `seed`. Default 0. */
  errorRate: number
  /** Status of calls that `errorRate` makes fail. Default 500. */
  errorStatus: number
  /** Start of the draw; setting it starts the draw afresh. Default 1. */
  seed: number
  /** Serves every model name, not only `SIM_MODELS`. Default false. */
  anyModel: boolean
  /** The only API key accepted, where the format carries it; null accepts any and none. Default null. */
  requireKey: string | null
  /** Keeps the headers and the query string of each call in the ledger. Default false. */
  recordHeaders: boolean
  /** Keeps the body of each call in the ledger. Default false. */
  recordBodies: boolean
}

export const INITIAL_SETTINGS: SimSettings = {
  latencyMs: 0,
  chunkDelayMs: 0,
  outputTokens: SENTENCE_TOKENS,
  chunks: null,
  inputTokens: null,
  cachedTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  usage: 'normal',
  status: null,
  retryAfter: null,
  stall: null,
  die: null,
  errorRate: 0,
  errorStatus: 500,
  seed: 1,
  anyModel: false,
  requireKey: null,
  recordHeaders: false,
  recordBodies: false,
}

interface Kind<T> {
  /** The value meant by what was given, undefined when it is not one. */
  readonly read: (given: unknown) => T | undefined
  readonly accepts: string
}

function whole(min = 0, max = 2 ** 31 - 1): Kind<number> {
  const read = (given: unknown) => {
    const value = typeof given === 'string' && /^\d{1,10}$/.test(given) ? Number(given) : given
    return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined
  }
  return { read, accepts: `a whole number from ${min} to ${max}` }
}

function oneOf<T extends string>(...values: readonly T[]): Kind<T> {
  return { read: (given) => values.find((value) => value === given), accepts: values.join(', ') }
}

function orNull<T>(kind: Kind<T>): Kind<T | null> {
  const read = (given: unknown) => (given === null || given === 'off' ? null : kind.read(given))
  return { read, accepts: `${kind.accepts}, or off` }
}

const flag: Kind<boolean> = {
  read: (given) => (typeof given === 'boolean' ? given : undefined),
  accepts: 'true or false',
}
const share: Kind<number> = {
  read: (given) => (typeof given === 'number' && given >= 0 && given <= 1 ? given : undefined),
  accepts: 'a number from 0 to 1',
}
const headerText: Kind<string> = {
  read: (given) => (typeof given === 'string' && /^[\x20-\x7e]{1,256}$/.test(given) ? given : undefined),
  accepts: '1 to 256 printable characters',
}

const CONTROLS: { readonly [K in keyof SimControls]: Kind<SimControls[K]> } = {
  latencyMs: whole(),
  chunkDelayMs: whole(),
  outputTokens: whole(),
  chunks: orNull(whole(1)),
  inputTokens: orNull(whole()),
  cachedTokens: whole(),
  cacheWriteTokens: whole(),
  reasoningTokens: whole(),
  usage: oneOf('normal', 'none', 'split', 'early', 'each'),
  status: orNull(whole(400, 599)),
  retryAfter: orNull(headerText),
  stall: orNull(oneOf('headers', 'body')),
  die: orNull(oneOf('before-headers', 'after-headers', 'mid-body', 'error-event', 'early-end')),
}

const SETTINGS: { readonly [K in keyof SimSettings]: Kind<SimSettings[K]> } = {
  ...CONTROLS,
  errorRate: share,
  errorStatus: whole(400, 599),
  seed: whole(),
  anyModel: flag,
  requireKey: orNull(headerText),
  recordHeaders: flag,
  recordBodies: flag,
}

type Name = keyof SimSettings

const NAMES = Object.keys(SETTINGS).filter((name): name is Name => name in SETTINGS)
const BY_JSON_NAME: ReadonlyMap<string, Name> = new Map(NAMES.map((name) => [separated(name, '_'), name]))
const BY_HEADER: ReadonlyMap<string, Name> = new Map(
  NAMES.filter((name) => name in CONTROLS).map((name) => [`x-sim-${separated(name, '-')}`, name]),
)
/** The one `x-sim-*` header that changes nothing: the caller's own mark in the ledger. */
export const TAG_HEADER = 'x-sim-tag'

function assign<K extends Name>(settings: Partial<SimSettings>, name: K, given: unknown, shownAs: string): void {
  const value = SETTINGS[name].read(given)
  if (value === undefined) {
    throw new Refused(400, `${shownAs}: expected ${SETTINGS[name].accepts}.`, { param: shownAs })
  }
  settings[name] = value
}

/** `settings` with changes from code; throws `Refused` where a value is not acceptable. Absent and undefined names change nothing. */
export function changed(settings: SimSettings, changes: Partial<SimSettings>): SimSettings {
  const next = { ...settings }
  for (const name of NAMES) if (changes[name] !== undefined) assign(next, name, changes[name], name)
  return next
}

/** Changes from the JSON of `POST /_sim/configure`: snake_case names; throws `Refused` on unknown names and bad values. */
export function readChanges(json: unknown): Partial<SimSettings> {
  if (!isObject(json)) throw new Refused(400, 'Expected a JSON object of settings.')
  const changes: Partial<SimSettings> = {}
  for (const [jsonName, given] of Object.entries(json)) {
    const name = BY_JSON_NAME.get(jsonName)
    if (name === undefined) throw new Refused(400, `There is no setting ${jsonName}.`, { param: jsonName })
    assign(changes, name, given, jsonName)
  }
  return changes
}

/** The settings for one call: `settings` itself unless it carries `x-sim-*` headers; throws `Refused` on unknown or bad ones. */
export function settingsOf(settings: SimSettings, headers: IncomingHttpHeaders): SimSettings {
  let own: SimSettings | null = null
  for (const header in headers) {
    if (!header.startsWith('x-sim-') || header === TAG_HEADER) continue
    const name = BY_HEADER.get(header)
    if (name === undefined) throw new Refused(400, `There is no control ${header}.`, { param: header })
    own ??= { ...settings }
    assign(own, name, headers[header], header)
  }
  return own ?? settings
}
