/** A fact sink that keeps what it is given, in place of the journal. */
import type { Fact, FactSink } from '../../src/ledger/facts.ts'

export class RecordedFacts implements FactSink {
  readonly facts: Fact[] = []
  accepting = true

  append(fact: Fact): void {
    if (!this.accepting) throw new Error('the journal takes nothing')
    this.facts.push(fact)
  }

  flushed(callback: () => void): void {
    callback()
  }

  /** The facts of one kind, in order. */
  of<T extends Fact['t']>(t: T): Extract<Fact, { t: T }>[] {
    return this.facts.filter((fact): fact is Extract<Fact, { t: T }> => fact.t === t)
  }
}
