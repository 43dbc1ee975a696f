/**
 * Alerts: says once per limit, count, window and share that the posted amounts have reached that share of the maximum (`alert_at`).
 *
 * What has been said is remembered here only to say it once; the books are what makes it once for good: a fact that comes again, after a
 * restart, finds its row there. Concurrency is never posted and so has no alerts.
 */
import { PlacedCharges } from '../ledger/charges.ts'
import type { AlertFact, FactSink, UsageEvent } from '../ledger/facts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type MeterReading, weighted } from '../ledger/reading.ts'
import type { Limit } from '../store/entities.ts'
import type { GovernanceStore } from '../store/governance-store.ts'
import type { Names } from '../store/scope-name.ts'
import type { Clock } from '../units/clock.ts'
import { newId } from '../units/id.ts'
import type { Log } from '../units/log.ts'
import { formatUsd, NANO_PER_USD, parseUsd } from '../units/money.ts'
import { type AlertListener, limitMessage } from './alert.ts'

export interface AlertsParts {
  readonly store: GovernanceStore
  readonly ledger: Ledger
  readonly facts: FactSink
  readonly clock: Clock
  readonly log: Log
}

/** What has been said about a limit in one window. There may be as many as limits. */
interface Said {
  readonly countNumber: number
  readonly windowStart: number
  readonly windowEnd: number
  readonly shares: string[]
}

/** An alert that stands in the books. */
export type SaidAlert = Pick<AlertFact, 'limitId' | 'countNumber' | 'windowStart' | 'threshold'>

/** With so many limits remembered it is looked for those that are gone and for windows that have passed; then at twice as many as are left. */
const SWEPT_AT = 100_000
/** Amounts of limits that are known without adding them up again. */
const FIRST_MAX = 100_000

export class Alerts {
  readonly #parts: AlertsParts
  #sweptAt: number
  /** Wall ms. */
  readonly #startedAt: number
  readonly #said = new Map<string, Said>()
  readonly #first = new Map<string, { readonly limit: Limit; readonly amount: bigint }>()
  #listener: AlertListener = () => {}

  constructor(parts: AlertsParts, sweptAt = SWEPT_AT) {
    this.#parts = parts
    this.#sweptAt = sweptAt
    this.#startedAt = parts.clock.now()
  }

  /** Names who is handed every alert that is new. */
  onRaise(listener: AlertListener): void {
    this.#listener = listener
  }

  /** Takes what the books know to have been said, before the first request. What was said of windows that have passed is left out. */
  load(said: Iterable<SaidAlert>): void {
    const now = this.#parts.clock.now()
    for (const { limitId, countNumber, windowStart, threshold } of said) {
      const limit = this.#parts.store.limits.get(limitId)
      const reading = this.#parts.ledger.read(limitId, now)
      if (limit?.countNumber === countNumber && reading?.windowStart === windowStart) {
        this.#remember(limit, reading, threshold, now)
      }
    }
  }

