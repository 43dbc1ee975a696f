/**
 * Journal: every fact, one JSON line each, in append-only files; what the books are later written from (DESIGN section 9).
 *
 * Lines of one event-loop turn are handed to the operating system in one synchronous write. That costs no measurable time, keeps the
 * order of appends, and means that a killed process loses nothing that anybody was told of. Forcing to the disk is `disk-sync.ts`'s.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Fact, type FactSink, FactSinkUnavailable, type HoldFact } from '../ledger/facts.ts'
import { newId } from '../units/id.ts'
import type { Log } from '../units/log.ts'
import { readOrCreateFile } from './data-dir.ts'
import { DiskSync, type SyncPolicy } from './disk-sync.ts'
import { PlacesNamed } from './named-places.ts'
import { RecentFacts } from './recent-facts.ts'
import { Reserve } from './reserve.ts'
import { SegmentWriter } from './segment-writer.ts'
import { factLine, headerLine, openLine, PlacesRead, type Segment } from './segments.ts'

export interface JournalOptions {
  /** `journal/` in the locked data directory; made if need be. */
  readonly directory: string
  readonly log: Log
  /** Default one second. */
  readonly sync?: SyncPolicy
  /** New work is refused while the files are larger together. Default 4 GiB. */
  readonly maxSizeBytes?: number
  /** A new file begins beyond this. Default 64 MiB, or an eighth of `maxSizeBytes` where that is less. */
  readonly segmentBytes?: number
  /** What is given back when the disk is full. Default 16 MiB. */
  readonly reserveBytes?: number
  /** How often a disk that took nothing is tried again, in ms. */
  readonly retryMs?: number
  /** Stands in for `fs.writeSync` in tests of full disks. */
  readonly write?: (file: number, bytes: Uint8Array) => number
}

const MIB = 1_048_576
/** What may wait in memory for a disk that takes nothing. */
const WAITING_CHARACTERS_MAX = 64 * MIB

export class Journal implements FactSink {
  readonly id: string
  readonly directory: string
  /** Told of every fact as it is appended. */
  onAppend: ((fact: Fact) => void) | null = null
  readonly #log: Log
  readonly #maxSizeBytes: number
  readonly #retryMs: number
  readonly #sync: DiskSync
  readonly #writer: SegmentWriter
  readonly #reserve: Reserve
  readonly #recent = new RecentFacts()
  /** Request id/attempt → its hold line, as long as nothing has resolved it. */
  readonly #holds = new Map<string, HoldFact>()
  readonly #places = new PlacesNamed()
  /** What has been read of its files; see `readBatch`. */
  readonly placesRead = new PlacesRead()
  #lines: string[] = []
  #facts: Fact[] = []
  #waitingCharacters = 0
  #flushed: (() => void)[] = []
  #turn: NodeJS.Immediate | null = null
  #retry: NodeJS.Timeout | null = null
  #writeFailure: Error | null = null
  #syncFailure: Error | null = null
  #closed = false

