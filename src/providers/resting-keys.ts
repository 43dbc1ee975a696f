/**
 * Resting keys: which of the operator's credentials had better be left alone for a while, because their provider has said so.
 *
 * A key that was answered 401 rests altogether, one that was answered 429 for the model it was asked for: providers count by model. A
 * route asks those that rest last and not never: where nobody else is left, the provider's own answer says more than we could.
 */
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { Candidate } from './candidate.ts'

/** Where the provider does not say for how long. */
const RATE_LIMITED_MS = 5_000
const UNAUTHORIZED_MS = 60_000
/** What providers ask for beyond this is a daily quota or a mistake; asked once in so long, they will say. */
const REST_MAX_MS = 10 * 60_000
/** Keys and models that rest at once; beyond that the oldest are forgotten, and asked. */
const REMEMBERED_MAX = 10_000

type RestingCandidate = Pick<Candidate, 'provider' | 'providerKey' | 'model'>

export class RestingKeys {
  readonly #clock: Clock
  readonly #log: Log
  /** Key, or key and model → wall ms at which it may be asked again, and whose it is. */
  readonly #until = new Map<string, { readonly at: number; readonly provider: string }>()

  constructor(parts: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = parts.clock
    this.#log = parts.log
  }

  /** Takes the status of an answer, and its `retry-after` and `retry-after-ms`. Other statuses than 401 and 429 say nothing here. */
  answered(candidate: RestingCandidate, status: number, headers: Readonly<Record<string, unknown>>): void {
    if (status !== 401 && status !== 429) return
    const now = this.#clock.now()
    const asked = retryAfterMs(headers, now)
    const restMs = Math.min(REST_MAX_MS, asked ?? (status === 401 ? UNAUTHORIZED_MS : RATE_LIMITED_MS))
    if (restMs <= 0) return
    const name = status === 401 ? keyOf(candidate) : keyAndModelOf(candidate)
    const known = this.#until.get(name)
    this.#until.delete(name)
    if (this.#until.size >= REMEMBERED_MAX)
      for (const oldest of this.#until.keys()) if (this.#until.delete(oldest)) break
    this.#until.set(name, { at: now + restMs, provider: candidate.provider.name })
    if (known !== undefined && known.at > now) return
    const { provider, providerKey, model } = candidate
    this.#log.warn(
      { provider: provider.name, providerKey: providerKey?.name ?? null, model, status, restMs },
      'a provider key rests: its provider has refused it',
    )
  }

  /** The same candidates, those whose keys rest behind all others, the first to wake first. */
  last<C extends RestingCandidate>(candidates: readonly C[], now: number): readonly C[] {
    if (this.#until.size === 0) return candidates
    const waking = new Map(candidates.map((candidate) => [candidate, this.#wakesAt(candidate, now)]))
    return candidates.toSorted((a, b) => (waking.get(a) ?? 0) - (waking.get(b) ?? 0))
  }

  /** How many rest at the moment, by provider. */
  count(): ReadonlyMap<string, number> {
    const now = this.#clock.now()
    const counts = new Map<string, number>()
    for (const [name, { at, provider }] of this.#until) {
      if (at <= now) this.#until.delete(name)
      else counts.set(provider, (counts.get(provider) ?? 0) + 1)
    }
    return counts
  }

  /** 0 where it may be asked. */
  #wakesAt(candidate: RestingCandidate, now: number): number {
    const ats = [keyOf(candidate), keyAndModelOf(candidate)].map((name) => this.#until.get(name)?.at ?? 0)
    const at = Math.max(...ats)
    return at > now ? at : 0
  }
}

/** A provider without keys rests as a whole. */
function keyOf({ provider, providerKey }: RestingCandidate): string {
  return providerKey?.id ?? provider.id
}

function keyAndModelOf(candidate: RestingCandidate): string {
  return `${keyOf(candidate)} ${candidate.model}`
}

/** RFC 9110, section 10.2.3: seconds or a date; OpenAI and Azure send milliseconds beside it. Null where neither can be read. */
function retryAfterMs(headers: Readonly<Record<string, unknown>>, now: number): number | null {
  const ms = Number(headers['retry-after-ms'])
  if (Number.isFinite(ms) && ms > 0) return ms
  const text = headers['retry-after']
  if (typeof text !== 'string' || text.trim() === '') return null
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1_000 : null
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
