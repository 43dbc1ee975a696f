/**
 * Segments: the journal's files, and how a line in them is read.
 *
 * A position is a number of bytes since the journal began. A segment is named by the position it starts at, begins with a header line
 * and one `open` line per hold unresolved at that moment, and goes on with a line per fact.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Fact, HoldFact } from '../ledger/facts.ts'

export const JOURNAL_VERSION = 1

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

/** A hold that was unresolved when its segment began: the same content as its `hold` line in an earlier one, or further on in this one. */
type OpenLine = Omit<HoldFact, 't'> & { readonly t: 'open' }

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

export function openLine(hold: HoldFact): string {
  return `${JSON.stringify({ ...hold, t: 'open' } satisfies OpenLine)}\n`
}

/**
 * Reads whole lines of one segment from `position` on, about `bytesMax` of them and not past `limit` (positions). Without `holds` their
 * lines are passed over unread: a dump has no use for them.
 */
export function readLines(
  segment: Pick<Segment, 'path' | 'start'>,
  position: number,
  { limit, bytesMax, holds }: { readonly limit: number; readonly bytesMax: number; readonly holds: boolean },
): Lines {
  const bytes = readBytes(segment.path, position - segment.start, limit - position, bytesMax)
  const lines: Line[] = []
  let from = 0
  for (let to = bytes.indexOf(NEW_LINE); to !== -1; to = bytes.indexOf(NEW_LINE, from)) {
    const line = bytes.subarray(from, to)
    if (holds || !isHoldLine(line)) {
      const parsed = parseLine(line, position + from, position + to + 1)
      if (holds || parsed.kind !== 'fact' || parsed.fact.t !== 'hold') lines.push(parsed)
    }
    from = to + 1
  }
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
  return HOLD_STARTS.some(
    (start) => line.length > start.length && line.compare(start, 0, start.length, 0, start.length) === 0,
  )
}

function parseLine(bytes: Buffer, start: number, end: number): Line {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    return { kind: 'garbage', start, end, bytes, why: error instanceof Error ? error.message : String(error) }
  }
  if (typeof value === 'object' && value !== null && 't' in value) {
    if (FACT_KINDS.has(value.t)) return { kind: 'fact', fact: value as Fact, end }
    if (value.t === 'open') return { kind: 'fact', fact: { ...(value as OpenLine), t: 'hold' }, end }
    if (value.t === 'segment') return { kind: 'header', header: value as HeaderLine, end }
  }
  return { kind: 'garbage', start, end, bytes, why: 'not a fact' }
}
