/**
 * Stream reading: what the events of one stream have said so far, kept so that it can be settled at any moment.
 *
 * Reports are kept as bytes and parsed when asked: a stream that reports with every chunk would else be parsed whole.
 */
import { dataAt } from './event-data.ts'
import { type OnField, scanFields } from './json-fields.ts'
import { COUNTS_OUTPUT, ENDS, FAILS, FINISHES, REPORTS, type StreamDialect } from './stream-dialect.ts'
import { TEXT } from './text-seen.ts'
import type { Usage } from './usage.ts'

const NO_EVENT = Buffer.alloc(0)

export class StreamReading {
  readonly #dialect: StreamDialect
  #firstReport: Buffer | null = null
  #lastReport: Buffer | null = null
  #textBytes = 0
  #finished = false
  #ended = false
  #failed = false

  /** Of the event in hand. */
  #event: Buffer = NO_EVENT
  #says = 0
  readonly #onField: OnField

  constructor(dialect: StreamDialect) {
    this.#dialect = dialect
    // One function a stream, not one an event.
    this.#onField = (id, depth, start, end) => {
      if (id !== TEXT) this.#says |= dialect.field(id, depth, this.#event, start, end)
      else if (end !== -1) this.#textBytes += end - start
    }
  }

  /** Takes one event; returns what it says. */
  take(event: Buffer): number {
    const says = this.#read(event)
    if ((says & REPORTS) !== 0) {
      this.#firstReport ??= event
      this.#lastReport = event
      if ((says & COUNTS_OUTPUT) !== 0) this.#textBytes = 0
    }
    if ((says & FINISHES) !== 0) this.#finished = true
    if ((says & ENDS) !== 0) this.#ended = true
    if ((says & FAILS) !== 0) this.#failed = true
    return says
  }

  #read(event: Buffer): number {
    const data = dataAt(event)
    if (this.#dialect.isEndMark(event, data)) return ENDS
    this.#event = event
    this.#says = 0
    scanFields(event, data, this.#dialect.fields, this.#onField)
    return this.#dialect.event(this.#says)
  }

  /** The usage reported so far, or null. */
  usage(): Usage | null {
    if (this.#firstReport === null || this.#lastReport === null) return null
    return this.#dialect.usageOf(this.#firstReport, this.#lastReport)
  }

  /** The event that reported last; null before any has. */
  get lastReport(): Buffer | null {
    return this.#lastReport
  }

  /** Bytes of text that no report has counted yet. */
  get textBytes(): number {
    return this.#textBytes
  }

  /** The model has said why it stopped: what was reported is all there is. */
  get finished(): boolean {
    return this.#finished
  }

  /** The provider has said that it failed. */
  get failed(): boolean {
    return this.#failed
  }

  /** Whether a stream that stops here has been served whole. */
  get whole(): boolean {
    if (this.#failed) return false
    return this.#ended || (this.#finished && !this.#dialect.needsEnd)
  }
}
