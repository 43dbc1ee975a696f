/**
 * Segments: the journal's files, and how a line in them is read.
 *
 * A position is a number of bytes since the journal began. A segment is named by the position it starts at, begins with a header line
 * and one `open` line per hold unresolved at that moment, and goes on with a line per fact. What charges have in common has a line of its
 * own before the first that needs it (`named-places.ts`).
 */
import { isUtf8 } from 'node:buffer'
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Fact, HoldFact } from '../ledger/facts.ts'
import { type PlacesKnown, type PlacesLine, type PlacesNamed, readCharges } from './named-places.ts'

/** What is written. 2: charges call the places that a line before them has named. */
export const JOURNAL_VERSION = 2
/** What can be read. In 1 all charges were written line by line. */
export const READABLE_VERSIONS: ReadonlySet<unknown> = new Set([1, JOURNAL_VERSION])

export interface Segment {
  readonly path: string
  readonly start: number
  /** Bytes, of which the last few may be a torn line. */
  readonly size: number
}

export interface HeaderLine {
  readonly t: 'segment'
  readonly version: number
  readonly journal: string
}

/** What a line says. `garbage` is one that is neither. */
export type Line =
  | { readonly kind: 'fact'; readonly fact: Fact; readonly end: number }
  | { readonly kind: 'header'; readonly header: HeaderLine; readonly end: number }
  | {
      readonly kind: 'garbage'
      readonly start: number
      readonly end: number
      readonly bytes: Buffer
      readonly why: string
    }

interface LineOptions {
  readonly limit: number
  readonly bytesMax: number
  readonly holds: boolean
  readonly places: PlacesRead
}

export interface Lines {
  readonly lines: readonly Line[]
  /** Where to read on; not beyond the last whole line. */
  readonly end: number
  /** Bytes read, for pacing. */
  readonly bytes: number
}

const FACT_KINDS: ReadonlySet<unknown> = new Set<Fact['t']>([
  'hold',
  'settle',
  'void',
  'refuse',
  'correct',
  'seen',
  'disable',
  'alert',
  'notice',
  'delivery',
  'stored',
])
const NEW_LINE = '\n'.charCodeAt(0)

export function segmentPath(directory: string, start: number): string {
  return join(directory, `${start.toString().padStart(20, '0')}.jsonl`)
}

/** The segments of a journal in order. One that is removed at this moment is no longer there. */
export function listSegments(directory: string): Segment[] {
  return readdirSync(directory)
    .filter((name) => /^\d{20}\.jsonl$/.test(name))
    .sort()
    .flatMap((name) => {
      const path = join(directory, name)
      const size = statSync(path, { throwIfNoEntry: false })?.size
      return size === undefined ? [] : [{ path, start: Number.parseInt(name, 10), size }]
    })
}

export function headerLine(journal: string): string {
  return `${JSON.stringify({ t: 'segment', version: JOURNAL_VERSION, journal } satisfies HeaderLine)}\n`
}

/** A fact's line. Its places have been named. */
export function factLine(fact: Fact, places: PlacesNamed): string {
  if (fact.t === 'hold') return holdLine('hold', fact, places)
  if (!('event' in fact) || fact.json === undefined) return `${JSON.stringify(fact)}\n`
  return `{"t":"${fact.t}","event":${fact.json.slice(0, -1)},"charges":${places.textOf(fact.event.charges)}}}\n`
}

/** A hold that was unresolved when its segment began: the same content as its `hold` line in an earlier one, or further on in this one. */
export function openLine(hold: HoldFact, places: PlacesNamed): string {
  return holdLine('open', hold, places)
}

function holdLine(t: 'hold' | 'open', hold: HoldFact, places: PlacesNamed): string {
  const { identity, at, charges, inputTokens, inputCostNanoUsd, outputTokens, costNanoUsd } = hold
  const text = JSON.stringify({ t, identity, at, inputTokens, inputCostNanoUsd, outputTokens, costNanoUsd })
  return `${text.slice(0, -1)},"charges":${places.textOf(charges)}}\n`
}

/**
 * Reads whole lines of one segment from `position` on, about `bytesMax` of them and not past `limit` (positions). Without `holds` their
 * lines are passed over unread: a dump has no use for them. `places` is kept from one call to the next.
 */
export function readLines(
  segment: Pick<Segment, 'path' | 'start'>,
  position: number,
  { limit, bytesMax, holds, places }: LineOptions,
): Lines {
  while (!places.lookBack(segment, position)) {}
  const bytes = readBytes(segment.path, position - segment.start, limit - position, bytesMax)
  const lines: Line[] = []
  let from = 0
  for (let to = bytes.indexOf(NEW_LINE); to !== -1; to = bytes.indexOf(NEW_LINE, from)) {
    const line = bytes.subarray(from, to)
    if (holds || !isHoldLine(line)) {
      const parsed = parseLine(line, position + from, position + to + 1, places)
      if (parsed !== null && (holds || parsed.kind !== 'fact' || parsed.fact.t !== 'hold')) lines.push(parsed)
    }
    from = to + 1
  }
  places.passed(position + from)
  return { lines, end: position + from, bytes: bytes.length }
}

