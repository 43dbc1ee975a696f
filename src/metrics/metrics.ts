/**
 * Metrics: what Prometheus is told (CONTRACT section 8). Counted as plain numbers while requests run; made into text when it asks.
 *
 * Labels are bounded: providers and limits are an admin's, models see `series.ts`, codes are our own (F25). No key, no user's text (F23).
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { UsageEvent } from '../ledger/facts.ts'
import { type Names, nameOfScope } from '../store/scope-name.ts'
import type { FullestLimits, LimitUse } from './fullest-limits.ts'
import { type Expected, type Series, SeriesBook } from './series.ts'

/** How the process is doing, read when Prometheus asks. */
export interface OperationsReading {
  readonly holdsOpen: number
  readonly holdsExpired: number
  readonly journalBytes: number
  readonly journalLagBytes: number
  readonly journalAccepting: boolean
  readonly factsWaiting: number
  /** Since the last dump that succeeded; null before the first. */
  readonly dumpLagMs: number | null
  readonly dumpMs: number | null
  readonly quarantined: number
  readonly databaseReachable: boolean
  readonly alertsWaiting: number
  readonly limits: number
  readonly virtualKeys: number
}

export interface MetricsParts {
  readonly version: string
  readonly limits: Pick<FullestLimits, 'look'>
  readonly names: Names
  readonly operations: () => OperationsReading
}

/** What is known of an attempt besides its event. In ms. */
export interface AttemptTimes {
  /** From the request's last byte to its being forwarded; null for a fallback, which waited for another provider. */
  readonly overheadMs: number | null
  readonly expected: Expected
}

const NANO_PER_USD = 1e9
/** A tenth of a millisecond to ten minutes: a cached embedding and a long chain of thought. */
const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const OVERHEAD_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]

type SetValue = (labels: Record<string, string>, value: number) => void

export class Metrics {
  readonly #registry = new Registry()
  readonly #series = new SeriesBook()
  readonly #refusals = new Map<string, number>()
  readonly #latency: PerProvider
  readonly #firstToken: PerProvider
  readonly #overhead: Histogram
  readonly #limits: Pick<FullestLimits, 'look'>
  /** The limits that this answer is about. */
  #looked: readonly LimitUse[] = []

