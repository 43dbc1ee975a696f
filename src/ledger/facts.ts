/**
 * Facts: what the data plane tells the books, one line each in the journal (DESIGN section 9).
 *
 * A fact holds ids and amounts, never a prompt, a completion or a key. Amounts are decimal integers as strings, because JSON
 * numbers end at 2^53.
 */
import type { Metric } from '../store/entities.ts'
import type { ChargeLine, Charges } from './charges.ts'

export const USAGE_SOURCES = ['reported', 'estimated', 'partial', 'orphaned'] as const
export type UsageSource = (typeof USAGE_SOURCES)[number]

/** Who is charged, as ids: also of entities that have been deleted since. */
export interface ChainIds {
  readonly virtualKeyId: string | null
  readonly userId: string | null
  readonly teamId: string | null
  readonly customerId: string | null
}

/** What an attempt was, fixed when it was admitted. */
export interface AttemptIdentity extends ChainIds {
  readonly requestId: string
  /** 1 for the first call to a provider, 2 for the first fallback …; 0 is a refusal before any call. */
  readonly attempt: number
  readonly provider: string | null
  readonly providerKeyId: string | null
  readonly model: string | null
  /** The route family, such as `chat` or `messages`. */
  readonly endpoint: string
  readonly stream: boolean
  readonly tags: readonly string[]
}

/** One row of `usage_events`: one attempt and how it ended. */
export interface UsageEvent extends AttemptIdentity {
  /** Wall time of the end, in ms. */
  readonly endedAt: number
  /** HTTP status of the provider, or of our refusal; null when there was none. */
  readonly status: number | null
  readonly success: boolean
  readonly refusedCode: string | null
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly reasoningTokens: number
  /** Nano-dollars. */
  readonly costNanoUsd: string
  /** Nano-dollars above what was held. */
  readonly overageNanoUsd: string
  /** Null when nothing was charged. */
  readonly usageSource: UsageSource | null
  /** Whether the attempt counts as one request on its limits. */
  readonly requests: 0 | 1
  readonly latencyMs: number
  readonly ttftMs: number | null
  /** What was posted, limit by limit; empty after a void. */
  readonly charges: Charges
}

/** An attempt is about to be forwarded and has set these amounts aside. */
export interface HoldFact {
  readonly t: 'hold'
  readonly identity: AttemptIdentity
  readonly at: number
  readonly charges: Charges
  /** What an orphan is charged when nothing more is known: the input estimate and its cost in nano-dollars. */
  readonly inputTokens: number
  readonly inputCostNanoUsd: string
  /** The whole hold, for `orphans: hold`. */
  readonly outputTokens: number
  readonly costNanoUsd: string
}

/** An attempt's hold has been resolved; the event says how. A refusal is an event without a hold. */
export interface EventFact {
  readonly t: 'settle' | 'void' | 'refuse'
  readonly event: UsageEvent
  /** The event as JSON without its charges, where it has been made: journal, log and books are written from one text. */
  readonly json?: string
}

/** A posted total was moved by an admin's action or a late settlement; amounts may be negative. */
export interface CorrectFact {
  readonly t: 'correct'
  readonly id: string
  readonly at: number
  readonly reason: string
  readonly requestId: string | null
  readonly charges: readonly ChargeLine[]
}

/** A key was used from an address. */
export interface SeenFact {
  readonly t: 'seen'
  readonly at: number
  readonly virtualKeyId: string
  readonly userId: string | null
  readonly address: string | null
}

/** The data plane disabled a user (address cap, time over) or an admin did while Postgres was away. */
export interface DisableFact {
  readonly t: 'disable'
  readonly at: number
  readonly kind: 'user' | 'virtual_key'
  readonly id: string
  readonly reason: string
  /** The admin who did it while Postgres was away; absent = the gateway itself. */
  readonly actor?: { readonly id: string | null; readonly name: string; readonly address: string | null }
}

/** The posted amounts of a limit have reached a share of its maximum (`alert_at`): one row of `alerts`. */
export interface AlertFact {
  readonly t: 'alert'
  readonly id: string
  readonly at: number
  readonly limitId: string
  readonly countNumber: number
  readonly windowStart: number
  readonly metric: Metric
  /** The share, as the limit writes it. */
  readonly threshold: string
  /** Nano-dollars where the metric is cost, a count otherwise. */
  readonly used: string
  readonly max: string
  /** One line for people, in the names of then. Absent in facts of earlier versions. */
  readonly message?: string
}

/** What an alert may be about besides a limit. */
export const NOTICE_KINDS = ['user_disabled', 'dump_lag', 'quarantine', 'test'] as const
export type NoticeKind = (typeof NOTICE_KINDS)[number]

/** Something that somebody should be told of and that is about no limit: one row of `alerts`. */
export interface NoticeFact {
  readonly t: 'notice'
  readonly id: string
  readonly at: number
  readonly kind: NoticeKind
  /** The user, where it is about one. */
  readonly subjectId: string | null
  readonly message: string
}

/** The webhook has taken an alert, or has not once more. */
export interface DeliveryFact {
  readonly t: 'delivery'
  readonly alertId: string
  readonly at: number
  /** How often it has been tried, this time included. */
  readonly attempts: number
  /** Why it was not taken; null when it was. */
  readonly error: string | null
}

/** A provider has kept something for a key, under these ids of its own. */
export interface StoredFact {
  readonly t: 'stored'
  readonly at: number
  readonly ids: readonly string[]
  readonly virtualKeyId: string
  readonly provider: string
  readonly providerKeyId: string | null
}

export type Fact =
  | HoldFact
  | EventFact
  | CorrectFact
  | SeenFact
  | DisableFact
  | AlertFact
  | NoticeFact
  | DeliveryFact
  | StoredFact

/** No fact can be taken any more: the sink is closed, or too much waits for a disk that takes nothing. */
export class FactSinkUnavailable extends Error {
  override readonly name = 'FactSinkUnavailable'
}

/** Where facts go. The journal implements it; tests and embedders may bring their own. */
export interface FactSink {
  /** Takes a fact; its line is written within this event-loop turn. Throws `FactSinkUnavailable` when nothing can be written. */
  append(fact: Fact): void
  /** Calls back, once, after everything appended so far has been handed to the operating system. */
  flushed(callback: () => void): void
  /** False while new work must be refused (`overloaded`): the disk is full or cannot be written. */
  readonly accepting: boolean
}
