/** Definer: metrics whose values are made only when Prometheus asks, from numbers that somebody else keeps. */
import { Counter, Gauge, type Registry } from 'prom-client'

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
}

const NANO_PER_USD = 1e9

/** Dollars as a float: for graphs, never for adding up. */
export function usd(nanoUsd: bigint): number {
  return Number(nanoUsd) / NANO_PER_USD
}
