/**
 * Hex column: ids or hashes by the million, each as a few 32-bit words: a fifth of what strings take, and nothing for the garbage collector
 * to look at.
 *
 * Postgres writes both in one form, lower-case hexadecimal. Any other text is kept beside the column, once, and its number stands in the
 * words. Only stores that are filled by hand have such texts, so they stay when their rows go.
 */
import { grown } from './grown.ts'

export type Words = Uint32Array

/**
 * So many words of zero begin what is not hexadecimal, or not there; the fourth word is its number. What is not there is all zeros, as the
 * column was made: for a million keys without a team the memory is never touched.
 */
const STRANGE_WORDS = 3
const NONE = 0

const DASH = '-'.charCodeAt(0)
const NO_DIGIT = 0xff
const DIGITS = '0123456789abcdef'
const DIGIT_CODES = Uint8Array.from(DIGITS, (digit) => digit.charCodeAt(0))
const DIGIT_VALUES = new Uint8Array(256).fill(NO_DIGIT)
for (const [value, code] of DIGIT_CODES.entries()) DIGIT_VALUES[code] = value

/** What is between the digits of each kind of text. */
const DASHES = { uuid: [8, 13, 18, 23], sha256: [] } as const
const LENGTHS = { uuid: 36, sha256: 64 } as const

export class HexColumn {
  readonly #length: number
  readonly #dashes: readonly number[]
  /** Where the digits are. */
  readonly #places: readonly number[]
  /** Words of digits; a tag is the word behind them. */
  readonly #digitWords: number
  readonly #width: number
  readonly #scratch: Words
  readonly #text: Buffer
  readonly #strange: string[] = ['']
  readonly #strangeNumbers = new Map<string, number>()
  #words: Words = new Uint32Array(0)

  /** @param isTagged whether each row has a small number beside its text, which tells rows of the same text apart */
  constructor(kind: 'uuid' | 'sha256', isTagged = false) {
    this.#length = LENGTHS[kind]
    this.#dashes = DASHES[kind]
    this.#places = Array.from({ length: this.#length }, (_, at) => at).filter((at) => !this.#dashes.includes(at))
    this.#digitWords = this.#places.length / 8
    this.#width = this.#digitWords + (isTagged ? 1 : 0)
    this.#scratch = new Uint32Array(this.#width)
    this.#text = Buffer.alloc(this.#length, '-')
  }

  /** Makes room for `rows`. */
  grow(rows: number): void {
    this.#words = grown(this.#words, rows * this.#width)
  }

  write(row: number, text: string | null, tag = 0): void {
    this.put(row, this.intern(text, tag))
  }

  put(row: number, words: Words): void {
    const base = row * this.#width
    for (let at = 0; at < this.#width; at += 1) {
      const word = words[at] as number
      if (this.#words[base + at] !== word) this.#words[base + at] = word
    }
  }

  read(row: number): string | null {
    const base = row * this.#width
    if (this.#isStrange(this.#words, base)) {
      const number = this.#words[base + STRANGE_WORDS] as number
      return number === NONE ? null : (this.#strange[number] as string)
    }
    for (let at = 0; at < this.#places.length; at += 1) {
      const word = this.#words[base + (at >> 3)] as number
      this.#text[this.#places[at] as number] = DIGIT_CODES[(word >>> (28 - 4 * (at & 7))) & 15] as number
    }
    return this.#text.toString('latin1')
  }

  tagAt(row: number): number {
    return this.#words[row * this.#width + this.#digitWords] as number
  }

  /** The words to find a text by, good until the next call; null for one that no row can have. */
  wordsOf(text: string | null, tag = 0): Words | null {
    if (text === null) return this.#strangeWords(NONE, tag)
    if (!this.#parse(text)) {
      const number = this.#strangeNumbers.get(text)
      return number === undefined ? null : this.#strangeWords(number, tag)
    }
    this.#tag(tag)
    return this.#scratch
  }

  /** The words of a text that is to be put into a row, good until the next call. */
  intern(text: string | null, tag = 0): Words {
    const words = this.wordsOf(text, tag)
    if (words !== null) return words
    const number = this.#strange.push(text as string) - 1
    this.#strangeNumbers.set(text as string, number)
    return this.#strangeWords(number, tag)
  }

  /** The words of a row, likewise. */
  wordsAt(row: number): Words {
    const base = row * this.#width
    for (let at = 0; at < this.#width; at += 1) this.#scratch[at] = this.#words[base + at] as number
    return this.#scratch
  }

  matches(row: number, words: Words): boolean {
    const base = row * this.#width
    for (let at = 0; at < this.#width; at += 1) if (this.#words[base + at] !== words[at]) return false
    return true
  }

  hashAt(row: number): number {
    return this.#hash(this.#words, row * this.#width)
  }

  hashOf(words: Words): number {
    return this.#hash(words, 0)
  }

  #hash(words: Words, base: number): number {
    let hash = 0
    for (let at = 0; at < this.#width; at += 1) {
      hash = Math.imul(hash ^ (words[base + at] as number), 0x9e37_79b1)
      hash ^= hash >>> 15
    }
    return hash >>> 0
  }

  /** Into the scratch words. False where the text is none of this column's. */
  #parse(text: string): boolean {
    if (text.length !== this.#length) return false
    for (const at of this.#dashes) if (text.charCodeAt(at) !== DASH) return false
    let word = 0
    for (let at = 0; at < this.#places.length; at += 1) {
      const digit = DIGIT_VALUES[text.charCodeAt(this.#places[at] as number)] ?? NO_DIGIT
      if (digit === NO_DIGIT) return false
      word = (word << 4) | digit
      if ((at & 7) === 7) this.#scratch[at >> 3] = word
    }
    return !this.#isStrange(this.#scratch, 0)
  }

  #isStrange(words: Words, base: number): boolean {
    return words[base] === 0 && words[base + 1] === 0 && words[base + 2] === 0
  }

  #strangeWords(number: number, tag: number): Words {
    for (let at = 0; at < this.#digitWords; at += 1) this.#scratch[at] = at === STRANGE_WORDS ? number : 0
    this.#tag(tag)
    return this.#scratch
  }

  #tag(tag: number): void {
    if (this.#width > this.#digitWords) this.#scratch[this.#digitWords] = tag
  }
}