  constructor({ version, limits, names, operations }: MetricsParts) {
    this.#limits = limits
    collectDefaultMetrics({ register: this.#registry })
    this.#gauge('bursar_build_info', 'Always 1; the label says the version.', ['version'], (set) => set({ version }, 1))
    this.#addTraffic()
    this.#latency = this.#perProvider('bursar_upstream_latency_seconds', 'From forwarding to the end of the answer.')
    this.#firstToken = this.#perProvider('bursar_upstream_ttft_seconds', 'From forwarding to the first byte of a body.')
    this.#overhead = new Histogram({
      name: 'bursar_overhead_seconds',
      help: 'From the last byte of a request to its being forwarded: what governance takes.',
      buckets: OVERHEAD_SECONDS,
      registers: [this.#registry],
    })
    this.#addLimits(names)
    this.#addOperations(operations)
  }

  /** An attempt has ended. */
  attemptEnded(event: UsageEvent, { overheadMs, expected }: AttemptTimes): void {
    this.#series.add(event, expected)
    if (overheadMs !== null) this.#overhead.observe(overheadMs / 1_000)
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
    this.#counter('bursar_attempts_total', 'Calls to providers by status class.', [...model, 'status'], (set) => {
      for (const { provider, model, attempts } of this.#series) {
        for (const [status, count] of attempts) set({ provider, model, status }, count)
      }
    })
    this.#counter(
      'bursar_tokens_total',
      'Tokens settled; cache and reasoning are parts.',
      [...model, 'type'],
      (set) => {
        for (const s of this.#series) {
          for (const [type, count] of tokensOf(s)) set({ provider: s.provider, model: s.model, type }, count)
        }
      },
    )
    this.#counter(
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
    this.#counter('bursar_refusals_total', 'Requests answered with an error of the gateway.', ['code'], (set) => {
      for (const [code, count] of this.#refusals) set({ code }, count)
    })
  }

  #addLimits(names: Names): void {
    const perLimit = (name: string, help: string, value: (use: LimitUse) => number | null) =>
      this.#gauge(name, help, LIMIT_LABELS, (set) => {
        for (const use of this.#looked) {
          const shown = value(use)
          if (shown !== null) set(limitLabels(use, names), shown)
        }
      })
    const unit = 'in dollars for cost, else a count'
    perLimit('bursar_limit_max', `The maximum in force, ${unit}.`, (use) => amount(use, use.reading.max))
    perLimit('bursar_limit_used', `What counts against it, holds included, ${unit}.`, (use) =>
      amount(use, use.reading.used),
    )
    perLimit('bursar_limit_held', `What requests in flight have set aside, ${unit}.`, (use) =>
      amount(use, use.reading.held),
    )
    perLimit('bursar_limit_reset_seconds', 'Until the window ends; absent for a lifetime.', ({ resetsInMs }) =>
      Number.isFinite(resetsInMs) ? Math.max(0, resetsInMs / 1_000) : null,
    )
  }

  #addOperations(operations: () => OperationsReading): void {
    const gauges: [string, string, (reading: OperationsReading) => number | null][] = [
      ['bursar_holds_open', 'Requests in flight that have set amounts aside.', (r) => r.holdsOpen],
      ['bursar_journal_bytes', 'Size of the journal’s files.', (r) => r.journalBytes],
      ['bursar_journal_lag_bytes', 'How much of it is not in the database yet.', (r) => r.journalLagBytes],
      ['bursar_journal_waiting_facts', 'Facts that are not in the database yet.', (r) => r.factsWaiting],
      ['bursar_journal_accepting', '0: new work is refused.', (r) => Number(r.journalAccepting)],
      ['bursar_dump_lag_seconds', 'Since the last dump that succeeded.', (r) => seconds(r.dumpLagMs)],
      ['bursar_dump_duration_seconds', 'How long it took.', (r) => seconds(r.dumpMs)],
      ['bursar_quarantined_facts', 'Facts that could not be written to the database.', (r) => r.quarantined],
      ['bursar_database_up', '0: the database is away, requests are served on.', (r) => Number(r.databaseReachable)],
      ['bursar_alerts_waiting', 'Alerts that the webhook has not taken.', (r) => r.alertsWaiting],
      ['bursar_limits', 'Limits in memory.', (r) => r.limits],
      ['bursar_virtual_keys', 'Virtual keys in memory.', (r) => r.virtualKeys],
    ]
    for (const [name, help, value] of gauges) {
      this.#gauge(name, help, [], (set) => {
        const shown = value(operations())
        if (shown !== null) set({}, shown)
      })
    }
    const help = 'Holds that nobody resolved in time: each one is a bug.'
    this.#counter('bursar_holds_expired_total', help, [], (set) => set({}, operations().holdsExpired))
  }

  #perSeries(name: string, help: string, value: (series: Series) => number): void {
    this.#counter(name, help, ['provider', 'model'], (set) => {
      for (const series of this.#series) set({ provider: series.provider, model: series.model }, value(series))
    })
  }

  #counter(name: string, help: string, labelNames: string[], fill: (set: SetValue) => void): void {
    const counter = new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        counter.reset()
        fill((labels, value) => void counter.inc(labels, value))
      },
    })
  }

  #gauge(name: string, help: string, labelNames: readonly string[], fill: (set: SetValue) => void): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        gauge.reset()
        fill((labels, value) => gauge.set(labels, value))
      },
    })
  }

  #perProvider(name: string, help: string): PerProvider {
    const histogram = new Histogram({
      name,
      help,
      labelNames: ['provider'],
      buckets: SECONDS,
      registers: [this.#registry],
    })
    const children = new Map<string, { observe(value: number): void }>()
    return (provider, ms) => {
      let child = children.get(provider)
      if (child === undefined) {
        child = histogram.labels(provider)
        children.set(provider, child)
      }
      child.observe(ms / 1_000)
    }
  }
}

type PerProvider = (provider: string, ms: number) => void

const LIMIT_LABELS = ['limit_id', 'scope', 'scope_name', 'metric', 'provider', 'model', 'window', 'mode'] as const

function limitLabels({ limit }: LimitUse, names: Names): Record<(typeof LIMIT_LABELS)[number], string> {
  return {
    limit_id: limit.id,
    scope: limit.scope.kind,
    scope_name: nameOfScope(limit.scope, names) ?? '',
    metric: limit.metric,
    provider: limit.provider ?? '',
    model: limit.model ?? '',
    window: limit.window ?? '',
    mode: limit.mode,
  }
}

function amount({ limit }: LimitUse, value: bigint): number {
  return limit.metric === 'cost' ? usd(value) : Number(value)
}

function usd(nanoUsd: bigint): number {
  return Number(nanoUsd) / NANO_PER_USD
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000
}

function tokensOf(series: Series): [type: string, count: number][] {
  return [
    ['input', series.inputTokens],
    ['output', series.outputTokens],
    ['cache_read', series.cacheReadTokens],
    ['cache_write', series.cacheWriteTokens],
    ['reasoning', series.reasoningTokens],
  ]
}
