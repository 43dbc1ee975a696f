/**
 * Event form: knows again an event that differs from an earlier one in nothing but its texts.
 *
 * Nearly all events of a stream carry a few letters between the same bytes. What the fixed bytes say is known from the first of them, so
 * that the rest need only be compared, which is several times as quick as looking for fields in each.
 */

/** A string of an event: where it stands, without its quotes, and whether it is the model's own words. */
export interface Gap {
  readonly start: number
  readonly end: number
  readonly isText: boolean
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
/** Longer strings are not walked through byte by byte. */
const STRING_MAX = 256

export class EventForm {
  /** The bytes before, between and behind the gaps: one more than there are gaps. */
  readonly #fixed: readonly Buffer[]
  readonly #isText: readonly boolean[]
  /** Of the event that matched last. */
  #textBytes = 0

  /** @param gaps in the order in which they stand, at least one */
  constructor(event: Buffer, gaps: readonly Gap[]) {
    // A copy: the event lies in the middle of what was read from a socket, all of which it would keep in memory.
    const own = Buffer.from(event)
    const starts = [0, ...gaps.map(({ end }) => end)]
    this.#fixed = starts.map((start, index) => own.subarray(start, gaps[index]?.start ?? own.length))
    this.#isText = gaps.map(({ isText }) => isText)
  }

  /** Bytes of the model's words in the event that {@link endIn} found last. */
  get textBytes(): number {
    return this.#textBytes
  }

  /** Where an event of this form ends that begins at `from`; -1 where none does, or its end has not come yet. */
  endIn(chunk: Buffer, from: number): number {
    let at = from
    this.#textBytes = 0
    for (let index = 0; index < this.#fixed.length; index += 1) {
      const fixed = this.#fixed[index] as Buffer
      if (!stands(fixed, chunk, at)) return -1
      at += fixed.length
      if (index === this.#isText.length) return at
      const end = endOfString(chunk, at)
      if (end === -1) return -1
      if (this.#isText[index] === true) this.#textBytes += end - at
      at = end
    }
    return -1
  }
}

/** Longer pieces are compared natively; below, the call would cost more than it saves. */
const NEAR_BYTES = 48

function stands(fixed: Buffer, chunk: Buffer, at: number): boolean {
  const { length } = fixed
  if (at + length > chunk.length) return false
  if (length > NEAR_BYTES) return fixed.compare(chunk, at, at + length) === 0
  for (let same = 0; same < length; same += 1) if (chunk[at + same] !== fixed[same]) return false
  return true
}

/** Position of the quote that ends a string; -1 for one that is long, or not whole, or has in it what no JSON string may have. */
function endOfString(chunk: Buffer, start: number): number {
  const last = Math.min(chunk.length, start + STRING_MAX)
  let at = start
  while (at < last) {
    const byte = chunk[at] as number
    if (byte === QUOTE) return at
    if (byte < SPACE) return -1
    at += byte === BACKSLASH ? 2 : 1
  }
  return -1
}
