/**
 * Sharing: a million rows say `cost`, `1d`, `UTC` and `{0.8,1}` a million times, each time in memory of its own. Where a column has few
 * different values, all rows get the first one's.
 */
import type { Row } from './tables.ts'

const VALUES_MAX = 10_000

export class Shared {
  readonly #texts = new Map<string, string>()
  readonly #lists = new Map<string, string[]>()

  /** The limit's row with shared values in the columns that repeat. */
  limit(row: Row<'limits'>): Row<'limits'> {
    return {
      ...row,
      scope_kind: this.#text(row.scope_kind),
      metric: this.#text(row.metric),
      window: this.#text(row.window),
      align: this.#text(row.align),
      timezone: this.#text(row.timezone),
      provider: this.#text(row.provider),
      model: this.#text(row.model),
      mode: this.#text(row.mode),
      managed_by: this.#text(row.managed_by),
      alert_at: this.#list(row.alert_at),
    }
  }

  #text<T extends string | null>(value: T): T {
    if (value === null) return value
    const known = this.#texts.get(value)
    // The same characters, so of the same type.
    if (known !== undefined) return known as T
    if (this.#texts.size < VALUES_MAX) this.#texts.set(value, value)
    return value
  }

  #list(values: string[]): string[] {
    const key = values.join(' ')
    const known = this.#lists.get(key)
    if (known !== undefined) return known
    if (this.#lists.size < VALUES_MAX) this.#lists.set(key, values)
    return values
  }
}
