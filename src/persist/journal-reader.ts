/**
 * Journal reader: the journal's facts from a position on, in bounded batches, whatever a crash has left in the files.
 *
 * A torn last line (a crash, a power cut) is passed over and counted. A line in the middle that is no fact is handed out as garbage
 * with its file and position, for the quarantine.
 */
import type { Fact } from '../ledger/facts.ts'
import {
  type HeaderLine,
  JOURNAL_VERSION,
  type Line,
  type PlacesRead,
  READABLE_VERSIONS,
  readLines,
  type Segment,
} from './segments.ts'

/** The part of a journal that reading needs. */
export interface ReadableJournal {
  readonly id: string
  readonly segments: readonly Segment[]
  readonly end: number
  /** What the file read last has named. */
  readonly placesRead: PlacesRead
}

export interface Garbage {
  readonly file: string
  readonly position: number
  readonly bytes: Buffer
  readonly why: string
}

export interface Batch {
  readonly facts: readonly Fact[]
  /** For each fact the position behind it. */
  readonly ends: readonly number[]
  readonly garbage: readonly Garbage[]
  /** Torn lines passed over. */
  readonly torn: number
  /** Position behind everything in this batch: where the next one begins. */
  readonly end: number
}

export interface ReadOptions {
  readonly factsMax: number
  /** Hold facts too (`open` lines come out as holds). */
  readonly holds: boolean
}

/** The journal's files are not ones this version can read; the message is one line for the operator. */
export class JournalError extends Error {
  override readonly name = 'JournalError'
}

/** What one call reads at most: parsing it stays within a millisecond or two. */
const BYTES_MAX = 131_072

/** The next facts from `position` on; at the journal's end a batch of none. Synchronous. Throws {@link JournalError}. */
export function readBatch(journal: ReadableJournal, position: number, options: ReadOptions): Batch {
  const found: { facts: Fact[]; ends: number[]; garbage: Garbage[] } = { facts: [], ends: [], garbage: [] }
  let torn = 0
  let end = position
  for (let left = BYTES_MAX; left > 0 && end < journal.end && found.facts.length < options.factsMax; ) {
    const { segment, next } = segmentAt(journal, end)
    const from = Math.max(end, segment.start)
    const limit = Math.min(segment.start + segment.size, next?.start ?? journal.end, journal.end)
    const read = readLines(segment, from, { limit, bytesMax: left, holds: options.holds, places: journal.placesRead })
    end = take(journal, segment, read.lines, found, options.factsMax) ?? read.end
    if (end === from) {
      // No whole line is left here: only a line torn by a crash, after which another file was begun.
      if (limit > from) torn += 1
      end = next?.start ?? journal.end
    }
    left -= Math.max(read.bytes, 1)
  }
  return { ...found, torn, end }
}

/**
 * What has to be known before a batch is read from within a file: looks through a part of what lies before. True when it is known; reading does
 * the rest otherwise, however long that takes.
 */
export function lookBack(journal: ReadableJournal, position: number): boolean {
  const { segment } = segmentAt(journal, position)
  return position <= segment.start || journal.placesRead.lookBack(segment, position)
}

/** The last segment that begins before `position`: at a boundary the one before, which says more about open holds. */
export function segmentBefore(journal: ReadableJournal, position: number): Segment | null {
  return journal.segments.findLast(({ start }) => start < position) ?? journal.segments[0] ?? null
}

function segmentAt({ segments }: ReadableJournal, position: number): { segment: Segment; next: Segment | undefined } {
  const index = Math.max(
    segments.findLastIndex(({ start }) => start <= position),
    0,
  )
  const segment = segments[index]
  if (segment === undefined) throw new JournalError('the journal has no files, but a position in them')
  return { segment, next: segments[index + 1] }
}

/** Sorts lines into `found` until it has enough facts; then says where to go on. */
function take(
  journal: ReadableJournal,
  segment: Segment,
  lines: readonly Line[],
  { facts, ends, garbage }: { facts: Fact[]; ends: number[]; garbage: Garbage[] },
  factsMax: number,
): number | null {
  for (const line of lines) {
    if (line.kind === 'fact') {
      facts.push(line.fact)
      ends.push(line.end)
      if (facts.length >= factsMax) return line.end
    } else if (line.kind === 'garbage') {
      garbage.push({ file: segment.path, position: line.start, bytes: line.bytes, why: line.why })
    } else refuseForeign(line.header, `${segment.path}, position ${segment.start}`, journal.id)
  }
  return null
}

/** Money that cannot be accounted for stops the start; the message says what to do. */
function refuseForeign({ version, journal }: HeaderLine, place: string, id: string): void {
  if (!READABLE_VERSIONS.has(version)) {
    const other = Number.isInteger(version) ? `version ${version}` : 'an unknown version'
    throw new JournalError(
      `${place}: written in ${other} of the journal, and this program reads version ${JOURNAL_VERSION}; start the program that wrote it once more and stop it, so that it brings the journal into the database`,
    )
  }
  if (journal !== id) {
    throw new JournalError(
      `${place}: belongs to another journal (${journal}, and this one is ${id}); put the file \`id\` back that lay beside it, or move the segment away if it was copied here`,
    )
  }
}
