/**
 * Sharing: a million rows say `cost`, `1d`, `UTC` and `{0.8,1}` a million times, each time in memory of its own. Where a column has few
 * different values, all rows get the first one's.
 */
import type { Row } from './tables.ts'

const VALUES_MAX = 10_000
const NOTHING = Object.freeze({})

function isEmpty(value: object): boolean {
  for (const _ in value) return false
  return true
}

export class Shared {
  readonly #texts = new Map<string, string>()
  readonly #lists = new Map<string, string[]>()
  readonly #ids = new Map<string, string>()

  /** Others will refer to this id. */
  id(id: string): void {
    this.#ids.set(id, id)
  }

  /** The key's row, likewise. */
  key(row: Row<'virtual_keys'>): Row<'virtual_keys'> {
    return {
      ...row,
      key_start: this.#text(row.key_start),
      user_id: this.#known(row.user_id),
      team_id: this.#known(row.team_id),
      customer_id: this.#known(row.customer_id),
      managed_by: this.#text(row.managed_by),
      metadata: isEmpty(row.metadata) ? NOTHING : row.metadata,
    }
  }

  /** The limit's row with shared values in the columns that repeat. */
  limit(row: Row<'limits'>): Row<'limits'> {
    return {
      ...row,
      scope_kind: this.#text(row.scope_kind),
      scope_id: this.#known(row.scope_id),
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

  #known(id: string | null): string | null {
    return id === null ? null : (this.#ids.get(id) ?? id)
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
