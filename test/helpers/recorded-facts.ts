/** A fact sink that keeps what it is given, in place of the journal. */
import { type Fact, type FactSink, FactSinkUnavailable } from '../../src/ledger/facts.ts'

export class RecordedFacts implements FactSink {
  readonly facts: Fact[] = []
  accepting = true
  /** False: a disk that has just become full, which settlements still find room on. */
  takesHolds = true

  append(fact: Fact): void {
    if (!this.accepting) throw new Error('the journal takes nothing')
    if (fact.t === 'hold' && !this.takesHolds) throw new FactSinkUnavailable('the disk is full')
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
