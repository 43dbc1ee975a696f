/**
 * Refusals: requests turned away after their sender was known, as events of attempt 0 (CONTRACT section 8). At most ten a second for each
 * key: a client in a loop must not fill the books.
 */
import type { Refusal } from '../admission/decision.ts'
import type { RequestFacts } from '../admission/request-facts.ts'
import type { Principal } from '../auth/principal.ts'
import type { FactSink } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'

export interface RefusedRequest {
  readonly requestId: string
  readonly principal: Principal
  /** Null where the request could not be read. */
  readonly facts: RequestFacts | null
  readonly endpoint: string
  readonly refusal: Refusal
  /** HTTP status of the answer. */
  readonly status: number
}

const PER_SECOND_MAX = 10
const ANONYMOUS_KEY = ''

export class RefusalRecorder {
  readonly #facts: FactSink
  readonly #clock: Clock
  /** Key id → refusals recorded in the present second. */
  readonly #recorded = new Map<string, number>()
  #second = 0

  constructor(facts: FactSink, clock: Clock) {
    this.#facts = facts
    this.#clock = clock
  }

  /** Writes the refusal down, unless the key has had its share of this second or nothing can be written. */
  record({ requestId, principal, facts, endpoint, refusal, status }: RefusedRequest): void {
    const now = this.#clock.now()
    if (!this.#facts.accepting || !this.#hasShare(principal.ids.virtualKeyId ?? ANONYMOUS_KEY, now)) return
    this.#facts.append({
      t: 'refuse',
      event: {
        ...principal.ids,
        requestId,
        attempt: 0,
        provider: null,
        providerKeyId: null,
        model: facts?.requestedModel ?? null,
        endpoint,
        stream: facts?.stream ?? false,
        tags: facts?.tags ?? [],
        endedAt: now,
        status,
        success: false,
        refusedCode: refusal.code,
        inputTokens: 0,
        outputTokens: 0,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        costNanoUsd: '0',
        overageNanoUsd: '0',
        usageSource: null,
        requests: 0,
        latencyMs: 0,
        ttftMs: null,
        charges: [],
      },
    })
  }

  #hasShare(key: string, now: number): boolean {
    const second = Math.floor(now / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#recorded.clear()
    }
    const recorded = (this.#recorded.get(key) ?? 0) + 1
    this.#recorded.set(key, recorded)
    return recorded <= PER_SECOND_MAX
  }
}
