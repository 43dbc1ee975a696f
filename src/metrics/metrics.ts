/**
 * Metrics: what Prometheus is told (CONTRACT section 8). Counted as plain numbers while requests run; made into text when it asks.
 *
 * Labels are bounded: providers and limits are an admin's, models see `series.ts`, codes are our own (F25). No key, no user's text (F23).
 */
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { UsageEvent } from '../ledger/facts.ts'
import type { Names } from '../store/scope-name.ts'
import type { Ending } from '../usage/settle.ts'
import { Definer, usd } from './definer.ts'
import { Distribution } from './distribution.ts'
import type { FullestLimits, LimitUse } from './fullest-limits.ts'
import { defineLimits } from './limits.ts'
import { defineOperations, type OperationsReading } from './operations.ts'
import { type Expected, type IsNamed, type Series, SeriesBook } from './series.ts'

export interface MetricsParts {
  readonly version: string
  readonly limits: Pick<FullestLimits, 'look'>
  readonly names: Names
  readonly isNamed: IsNamed
  /** Counted from the start on, so that the first of them is an increase to Prometheus. */
  readonly refusalCodes: readonly string[]
  readonly operations: () => OperationsReading
}

/** What is known of an attempt besides its event. In ms. */
export interface AttemptTimes {
  /** From the request's last byte to its being forwarded; null for a fallback, which waited for another provider. */
  readonly overheadMs: number | null
  readonly expected: Expected
  readonly ending: Ending
}

/** A tenth of a millisecond to ten minutes: a cached embedding and a long chain of thought. */
const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const OVERHEAD_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]

export class Metrics {
  readonly #registry = new Registry()
  readonly #define = new Definer(this.#registry)
  readonly #series: SeriesBook
  readonly #refusals = new Map<string, number>()
  readonly #latency: PerProvider
  readonly #firstToken: PerProvider
  readonly #overhead = new Distribution(OVERHEAD_SECONDS)
  readonly #limits: Pick<FullestLimits, 'look'>
  /** The limits that this answer is about. */
  #looked: readonly LimitUse[] = []

  constructor({ version, limits, names, isNamed, refusalCodes, operations }: MetricsParts) {
    this.#limits = limits
    this.#series = new SeriesBook(isNamed)
    for (const code of refusalCodes) this.#refusals.set(code, 0)
    collectDefaultMetrics({ register: this.#registry })
    this.#define.gauge('bursar_build_info', 'Always 1; the label says the version.', ['version'], (set) =>
      set({ version }, 1),
    )
    this.#addTraffic()
    this.#latency = this.#perProvider('bursar_upstream_latency_seconds', 'From forwarding to the end of the answer.')
    this.#firstToken = this.#perProvider('bursar_upstream_ttft_seconds', 'From forwarding to the first byte of a body.')
    this.#define.histogram(
      'bursar_overhead_seconds',
      'From the last byte of a request to its being forwarded: what governance takes.',
      () => [[{}, this.#overhead]],
    )
    defineLimits(this.#define, () => this.#looked, names)
    defineOperations(this.#define, operations)
  }

  /** An attempt has ended. */
  attemptEnded(event: UsageEvent, { overheadMs, expected, ending }: AttemptTimes): void {
    this.#series.add(event, expected, ending)
    if (overheadMs !== null) this.#overhead.add(overheadMs / 1_000)
    if (event.provider === null || event.status === null) return
    this.#latency(event.provider, event.latencyMs)
    if (event.ttftMs !== null) this.#firstToken(event.provider, event.ttftMs)
  }

  /** A request has been answered with an error of ours. */
  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    this.#looked = await this.#limits.look()
    return await this.#registry.metrics()
  }

  #addTraffic(): void {
    const model = ['provider', 'model'] as const
    this.#perSeries('bursar_requests_total', 'Requests that reached a provider, each once.', ({ requests }) => requests)
    this.#perSeries('bursar_cost_usd_total', 'Cost settled, in dollars.', (s) => usd(s.costNanoUsd))
    this.#perSeries('bursar_overage_usd_total', 'Cost above what had been held.', (s) => usd(s.overageNanoUsd))
    this.#perSeries('bursar_overages_total', 'Attempts that cost more than was held.', ({ overages }) => overages)
    this.#define.counter(
      'bursar_attempts_total',
      'Calls to providers by status class; none: it gave no status, given_up: nobody waited for one.',
      [...model, 'status'],
      (set) => {
        for (const { provider, model, attempts } of this.#series) {
          for (const [status, count] of attempts) set({ provider, model, status }, count)
        }
      },
    )
    this.#define.counter(
      'bursar_tokens_total',
      'Tokens settled; cache and reasoning are parts.',
      [...model, 'type'],
      (set) => {
        for (const s of this.#series) {
          for (const [type, count] of tokensOf(s)) set({ provider: s.provider, model: s.model, type }, count)
        }
      },
    )
    this.#define.counter(
      'bursar_settlements_total',
      'Attempts charged, by where usage came from.',
      [...model, 'source'],
      (set) => {
        for (const { provider, model, sources } of this.#series) {
          for (const [source, count] of sources) set({ provider, model, source }, count)
        }
      },
    )
    // Estimate : actual is the ratio of each pair's rates.
    this.#perSeries(
      'bursar_expected_input_tokens_total',
      'Input expected of attempts that then reported.',
      (s) => s.expectedInputTokens,
    )
    this.#perSeries(
      'bursar_reported_input_tokens_total',
      'Input that those attempts reported.',
      (s) => s.reportedInputTokens,
    )
    this.#perSeries('bursar_held_cost_usd_total', 'Cost held for attempts that then reported.', (s) =>
      usd(s.heldNanoUsd),
    )
    this.#perSeries('bursar_reported_cost_usd_total', 'Cost of those attempts.', (s) => usd(s.reportedNanoUsd))
    this.#define.counter(
      'bursar_refusals_total',
      'Requests answered with an error of the gateway.',
      ['code'],
      (set) => {
        for (const [code, count] of this.#refusals) set({ code }, count)
      },
    )
  }

  #perSeries(name: string, help: string, value: (series: Series) => number): void {
    this.#define.counter(name, help, ['provider', 'model'], (set) => {
      for (const series of this.#series) set({ provider: series.provider, model: series.model }, value(series))
    })
  }

  #perProvider(name: string, help: string): PerProvider {
    const byProvider = new Map<string, Distribution>()
    this.#define.histogram(name, help, function* () {
      for (const [provider, distribution] of byProvider) yield [{ provider }, distribution] as const
    })
    return (provider, ms) => {
      let distribution = byProvider.get(provider)
      if (distribution === undefined) {
        distribution = new Distribution(SECONDS)
        byProvider.set(provider, distribution)
      }
      distribution.add(ms / 1_000)
    }
  }
}

type PerProvider = (provider: string, ms: number) => void

function tokensOf(series: Series): [type: string, count: number][] {
  return [
    ['input', series.inputTokens],
    ['output', series.outputTokens],
    ['cache_read', series.cacheReadTokens],
    ['cache_write', series.cacheWriteTokens],
    ['reasoning', series.reasoningTokens],
  ]
}
