/**
 * Stream tap: reads a provider's stream on its way to the client, unit by unit, without a second pass over what carries only text.
 *
 * It takes out the report that only we asked for, and holds the last event back until the attempt is in the journal: clients stop
 * reading at that event, not at the last byte, so what they take for complete must be in the books before (DESIGN section 9).
 */
import { ENDS, FINISHES, ONLY_REPORTS, type StreamDialect } from './stream-dialect.ts'
import { StreamReading } from './stream-reading.ts'
import { ElementSplitter, EventSplitter, type StreamSplitter } from './stream-splitter.ts'

export interface StreamTapOptions {
  readonly dialect: StreamDialect
  /** `array`: Gemini's streams without `alt=sse`. */
  readonly framing: 'events' | 'array'
  /** Take out the event that carries nothing but usage: the client has not asked for it. */
  readonly dropReport: boolean
  /** A unit larger than this passes unread. */
  readonly unitMaxBytes?: number
}

const NOTHING = Buffer.alloc(0)
const BRACE = 0x7b
/** Beginnings up to this size are copied: a client that reads slowly would else keep all that came with them. */
const SMALL_BYTES = 4_096
const UNIT_MAX_BYTES = 16 * 1024 * 1024

export class StreamTap {
  readonly reading: StreamReading
  readonly #options: StreamTapOptions
  readonly #splitter: StreamSplitter
  /** The beginning of a unit whose end has not arrived. */
  #begun: Buffer[] = []
  #begunBytes = 0
  /** What arrives belongs to a unit that is too large to be kept and read. */
  #unread = false
  /** May be the last event: leaves when another arrives, or with the end. */
  #perhapsLast: Buffer | null = null
  /** The last event and whatever has arrived after it. */
  #held: Buffer[] | null = null
  #released = false
  #passed = false

  constructor(options: StreamTapOptions) {
    this.#options = options
    this.reading = new StreamReading(options.dialect)
    this.#splitter = options.framing === 'events' ? new EventSplitter() : new ElementSplitter()
  }

  /** The last event is here, or the stream is over, and what is left waits for `release`. */
  get ended(): boolean {
    return this.#held !== null
  }

  /** Takes bytes of the provider; returns those that may leave now, mostly the very same. */
  push(chunk: Buffer): Buffer {
    if (this.#released) return chunk
    const out: Buffer[] = []
    let from = 0
    while (this.#held === null) {
      const alike = this.#skipAlike(chunk, from)
      if (alike > from) {
        // Most chunks are nothing else, and leave as they came.
        if (alike === chunk.length && from === 0) {
          this.#passed = true
          return chunk
        }
        out.push(chunk.subarray(from, alike))
        from = alike
      }
      const end = this.#splitter.endIn(chunk, from)
      if (end === -1) break
      this.#complete(chunk.subarray(from, end), out)
      from = end
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from), out)
    if (out.length > 0) this.#passed = true
    return joined(out)
  }

  /** Where events begin again that have to be looked into: behind all those that are like the last one but for their text. */
  #skipAlike(chunk: Buffer, from: number): number {
    let at = from
    if (this.#begun.length > 0 || this.#unread || this.#perhapsLast !== null) return at
    for (let end = this.reading.takeAlike(chunk, at); end !== -1; end = this.reading.takeAlike(chunk, at)) at = end
    return at
  }

  /** The provider's stream is over: what has not left waits for `release`. */
  end(): void {
    this.#held ??= []
    if (this.#begun.length === 0) return
    // An event without its blank line: clients that read by lines take it for one.
    const unit = joined(this.#begun)
    this.#begun = []
    this.reading.take(unit)
    this.#held.push(unit)
  }

  /** What was held back, with the comment directly before the last event. From now on bytes pass unread. */
  release(comment: string | null): Buffer {
    this.#released = true
    const parts = this.#perhapsLast === null ? [] : [this.#perhapsLast]
    parts.push(...(this.#held ?? []))
    if (comment !== null && this.#options.framing === 'events') parts.unshift(Buffer.from(`: ${comment}\n\n`))
    return joined(parts)
  }

  /** The end of a stream that was cut off: whole events that were held back, then the error in the stream's own form. */
  cut(error: string, eventName: string | null): Buffer {
    this.#released = true
    const whole = this.#perhapsLast === null ? [] : [this.#perhapsLast]
    return joined([...whole, Buffer.from(this.#framed(error, eventName, whole.length > 0))])
  }

  #framed(json: string, eventName: string | null, follows: boolean): string {
    if (this.#options.framing === 'array') return `${this.#passed || follows ? ',' : '['}${json}]`
    return `${eventName === null ? '' : `event: ${eventName}\n`}data: ${json}\n\n`
  }

  #complete(piece: Buffer, out: Buffer[]): void {
    if (this.#unread) {
      this.#unread = false
      out.push(piece)
    } else if (this.#begun.length === 0) {
      this.#judge(piece, out)
    } else {
      this.#begun.push(piece)
      const unit = Buffer.concat(this.#begun)
      this.#begun = []
      this.#begunBytes = 0
      this.#judge(unit, out)
    }
  }

  #judge(unit: Buffer, out: Buffer[]): void {
    const says = this.reading.take(unit)
    if (this.#splitter.closed) {
      this.#held = [unit]
      return
    }
    if (this.#perhapsLast !== null) {
      if (!unit.includes(BRACE)) {
        // A blank line or a comment is no further event.
        this.#perhapsLast = Buffer.concat([this.#perhapsLast, unit])
        return
      }
      out.push(this.#perhapsLast)
      this.#perhapsLast = null
    }
    if ((says & ENDS) !== 0) this.#held = [unit]
    else if ((says & FINISHES) !== 0 && this.#options.dialect.finishMayBeLast) this.#perhapsLast = unit
    else if ((says & ONLY_REPORTS) === 0 || !this.#options.dropReport) out.push(unit)
  }

  #keep(rest: Buffer, out: Buffer[]): void {
    if (this.#held !== null) {
      this.#held.push(rest)
    } else if (this.#unread) {
      out.push(rest)
    } else {
      this.#begun.push(rest.length < SMALL_BYTES ? Buffer.from(rest) : rest)
      this.#begunBytes += rest.length
      if (this.#begunBytes <= (this.#options.unitMaxBytes ?? UNIT_MAX_BYTES)) return
      if (this.#perhapsLast !== null) out.push(this.#perhapsLast)
      out.push(...this.#begun)
      this.#perhapsLast = null
      this.#begun = []
      this.#begunBytes = 0
      this.#unread = true
    }
  }
}

/** The parts as one; without copying where they lie side by side, as the events of one chunk do. */
function joined(parts: readonly Buffer[]): Buffer {
  const [first] = parts
  if (first === undefined) return NOTHING
  if (parts.length === 1) return first
  let end = first.byteOffset
  for (const part of parts) {
    if (part.buffer !== first.buffer || part.byteOffset !== end) return Buffer.concat(parts)
    end += part.length
  }
  return Buffer.from(first.buffer, first.byteOffset, end - first.byteOffset)
}
