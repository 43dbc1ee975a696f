/**
 * The simulated provider's own books: one entry per call from its arrival on, so that what a gateway says it spent can be held
 * against what its provider says it did.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { ApiFormat } from '../admission/request-facts.ts'
import { NO_USAGE, type Usage } from '../usage/usage.ts'

/**
 * `open`: still being served. `completed`: the last byte was handed to the system and the peer was there. `aborted`: the peer left
 * first. `died`: this provider ended it, as it was told to. `stalled`: gone silent, as told. `refused`: answered with an error.
 */
export type Outcome = 'open' | 'completed' | 'aborted' | 'died' | 'stalled' | 'refused'

export interface SimServed {
  /** Counts up from 1 and is in the answer's `x-request-id` (`request-id`) header and ids. */
  readonly id: number
  /** Wall time of arrival, body included, ms since the epoch. */
  readonly at: number
  readonly method: string
  readonly path: string
  /** As sent, without the question mark; null unless headers are recorded. */
  readonly query: string | null
  readonly format: ApiFormat
  /** As asked; null where a call names none. */
  readonly model: string | null
  readonly stream: boolean
  /** The `x-bursar-request-id` header. */
  readonly requestId: string | null
  /** The `x-sim-tag` header. */
  readonly tag: string | null
  /** Null unless headers are recorded. */
  readonly headers: IncomingHttpHeaders | null
  readonly bodyBytes: number
  readonly bodySha256: string
  /** Null unless bodies are recorded. */
  readonly body: Buffer | null
  /** Null until the response headers were written. */
  readonly status: number | null
  readonly outcome: Outcome
  /** The work done: of a stream that was cut short the input and what had been sent; null where none was begun. */
  readonly usage: Usage | null
  /** Whether the final usage had been handed to the socket. */
  readonly usageReported: boolean
  /** Visible output tokens handed to the socket. */
  readonly sentTokens: number
  /** Wall time at which the call ended, on whatever side; null before. */
  readonly endedAt: number | null
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
export type OpenEntry = Mutable<SimServed>

/** Sums over every call since the start or the last clearing, also those the ledger no longer lists. */
export interface SimTotals {
  readonly calls: number
  /** Calls per outcome; what has not ended, stalled calls included, is `open` here. */
  readonly outcomes: { readonly [K in Outcome]: number }
  readonly usage: Usage
  readonly sentTokens: number
}

const NO_OUTCOMES = { open: 0, completed: 0, aborted: 0, died: 0, stalled: 0, refused: 0 }

export class SimLedger {
  readonly #max: number
  /** A ring once it is full: `#oldest` is the index of its first entry. */
  #entries: OpenEntry[] = []
  #oldest = 0
  /** The calls that still count towards the sums when they end: those that have not been cleared away meanwhile. */
  readonly #open = new Set<OpenEntry>()
  #calls = 0
  #outcomes: Mutable<SimTotals['outcomes']> = { ...NO_OUTCOMES }
  #usage: Mutable<Usage> = { ...NO_USAGE }
  #sentTokens = 0

  /** Lists the newest `max` calls. */
  constructor(max: number) {
    this.#max = max
  }

  open(entry: OpenEntry): void {
    this.#calls++
    this.#open.add(entry)
    if (this.#max === 0) return
    if (this.#entries.length < this.#max) {
      this.#entries.push(entry)
      return
    }
    this.#entries[this.#oldest] = entry
    this.#oldest = (this.#oldest + 1) % this.#max
  }

  /** Ends an entry, once: `endedAt` (ms) marks it and its numbers join the totals. */
  end(entry: OpenEntry, outcome: Exclude<Outcome, 'open'>, now: number): void {
    if (entry.endedAt !== null) return
    entry.outcome = outcome
    entry.endedAt = now
    if (!this.#open.delete(entry)) return
    this.#outcomes[outcome]++
    this.#sentTokens += entry.sentTokens
    if (entry.usage === null) return
    this.#usage.inputTokens += entry.usage.inputTokens
    this.#usage.outputTokens += entry.usage.outputTokens
    this.#usage.cacheReadTokens += entry.usage.cacheReadTokens
    this.#usage.cacheWriteTokens += entry.usage.cacheWriteTokens
    this.#usage.reasoningTokens += entry.usage.reasoningTokens
  }

  /** Oldest first. The entries are live: one that is open changes until it ends. */
  list(): readonly SimServed[] {
    return [...this.#entries.slice(this.#oldest), ...this.#entries.slice(0, this.#oldest)]
  }

  totals(): SimTotals {
    return {
      calls: this.#calls,
      outcomes: { ...this.#outcomes, open: this.#open.size },
      usage: { ...this.#usage },
      sentTokens: this.#sentTokens,
    }
  }

  clear(): void {
    this.#entries = []
    this.#oldest = 0
    this.#open.clear()
    this.#calls = 0
    this.#outcomes = { ...NO_OUTCOMES }
    this.#usage = { ...NO_USAGE }
    this.#sentTokens = 0
  }
}
