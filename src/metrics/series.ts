/**
 * Series: what has gone to each model of each provider, added up as plain numbers, so that a request pays for a few additions and the
 * text is made when somebody asks for it.
 *
 * Bounded, because clients write the models' names: a model gets a line of its own once it has answered, and there are at most so many
 * lines; everything else is added up under `other` (F25). Some providers answer to any name: so those that nobody but a client has named are few at
 * each provider, and take no room from those that admins and the price data name.
 */
import type { UsageEvent, UsageSource } from '../ledger/facts.ts'
import type { Ending } from '../usage/settle.ts'

export interface Series {
  readonly provider: string
  readonly model: string
  /** How attempts ended → how many did. The usual ways are there from the start: Prometheus sees no increase in what begins above 0. */
  readonly attempts: Map<string, number>
  requests: number
  inputTokens: number
  outputTokens: number
  cacheReadTokens: number
  cacheWriteTokens: number
  reasoningTokens: number
  costNanoUsd: bigint
  overageNanoUsd: bigint
  overages: number
  /** Of attempts whose usage was reported: what had been expected of their input, and what it was. */
  expectedInputTokens: number
  reportedInputTokens: number
  /** Of the same attempts: the cost that was held, and what they cost. */
  heldNanoUsd: bigint
  reportedNanoUsd: bigint
  readonly sources: Map<UsageSource, number>
}

/** What an attempt had been expected to use. */
export interface Expected {
  readonly inputTokens: number
  readonly costNanoUsd: bigint
}

/** No status because the provider has given none, and no status because nobody waited for it any longer. */
const NO_STATUS = 'none'
const GIVEN_UP = 'given_up'
const USUAL_ENDS = ['2xx', '4xx', '5xx', NO_STATUS, GIVEN_UP]
const SOURCES: readonly UsageSource[] = ['reported', 'estimated', 'partial', 'orphaned']

/** Whether the model is one that an admin or the price data names. */
export type IsNamed = (provider: string, model: string) => boolean

const NAMED_MAX = 500
/** At each provider. */
const UNNAMED_MAX = 50
const OTHER = 'other'

/** What has gone to one provider. */
interface OfProvider {
  readonly models: Map<string, Series>
  unnamed: number
}

export class SeriesBook {
  readonly #isNamed: IsNamed
  readonly #namedMax: number
  readonly #unnamedMax: number
  readonly #byProvider = new Map<string, OfProvider>()
  #named = 0

  constructor(isNamed: IsNamed, namedMax = NAMED_MAX, unnamedMax = UNNAMED_MAX) {
    this.#isNamed = isNamed
    this.#namedMax = namedMax
    this.#unnamedMax = unnamedMax
  }

  /** @param ending how the attempt has ended */
  add(event: UsageEvent, expected: Expected, ending: Ending): void {
    const series = this.#of(event.provider ?? 'none', event.model ?? 'none', event.success)
    count(series.attempts, event.status === null ? endWithoutStatus(ending) : `${Math.floor(event.status / 100)}xx`)
    series.requests += event.requests
    if (event.usageSource === null) return
    count(series.sources, event.usageSource)
    series.inputTokens += event.inputTokens
    series.outputTokens += event.outputTokens
    series.cacheReadTokens += event.cacheReadTokens
    series.cacheWriteTokens += event.cacheWriteTokens
    series.reasoningTokens += event.reasoningTokens
    const cost = BigInt(event.costNanoUsd)
    series.costNanoUsd += cost
    if (event.overageNanoUsd !== '0') {
      series.overageNanoUsd += BigInt(event.overageNanoUsd)
      series.overages += 1
    }
    if (event.usageSource !== 'reported') return
    series.expectedInputTokens += expected.inputTokens
    series.reportedInputTokens += event.inputTokens
    series.heldNanoUsd += expected.costNanoUsd
    series.reportedNanoUsd += cost
  }

  *[Symbol.iterator](): Iterator<Series> {
    for (const { models } of this.#byProvider.values()) yield* models.values()
  }

  #of(provider: string, model: string, answered: boolean): Series {
    let ofProvider = this.#byProvider.get(provider)
    if (ofProvider === undefined) {
      ofProvider = { models: new Map(), unnamed: 0 }
      this.#byProvider.set(provider, ofProvider)
    }
    const { models } = ofProvider
    const known = models.get(model)
    if (known !== undefined) return known
    const name = answered && this.#takesRoom(ofProvider, provider, model) ? model : OTHER
    const series = models.get(name) ?? emptySeries(provider, name)
    models.set(name, series)
    return series
  }

  #takesRoom(ofProvider: OfProvider, provider: string, model: string): boolean {
    if (this.#named < this.#namedMax && this.#isNamed(provider, model)) {
      this.#named += 1
      return true
    }
    if (ofProvider.unnamed >= this.#unnamedMax) return false
    ofProvider.unnamed += 1
    return true
  }
}

function endWithoutStatus(ending: Ending): string {
  return ending === 'unreached' || ending === 'silent' ? NO_STATUS : GIVEN_UP
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function emptySeries(provider: string, model: string): Series {
  return {
    provider,
    model,
    attempts: zeros(USUAL_ENDS),
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    costNanoUsd: 0n,
    overageNanoUsd: 0n,
    overages: 0,
    expectedInputTokens: 0,
    reportedInputTokens: 0,
    heldNanoUsd: 0n,
    reportedNanoUsd: 0n,
    sources: zeros(SOURCES),
  }
}

function zeros<K>(keys: readonly K[]): Map<K, number> {
  return new Map(keys.map((key) => [key, 0]))
}
