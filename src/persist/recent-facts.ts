/**
 * Recent facts: what has just been written to the journal, kept in memory for the next dump, so that it need not be read back and parsed.
 *
 * Only a shortcut: it is bounded, and whatever has dropped out of it is read from the files.
 */
import type { Fact } from '../ledger/facts.ts'

/** One write to the journal. */
interface Group {
  readonly start: number
  end: number
  readonly facts: readonly Fact[]
}

/** Two full dumps: beyond that the database is away, and memory is not the place to wait. */
const FACTS_MAX = 10_000

export class RecentFacts {
  #groups: Group[] = []
  #count = 0
  #writing: readonly Fact[] = []

  /** The next write will carry these facts (holds left out: a dump has no use for them). */
  writing(facts: readonly Fact[]): void {
    this.#writing = facts
  }

  /** The write is done and lies at these positions. */
  written(start: number, end: number): void {
    const facts = this.#writing
    this.#writing = []
    if (this.#groups.at(-1)?.end !== start) this.#clear()
    const last = this.#groups.at(-1)
    // Writes of holds alone are joined: their number has no bound.
    if (last !== undefined && last.facts.length === 0 && facts.length === 0) last.end = end
    else this.#groups.push({ start, end, facts })
    this.#count += facts.length
    let dropped = 0
    while (this.#count > FACTS_MAX) this.#count -= (this.#groups[dropped++] as Group).facts.length
    if (dropped > 0) this.#groups.splice(0, dropped)
  }

  /** Whole writes from exactly `position` on, until there are `factsMax` facts; null when that write is not remembered. */
  from(position: number, factsMax: number): { facts: readonly Fact[]; end: number } | null {
    const first = this.#groups.findIndex(({ start }) => start === position)
    if (first === -1) return null
    const facts: Fact[] = []
    let end = position
    for (let index = first; index < this.#groups.length; index++) {
      const group = this.#groups[index] as Group
      if (facts.length > 0 && facts.length + group.facts.length > factsMax) break
      for (const fact of group.facts) facts.push(fact)
      end = group.end
    }
    return { facts, end }
  }

  /** Drops what lies wholly before `position`. */
  forget(position: number): void {
    const kept = this.#groups.findIndex(({ end }) => end > position)
    const dropped = this.#groups.splice(0, kept === -1 ? this.#groups.length : kept)
    for (const { facts } of dropped) this.#count -= facts.length
  }

  #clear(): void {
    this.#groups = []
    this.#count = 0
  }
}
