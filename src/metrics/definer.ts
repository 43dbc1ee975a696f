/** Definer: metrics whose values are made only when Prometheus asks, from numbers that somebody else keeps. */
import { Counter, Gauge, type Metric, type Registry } from 'prom-client'
import type { Distribution } from './distribution.ts'

/** Gives one line of a metric its value. */
export type SetValue = (labels: Record<string, string>, value: number) => void

export class Definer {
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
  }

  counter(name: string, help: string, labelNames: readonly string[], fill: (set: SetValue) => void): void {
    const counter = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        counter.reset()
        fill((labels, value) => void counter.inc(labels, value))
      },
    })
  }

  gauge(name: string, help: string, labelNames: readonly string[], fill: (set: SetValue) => void): void {
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

  /** `each` gives the distributions with their labels. */
  histogram(
    name: string,
    help: string,
    each: () => Iterable<readonly [labels: Readonly<Record<string, string>>, distribution: Distribution]>,
  ): void {
    const get = async () => {
      const values = [...each()].flatMap(([labels, distribution]) => linesOf(name, labels, distribution))
      return { name, help, type: 'histogram', values, aggregator: 'sum' }
    }
    // All that a registry asks of a metric.
    this.#registry.registerMetric({ name, get, getForPromString: get } as unknown as Metric)
  }
}

/** A line of a metric as prom-client writes it. */
interface Line {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

function linesOf(name: string, labels: Readonly<Record<string, string>>, distribution: Distribution): Line[] {
  const { buckets, sum, count } = distribution.spread
  const bucket = ([bound, below]: readonly [number, number]): Line => {
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound)
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below }
  }
  return [
    ...buckets.map(bucket),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}

const NANO_PER_USD = 1e9

/** Dollars as a float: for graphs, never for adding up. */
export function usd(nanoUsd: bigint): number {
  return Number(nanoUsd) / NANO_PER_USD
}