  /** Opens the journal; nothing is written before the first fact. Throws when the directory cannot be used. */
  constructor(options: JournalOptions) {
    const { directory, log, maxSizeBytes = 4_096 * MIB } = options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.directory = directory
    this.id = readOrCreateFile(directory, 'id', newId)
    this.#log = log
    this.#maxSizeBytes = maxSizeBytes
    this.#retryMs = options.retryMs ?? 1_000
    this.#sync = new DiskSync({ policy: options.sync ?? 1_000, onFailure: (error) => this.#syncFailed(error) })
    this.#writer = new SegmentWriter({
      directory,
      log,
      segmentBytes: options.segmentBytes ?? Math.min(64 * MIB, Math.ceil(maxSizeBytes / 8)),
      sync: this.#sync,
      preamble: () => this.#preamble(),
      ...(options.write === undefined ? {} : { write: options.write }),
    })
    this.#reserve = new Reserve(join(directory, 'reserve'), options.reserveBytes ?? 16 * MIB)
    if (!this.#reserve.take()) log.warn({ directory }, 'journal has no room for its reserve file')
  }

  /** Position behind everything that has been handed to the operating system. */
  get end(): number {
    return this.#writer.end
  }

  /** The files, first to last. */
  get segments(): readonly Segment[] {
    return this.#writer.segments
  }

  /** Bytes of all files together. */
  get sizeBytes(): number {
    return this.#writer.sizeBytes
  }

  get accepting(): boolean {
    return this.failure === null && !this.#closed && this.#writer.sizeBytes < this.#maxSizeBytes
  }

  /** Why nothing can be written at the moment; null when it can. */
  get failure(): Error | null {
    return this.#writeFailure ?? this.#syncFailure
  }

  /** Facts that are still in memory, from exactly `position` on; null when they have to be read back. Holds are left out. */
  recent(position: number, factsMax: number): { facts: readonly Fact[]; end: number } | null {
    return this.#recent.from(position, factsMax)
  }

  /**
   * After a start, before the first fact: takes over the holds of the last run that nobody has resolved, and never writes below
   * `applied`, where the books would take new facts for known ones.
   */
  begin(unresolved: Iterable<HoldFact>, applied: number): void {
    for (const hold of unresolved) this.#holds.set(attemptKey(hold.identity), hold)
    if (applied <= this.end) return
    this.#log.warn({ applied, end: this.end }, 'journal ends before what the books have of it: part of it was lost')
    this.#writer.skipTo(applied)
  }

  append(fact: Fact): void {
    if (this.#closed) throw new FactSinkUnavailable('the journal is closed')
    if (this.#waitingCharacters > WAITING_CHARACTERS_MAX) {
      throw new FactSinkUnavailable('the journal cannot be written, and too much waits for it')
    }
    const naming = this.#lineBefore(fact)
    // What is named stays named, also where the fact itself turns out to have no text.
    if (naming !== '') this.#lines.push(naming)
    const line = factLine(fact, this.#places)
    this.#lines.push(line)
    this.#waitingCharacters += naming.length + line.length
    if (fact.t === 'hold') this.#holds.set(attemptKey(fact.identity), fact)
    else this.#facts.push(fact)
    if (fact.t === 'settle' || fact.t === 'void') this.#holds.delete(attemptKey(fact.event))
    this.#turn ??= setImmediate(() => this.#flush())
    this.onAppend?.(fact)
  }

  flushed(callback: () => void): void {
    this.#flushed.push(callback)
    this.#turn ??= setImmediate(() => this.#flush())
  }

  /** The books have everything before `position`, so memory need not keep it. */
  forget(position: number): void {
    this.#recent.forget(position)
  }

  /** Whether {@link removeBefore} would remove a file. */
  hasFilesBefore(position: number): boolean {
    return this.#writer.removable(position) > 0
  }

  /** The books have everything before `position`, power cut or not: removes the files that hold nothing else. */
  removeBefore(position: number): void {
    this.#writer.remove(this.#writer.removable(position))
  }

  /** Writes and syncs what is left, then takes no more. Harmless when called twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    if (this.#waits()) this.#log.error({ err: this.failure }, 'journal closed before everything was written')
    this.#writer.close()
    await new Promise<void>((resolve) => this.#sync.finish(resolve))
  }

  #lineBefore(fact: Fact): string {
    if (fact.t === 'hold') return this.#places.lineBefore(fact.charges)
    return 'event' in fact ? this.#places.lineBefore(fact.event.charges) : ''
  }

  #waits(): boolean {
    return this.#writer.hasUnwritten || this.#lines.length > 0
  }

  /** The one write of a turn. */
  #flush(): void {
    if (this.#turn !== null) clearImmediate(this.#turn)
    this.#turn = null
    try {
      while (this.#waits()) this.#write()
    } catch (error) {
      this.#writeFailed(error instanceof Error ? error : new Error(String(error)))
      return
    }
    const callbacks = this.#flushed.map((callback) => this.#guarded(callback))
    this.#flushed = []
    if (this.#writer.file === null) for (const callback of callbacks) callback()
    else this.#sync.written(this.#writer.file, callbacks)
  }

  /** Finishes what an earlier write left over, else writes the lines of this turn. */
  #write(): void {
    const start = this.#writer.end
    if (this.#writer.hasUnwritten) this.#writer.resume()
    else {
      const text = this.#lines.join('')
      this.#recent.writing(this.#facts)
      this.#lines = []
      this.#facts = []
      this.#writer.append(text)
    }
    this.#recent.written(start, this.#writer.end)
    this.#waitingCharacters = 0
    if (this.#lines.length === 0) this.#places.written()
  }

  /** What every file begins with, so that it can be read without those before it. */
  #preamble(): string {
    const holds = [...this.#holds.values()]
    const places = this.#places.begin(holds.map(({ charges }) => charges))
    return headerLine(this.id) + places + holds.map((hold) => openLine(hold, this.#places)).join('')
  }

  #writeFailed(error: Error): void {
    const isFirst = this.#writeFailure === null
    this.#writeFailure = error
    if (isFirst) this.#log.error({ err: error }, 'journal cannot be written, refusing new work')
    // What is in flight must still be settled: the reserve's room is for that. Once at once, then by the clock.
    if (this.#reserve.release() && isFirst) this.#turn ??= setImmediate(() => this.#flush())
    this.#retry ??= setTimeout(() => this.#tryAgain(), this.#retryMs).unref()
  }

  #tryAgain(): void {
    this.#retry = null
    this.#flush()
    if (!this.#waits() && this.#reserve.take()) {
      this.#writeFailure = null
      this.#log.info({}, 'journal can be written again')
    } else this.#retry ??= setTimeout(() => this.#tryAgain(), this.#retryMs).unref()
  }

  #syncFailed(error: Error | null): void {
    this.#syncFailure = error
    if (error === null) this.#log.info({}, 'journal can be synced again')
    else this.#log.error({ err: error }, 'journal cannot be synced to the disk, refusing new work')
  }

  #guarded(callback: () => void): () => void {
    return () => {
      try {
        callback()
      } catch (error) {
        this.#log.error({ err: error }, 'a callback after a journal write threw')
      }
    }
  }
}

/** What holds and their resolutions are matched by. */
export function attemptKey({ requestId, attempt }: { readonly requestId: string; readonly attempt: number }): string {
  return attempt === 1 ? requestId : `${requestId}/${attempt}`
}