  /** Looks at every limit that an event has posted something on. Throws when the journal takes nothing. */
  look({ charges }: Pick<UsageEvent, 'charges'>): void {
    // What is charged line by line was charged by an earlier process.
    if (!(charges instanceof PlacedCharges)) return
    const now = this.#parts.clock.now()
    for (const place of charges.places) {
      const amount = charges.amountOn(place)
      if (amount === 0n) continue
      // As it is now: an edit of the shares or of the maximum counts at once.
      const limit = this.#parts.store.limits.get(place.limit.id)
      if (limit === undefined || limit.alertAt.length === 0) continue
      if (!this.#parts.ledger.mayHavePosted(limit.id, this.#firstOf(limit))) continue
      const reading = this.#parts.ledger.read(limit.id, now)
      if (reading === null) continue
      this.#compare(limit, reading, place.windowStart === reading.windowStart ? amount : 0n, now)
    }
  }

  /** How many limits are remembered. */
  get remembered(): number {
    return this.#said.size
  }

  /** No more than the first of a limit's shares comes to: most events are done with when their limits have not come that far. */
  #firstOf(limit: Limit): bigint {
    const known = this.#first.get(limit.id)
    if (known?.limit === limit) return known.amount
    const least = limit.override !== null && limit.override.max < limit.max ? limit.override.max : limit.max
    const amounts = limit.alertAt.map((share) => (shareOf(share) * least) / NANO_PER_USD)
    const amount = amounts.reduce((a, b) => (a < b ? a : b))
    if (this.#first.size >= FIRST_MAX) this.#first.clear()
    this.#first.set(limit.id, { limit, amount })
    return amount
  }

  /** `added` is what the event at hand has brought into the window. */
  #compare(limit: Limit, reading: MeterReading, added: bigint, now: number): void {
    const used = settled(limit, reading, now)
    const said = this.#saidOf(limit, reading.windowStart)
    for (const share of limit.alertAt) {
      const reached = (amount: bigint) => amount * NANO_PER_USD >= shareOf(share) * reading.max
      if (said?.shares.includes(share) === true || !reached(used)) continue
      const fact = factOf(limit, reading, share, used, now, this.#parts.store)
      this.#parts.facts.append(fact)
      this.#remember(limit, reading, share, now)
      // What was reached before this process began was said by the one before, unless what is allowed has changed since.
      const isOld = Math.max(reading.windowStart, changedAt(limit, now)) < this.#startedAt && reached(used - added)
      if (isOld) continue
      this.#warn(limit, reading.max, share, used)
      this.#listener(fact)
    }
  }

  /** What was said in this window; what was said in an earlier one is dropped. */
  #saidOf({ id, countNumber }: Limit, windowStart: number): Said | undefined {
    const said = this.#said.get(id)
    if (said === undefined || (said.countNumber === countNumber && said.windowStart === windowStart)) return said
    this.#said.delete(id)
    return undefined
  }

  #remember({ id, countNumber }: Limit, { windowStart, windowEnd }: MeterReading, share: string, now: number): void {
    const said = this.#said.get(id)
    if (said !== undefined) {
      said.shares.push(share)
      return
    }
    if (this.#said.size >= this.#sweptAt) this.#sweep(now)
    this.#said.set(id, { countNumber, windowStart, windowEnd, shares: [share] })
  }

  /** Bounded by the limits there are, which admins make, and not by a number: what is forgotten while it counts would be said twice. */
  #sweep(now: number): void {
    for (const [id, { windowEnd }] of this.#said) {
      if (windowEnd <= now || !this.#parts.store.limits.has(id)) this.#said.delete(id)
    }
    this.#sweptAt = Math.max(this.#sweptAt, 2 * this.#said.size)
  }

  #warn({ id, scope, metric, mode, provider, model }: Limit, max: bigint, share: string, used: bigint): void {
    const shown = (amount: bigint) => (metric === 'cost' ? formatUsd(amount) : amount.toString())
    this.#parts.log.warn(
      {
        limitId: id,
        scope: scope.kind,
        scopeId: scope.id,
        metric,
        provider,
        model,
        mode,
        share,
        used: shown(used),
        max: shown(max),
      },
      'a limit has reached a share of its maximum',
    )
  }
}

/** Since when its maximum and its shares are what they are. */
function changedAt({ updatedAt, override }: Limit, now: number): number {
  return override !== null && override.until <= now ? Math.max(updatedAt, override.until) : updatedAt
}

/** What counts against the maximum and is final: what is held may still be returned. */
function settled({ spec }: Limit, { posted, previous, previousHeld, windowEnd }: MeterReading, now: number): bigint {
  return spec?.kind === 'sliding' ? posted + weighted(previous - previousHeld, windowEnd - now, spec.ms) : posted
}

function factOf(
  limit: Limit,
  reading: MeterReading,
  threshold: string,
  used: bigint,
  at: number,
  names: Names,
): AlertFact {
  const { id: limitId, countNumber, metric } = limit
  const { windowStart, max } = reading
  const fact: AlertFact = {
    t: 'alert',
    id: newId(),
    at,
    limitId,
    countNumber,
    windowStart,
    metric,
    threshold,
    used: used.toString(),
    max: max.toString(),
  }
  return { ...fact, message: limitMessage(fact, limit, names) }
}

const shares = new Map<string, bigint>()
const SHARES_MAX = 1_000

/** A share in billionths. What cannot be read is never reached. */
function shareOf(text: string): bigint {
  let share = shares.get(text)
  if (share === undefined) {
    if (shares.size >= SHARES_MAX) shares.clear()
    share = parseUsd(text) ?? NANO_PER_USD * NANO_PER_USD
    shares.set(text, share)
  }
  return share
}
