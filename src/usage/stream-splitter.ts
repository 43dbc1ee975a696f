/**
 * Stream splitters: where one unit of a stream ends and the next begins, found byte by byte as the bytes arrive, wherever the network
 * has cut them.
 */
export interface StreamSplitter {
  /** Position after the unit that ends first at or after `from`, or -1 where none ends in this chunk. Chunks come in order, once. */
  endIn(chunk: Buffer, from: number): number
  /** The unit found last closes the whole stream. */
  readonly closed: boolean
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** Server-sent events: a unit ends with a blank line. Lines end with \n or \r\n. */
export class EventSplitter implements StreamSplitter {
  readonly closed = false
  /** Nothing has been seen of the current line but what may be the \r of its end. */
  #blank = true

  endIn(chunk: Buffer, from: number): number {
    let start = from
    for (let feed = chunk.indexOf(LINE_FEED, start); feed !== -1; feed = chunk.indexOf(LINE_FEED, start)) {
      const blank = this.#blank && isBlank(chunk, start, feed)
      this.#blank = true
      start = feed + 1
      if (blank) return start
    }
    this.#blank = this.#blank && isBlank(chunk, start, chunk.length)
    return -1
  }
}

function isBlank(chunk: Buffer, start: number, end: number): boolean {
  return end === start || (end === start + 1 && chunk[start] === CARRIAGE_RETURN)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** A JSON array that arrives element by element: a unit ends with an element, the last one with the closing bracket. */
export class ElementSplitter implements StreamSplitter {
  #depth = 0
  #inString = false
  #escaped = false
  #closed = false

  get closed(): boolean {
    return this.#closed
  }

  endIn(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at]
      if (this.#inString) this.#insideString(byte)
      else if (byte === QUOTE) this.#inString = true
      else if (byte === 0x5b || byte === 0x7b) this.#depth += 1
      else if (byte === 0x5d || byte === 0x7d) {
        this.#depth -= 1
        this.#closed = this.#depth <= 0
        if (this.#depth <= 1) return at + 1
      }
    }
    return -1
  }

  #insideString(byte: number | undefined): void {
    if (this.#escaped) this.#escaped = false
    else if (byte === BACKSLASH) this.#escaped = true
    else if (byte === QUOTE) this.#inString = false
  }
}