/** At most `available` bytes at `offset`; about `wanted`, but never less than one whole line where there is one. */
function readBytes(path: string, offset: number, available: number, wanted: number): Buffer {
  const file = openSync(path, 'r')
  try {
    for (let size = Math.min(wanted, available); ; size = Math.min(size * 2, available)) {
      const buffer = Buffer.allocUnsafe(size)
      let filled = 0
      while (filled < size) {
        const read = readSync(file, buffer, filled, size - filled, offset + filled)
        if (read === 0) break
        filled += read
      }
      const bytes = buffer.subarray(0, filled)
      if (bytes.includes(NEW_LINE) || filled < size || size === available) return bytes
    }
  } finally {
    closeSync(file)
  }
}

const HOLD_STARTS = ['{"t":"hold"', '{"t":"open"'].map((text) => Buffer.from(text))

function isHoldLine(line: Buffer): boolean {
  return HOLD_STARTS.some((start) => startsWith(line, start))
}

function startsWith(line: Buffer, start: Buffer): boolean {
  return line.length > start.length && line.compare(start, 0, start.length, 0, start.length) === 0
}

/** Null for a line that says nothing by itself. */
function parseLine(bytes: Buffer, start: number, end: number, places: PlacesRead): Line | null {
  try {
    // Decoding would put a mark in the place of what is damaged, and a name or an id with that mark into the books.
    if (!isUtf8(bytes)) throw new Error('not UTF-8')
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && 't' in value) {
      if (value.t === 'segment') return { kind: 'header', header: value as HeaderLine, end }
      if (value.t === 'places') {
        places.named(value as PlacesLine)
        return null
      }
      const fact = value.t === 'open' ? { ...value, t: 'hold' } : value
      if (FACT_KINDS.has(fact.t)) return { kind: 'fact', fact: places.spelledOut(fact as Fact), end }
    }
  } catch (error) {
    return { kind: 'garbage', start, end, bytes, why: error instanceof Error ? error.message : String(error) }
  }
  return { kind: 'garbage', start, end, bytes, why: 'not a fact' }
}

const PLACES_START = Buffer.from('{"t":"places"')
/** What is looked through at once: about a millisecond. */
const LOOK_BACK_BYTES = 1_048_576

/** The places that a file has named, as far as it has been read. */
export class PlacesRead {
  #path = ''
  #until = 0
  readonly #known: PlacesKnown = new Map()

  /**
   * Looks through what lies before `position` in a file that has not been read from its start: a part of it, for it may be long. True once
   * everything is known that lines from there on may call.
   */
  lookBack(segment: Pick<Segment, 'path' | 'start'>, position: number): boolean {
    if (segment.path !== this.#path) {
      this.#path = segment.path
      this.#until = segment.start
      this.#known.clear()
    }
    if (this.#until >= position) return true
    const bytes = readBytes(segment.path, this.#until - segment.start, position - this.#until, LOOK_BACK_BYTES)
    let from = 0
    for (let to = bytes.indexOf(NEW_LINE); to !== -1; to = bytes.indexOf(NEW_LINE, from)) {
      const line = bytes.subarray(from, to)
      // Damage is the quarantine's, which sees it when it is read as a line.
      if (startsWith(line, PLACES_START)) parseLine(line, 0, 0, this)
      from = to + 1
    }
    // Without a whole line there is only a torn one, or none.
    this.#until = from === 0 ? position : this.#until + from
    return this.#until >= position
  }

  /** How many are kept. */
  get size(): number {
    return this.#known.size
  }

  /** Nobody reads files for now: what one of them has named may be tens of megabytes, and is looked for again where it is needed. */
  forget(): void {
    this.#path = ''
    this.#known.clear()
  }

  named({ number, limits }: PlacesLine): void {
    this.#known.set(number, limits)
  }

  /** Everything before `position` has been read. */
  passed(position: number): void {
    this.#until = Math.max(this.#until, position)
  }

  /** The fact with its charges line by line. Throws when its file has not named where they are. */
  spelledOut(fact: Fact): Fact {
    if (fact.t === 'hold') return { ...fact, charges: readCharges(fact.charges, this.#known, true) }
    if (!('event' in fact) || fact.event === null || typeof fact.event !== 'object') return fact
    return { ...fact, event: { ...fact.event, charges: readCharges(fact.event.charges, this.#known, false) } }
  }
}
