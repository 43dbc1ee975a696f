/**
 * Stream reading: what the events of one stream have said so far, kept so that it can be settled at any moment.
 *
 * Reports are kept as bytes and parsed when asked: a stream that reports with every chunk would else be parsed whole.
 */
import { dataAt } from './event-data.ts'
import { EventForm, type Gap } from './event-form.ts'
import { type OnField, scanFields } from './json-fields.ts'
import { COUNTS_OUTPUT, ENDS, FAILS, FINISHES, REPORTS, type StreamDialect } from './stream-dialect.ts'
import { PADDING, TEXT } from './text-seen.ts'
import type { Usage } from './usage.ts'

const NO_EVENT = Buffer.alloc(0)
const QUOTE = 0x22
/** Where so many events in a row were of new forms, the next will be too: some streams number their events. */
const NEW_FORMS_MAX = 8

export class StreamReading {
  readonly #dialect: StreamDialect
  #firstReport: Buffer | null = null
  #lastReport: Buffer | null = null
  #textBytes = 0
  #finished = false
  #ended = false
  #failed = false

  /** Of the last event that carried text and said nothing. */
  #form: EventForm | null = null
  #newForms = 0

  /** Of the event in hand. */
  #event: Buffer = NO_EVENT
  #says = 0
  #gaps: Gap[] = []
  /** Its last text has an end; whatever follows one that has none is no form for others. */
  #formed = false
  readonly #onField: OnField

  constructor(dialect: StreamDialect) {
    this.#dialect = dialect
    // One function a stream, not one an event.
    this.#onField = (id, depth, start, end) => {
      const isText = id === TEXT
      if (!isText && id !== PADDING) this.#says |= dialect.field(id, depth, this.#event, start, end)
      else if (end !== -1) {
        if (isText) this.#textBytes += end - start
        this.#gaps.push({ start, end, isText })
        this.#formed = this.#event[end] === QUOTE
      }
    }
  }

  /** Takes the event that begins at `from`, if it carries text as the last one did and says nothing else: returns its end, else -1. */
  takeAlike(chunk: Buffer, from: number): number {
    if (this.#form === null) return -1
    const end = this.#form.endIn(chunk, from)
    if (end !== -1) {
      this.#textBytes += this.#form.textBytes
      this.#newForms = 0
    }
    return end
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
    this.#gaps = []
    this.#formed = false
    scanFields(event, data, this.#dialect.fields, this.#onField)
    this.#event = NO_EVENT
    const says = this.#dialect.event(this.#says)
    if (says === 0 && this.#formed && this.#newForms < NEW_FORMS_MAX) {
      this.#form = new EventForm(event, this.#gaps)
      this.#newForms += 1
    } else if (this.#newForms === NEW_FORMS_MAX) this.#form = null
    return says
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
