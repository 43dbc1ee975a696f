/**
 * Sums: what a batch of events and corrections adds to each limit and to each hour, put together in memory before it is written, and in
 * one order, so that two processes that write the same rows never wait for each other in a circle.
 */
import { type ChargeLine, type Charges, PlacedCharges, type Places } from '../ledger/charges.ts'
import type { UsageEvent } from '../ledger/facts.ts'
import type { Metric } from '../store/entities.ts'

/** An amount posted on one window of a limit; `windowStart` in ms. */
export interface UsageAddition {
  readonly limitId: string
  readonly countNumber: number
  readonly windowStart: number
  readonly metric: Metric
  readonly amount: string
}

/** An amount moved to a limit's closed total. */
export interface ClosedAddition {
  readonly limitId: string
  readonly metric: Metric
  readonly amount: string
}

/** What an hour adds for one combination of ids. `hour` in ms; the cost as text, which a JSON number could not hold. */
export interface HourlyAddition {
  readonly hour: number
  readonly customerId: string | null
  readonly teamId: string | null
  readonly userId: string | null
  readonly virtualKeyId: string | null
  readonly provider: string | null
  readonly model: string | null
  requests: number
  inputTokens: number
  outputTokens: number
  cacheReadTokens: number
  cacheWriteTokens: number
  reasoningTokens: number
  costNanoUsd: string
}

type Sum<T> = Omit<T, 'amount'> & { amount: bigint }

const HOUR_MS = 3_600_000

export class LimitSums {
  /** Limit id → its few windows. */
  readonly #byLimit = new Map<string, Sum<UsageAddition>[]>()
  /** Amounts per metric on places that many events share: added up first, and to each of their limits once. */
  readonly #byPlaces = new Map<Places, bigint[]>()

  add(charges: Charges): void {
    if (charges instanceof PlacedCharges) this.#addPlaced(charges)
    else for (const line of charges) this.#addLine(line)
  }

  #addPlaced({ places, amounts }: PlacedCharges): void {
    const sums = this.#byPlaces.get(places)
    if (sums === undefined) this.#byPlaces.set(places, [...amounts])
    else
      for (let metric = 0; metric < amounts.length; metric += 1)
        sums[metric] = (sums[metric] as bigint) + (amounts[metric] as bigint)
  }

  #addLine([limitId, countNumber, windowStart, metric, text]: ChargeLine): void {
    const amount = BigInt(text)
    if (amount === 0n) return
    let sums = this.#byLimit.get(limitId)
    if (sums === undefined) {
      sums = []
      this.#byLimit.set(limitId, sums)
    }
    const known = sums.find((sum) => sum.windowStart === windowStart && sum.countNumber === countNumber)
    if (known === undefined) sums.push({ limitId, countNumber, windowStart, metric, amount })
    else known.amount += amount
  }

  /** By limit, count and window. */
  additions(): UsageAddition[] {
    for (const [places, amounts] of this.#byPlaces) this.add(new PlacedCharges(places, amounts, false).lines())
    this.#byPlaces.clear()
    return [...this.#byLimit.values()]
      .flat()
      .sort((a, b) => compare(a.limitId, b.limitId) || a.countNumber - b.countNumber || a.windowStart - b.windowStart)
      .map(written)
  }
}

/** What admins have set back: out of the window, but not out of the lifetime total (U11). By limit and metric. */
export class ClosedSums {
  readonly #byKey = new Map<string, Sum<ClosedAddition>>()

  add(charges: readonly ChargeLine[]): void {
    for (const [limitId, , , metric, amount] of charges) {
      const key = `${limitId} ${metric}`
      const known = this.#byKey.get(key)
      if (known === undefined) this.#byKey.set(key, { limitId, metric, amount: -BigInt(amount) })
      else known.amount -= BigInt(amount)
    }
  }

  additions(): ClosedAddition[] {
    return [...this.#byKey].sort(([a], [b]) => compare(a, b)).map(([, sum]) => written(sum))
  }
}

export class HourlySums {
  readonly #byKey = new Map<string, { readonly sum: HourlyAddition; cost: bigint }>()

  add(event: UsageEvent): void {
    const cost = BigInt(event.costNanoUsd)
    // Refusals and voids add nothing, and their models may be anybody's inventions.
    if (event.requests === 0 && event.inputTokens === 0 && event.outputTokens === 0 && cost === 0n) return
    const { customerId, teamId, userId, virtualKeyId, provider, model } = event
    const hour = Math.floor(event.endedAt / HOUR_MS) * HOUR_MS
    const key = `${hour} ${customerId} ${teamId} ${userId} ${virtualKeyId} ${provider} ${model}`
    const known = this.#byKey.get(key)
    if (known === undefined) {
      const { requests, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens } = event
      const tokens = { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens }
      const ids = { hour, customerId, teamId, userId, virtualKeyId, provider, model }
      this.#byKey.set(key, { sum: { ...ids, requests, ...tokens, costNanoUsd: '' }, cost })
      return
    }
    const { sum } = known
    known.cost += cost
    sum.requests += event.requests
    sum.inputTokens += event.inputTokens
    sum.outputTokens += event.outputTokens
    sum.cacheReadTokens += event.cacheReadTokens
    sum.cacheWriteTokens += event.cacheWriteTokens
    sum.reasoningTokens += event.reasoningTokens
  }

  additions(): HourlyAddition[] {
    return [...this.#byKey]
      .sort(([a], [b]) => compare(a, b))
      .map(([, { sum, cost }]) => ({ ...sum, costNanoUsd: cost.toString() }))
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function written<T extends { readonly amount: bigint }>(sum: T): Omit<T, 'amount'> & { readonly amount: string } {
  return { ...sum, amount: sum.amount.toString() }
}
