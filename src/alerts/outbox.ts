/**
 * Outbox: brings alerts to the webhook, a few at a time, and tries again, later and later, those that it did not take.
 *
 * It needs no database: an alert that says the database is away must go out too. What became of each try is a fact in the journal, so
 * the books know at the next start which are still to be delivered. A crash between a delivery and its line in the journal delivers that
 * one alert twice; its id is the same, so a receiver can tell.
 */
import type { FactSink } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { Alert, AlertMessage } from './alert.ts'
import type { Deliver, DeliveryError } from './webhook.ts'

export interface OutboxParts {
  readonly deliver: Deliver
  readonly messageOf: (alert: Alert) => AlertMessage
  readonly facts: FactSink
  readonly clock: Clock
  readonly log: Log
  /** Before the second try, in ms; doubled before each further one up to five minutes. Default 1 s. */
  readonly retryMs?: number
}

const RETRY_MS_MAX = 300_000
/** An alert older than this is news to nobody. */
export const GIVE_UP_MS = 24 * 3_600_000
/** What waits in memory; beyond it the oldest are left to the next start, which finds them in the books. */
const WAITING_MAX = 10_000
/** An answer that is long in coming holds up no other alert. */
const AT_ONCE_MAX = 4

interface Waiting {
  readonly alert: Alert
  /** Made when the alert was: what it is about may be changed before the webhook takes it. */
  readonly message: AlertMessage
  attempts: number
  /** Monotonic ms. */
  dueAt: number
}

export class Outbox {
  readonly #parts: OutboxParts
  readonly #retryMs: number
  readonly #waiting = new Map<string, Waiting>()
  #timer: NodeJS.Timeout | null = null
  readonly #sending = new Map<string, Promise<void>>()
  #closed = false

  constructor(parts: OutboxParts) {
    this.#parts = parts
    this.#retryMs = parts.retryMs ?? 1_000
  }

  /** Alerts that the webhook has not taken yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Takes an alert, to be delivered soon. `attempts` is how often an earlier run has tried. */
  add(alert: Alert, attempts = 0): void {
    if (this.#closed || this.#waiting.has(alert.id)) return
    const message = this.#parts.messageOf(alert)
    this.#waiting.set(alert.id, { alert, message, attempts, dueAt: this.#parts.clock.elapsed() })
    if (this.#waiting.size > WAITING_MAX) {
      const [oldest] = this.#waiting.keys()
      this.#waiting.delete(oldest as string)
    }
    this.#wake()
  }

  /** Delivers one alert now, without trying again; says what became of it. */
  async deliverNow(alert: Alert): Promise<DeliveryError> {
    const error = await this.#parts.deliver(this.#parts.messageOf(alert))
    this.#tell(alert, 1, error)
    return error
  }

  /** Begins no further delivery and waits for those that are under way; their time-out bounds that. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await Promise.all(this.#sending.values())
  }

  /** Sends what is due now, the oldest first, and waits for what is due next. */
  #wake(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const now = this.#parts.clock.elapsed()
    let next = Number.POSITIVE_INFINITY
    for (const [id, waiting] of this.#waiting) {
      // Whoever has been sent wakes the rest.
      if (this.#closed || this.#sending.size >= AT_ONCE_MAX) return
      if (this.#sending.has(id)) continue
      if (waiting.dueAt > now) {
        next = Math.min(next, waiting.dueAt)
        continue
      }
      const sent = this.#send(waiting).finally(() => {
        this.#sending.delete(id)
        this.#wake()
      })
      this.#sending.set(id, sent)
    }
    if (next < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#wake(), next - now).unref()
  }

  async #send(waiting: Waiting): Promise<void> {
    const { clock, deliver } = this.#parts
    waiting.attempts += 1
    const error = await deliver(waiting.message)
    this.#tell(waiting.alert, waiting.attempts, error)
    if (error === null || clock.now() - waiting.alert.at > GIVE_UP_MS) this.#waiting.delete(waiting.alert.id)
    else waiting.dueAt = clock.elapsed() + this.#backOff(waiting.attempts)
  }

  #backOff(attempts: number): number {
    return Math.min(this.#retryMs * 2 ** Math.min(attempts - 1, 30), RETRY_MS_MAX)
  }

  #tell({ id: alertId }: Alert, attempts: number, error: DeliveryError): void {
    const { facts, clock, log } = this.#parts
    // The first failure says it; that it goes on failing shows in `GET /api/alerts` and in the metrics.
    if (error !== null && attempts === 1)
      log.warn({ alertId, error }, 'the webhook has not taken an alert, trying again')
    try {
      facts.append({ t: 'delivery', alertId, at: clock.now(), attempts, error })
    } catch (failure) {
      log.warn({ err: failure, alertId }, 'a delivery could not be journaled')
    }
  }
}
