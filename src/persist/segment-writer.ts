/**
 * Segment writer: puts bytes at the journal's end, begins a new file where one is due, and removes files that are no longer needed.
 *
 * Synchronous, and exact about failure: what the disk did not take is kept, in order, for the next try.
 */
import { openSync, unlink, writeSync } from 'node:fs'
import type { Log } from '../units/log.ts'
import type { DiskSync } from './disk-sync.ts'
import { listSegments, type Segment, segmentPath } from './segments.ts'

export interface SegmentWriterOptions {
  readonly directory: string
  readonly log: Log
  /** A new file begins beyond this. */
  readonly segmentBytes: number
  readonly sync: DiskSync
  /** The lines a new file begins with. */
  readonly preamble: () => string
  /** Stands in for `fs.writeSync` in tests of full disks. */
  readonly write?: (file: number, bytes: Uint8Array) => number
}

interface OpenSegment extends Segment {
  size: number
  /** Its preamble is written: from here on the files before are not needed to know the open holds. */
  complete: boolean
}

export class SegmentWriter {
  readonly #directory: string
  readonly #log: Log
  readonly #segmentBytes: number
  readonly #sync: DiskSync
  readonly #preamble: () => string
  readonly #write: (file: number, bytes: Uint8Array) => number
  readonly #segments: OpenSegment[]
  #file: number | null = null
  #end: number
  #sizeBytes: number
  #unwritten: Uint8Array = new Uint8Array(0)
  /** Whether `#unwritten` has its place in the open file, preamble included. */
  #placed = false

  constructor(options: SegmentWriterOptions) {
    this.#directory = options.directory
    this.#log = options.log
    this.#segmentBytes = options.segmentBytes
    this.#sync = options.sync
    this.#preamble = options.preamble
    this.#write = options.write ?? ((file, bytes) => writeSync(file, bytes))
    this.#segments = listSegments(options.directory).map((segment) => ({ ...segment, complete: false }))
    const last = this.#segments.at(-1)
    this.#end = last === undefined ? 0 : last.start + last.size
    this.#sizeBytes = this.#segments.reduce((sum, { size }) => sum + size, 0)
  }

  /** The files, first to last. */
  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** Position behind the last bytes of which nothing is left over. */
  get end(): number {
    return this.#end
  }

  /** Bytes of all files together. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The open file; null before the first write. */
  get file(): number | null {
    return this.#file
  }

  /** Whether an earlier write has left something over. */
  get hasUnwritten(): boolean {
    return this.#unwritten.length > 0
  }

  /** The next file begins no earlier than at `position`. Before the first write only. */
  skipTo(position: number): void {
    this.#end = Math.max(this.#end, position)
  }

  /** Writes `text` behind everything there is. Throws when the disk does not take it all; {@link resume} goes on from there. */
  append(text: string): void {
    if (this.hasUnwritten) throw new Error('an earlier write has to be finished first')
    this.#unwritten = Buffer.from(text)
    this.resume()
  }

  /** Writes what an earlier write left over. Throws as that did. */
  resume(): void {
    if (!this.hasUnwritten) return
    if (!this.#placed) this.#place()
    const { file, segment } = this.#open()
    while (this.hasUnwritten) {
      const taken = this.#write(file, this.#unwritten)
      this.#unwritten = this.#unwritten.subarray(taken)
      segment.size += taken
      this.#sizeBytes += taken
    }
    this.#placed = false
    segment.complete = true
    this.#end = segment.start + segment.size
  }

  /** How many files lie wholly before `position` and are not needed to know an open hold either. */
  removable(position: number): number {
    return Math.max(
      this.#segments.findLastIndex(({ complete, start }) => complete && start <= position),
      0,
    )
  }

  remove(count: number): void {
    for (const { path, size } of this.#segments.splice(0, count)) {
      this.#sizeBytes -= size
      unlink(path, (error) => {
        if (error !== null) this.#log.warn({ err: error, path }, 'journal file could not be removed')
      })
    }
  }

  /** Gives the open file to the sync, which closes it. */
  close(): void {
    if (this.#file !== null) this.#sync.retire(this.#file)
    this.#file = null
  }

  #open(): { file: number; segment: OpenSegment } {
    const segment = this.#segments.at(-1)
    if (segment === undefined || this.#file === null) throw new Error('no journal file is open')
    return { file: this.#file, segment }
  }

  /** Decides in which file `#unwritten` belongs: the open one, or a new one that then begins with its preamble. */
  #place(): void {
    if (this.#file === null || this.#open().segment.size >= this.#segmentBytes) {
      const preamble = Buffer.from(this.#preamble())
      const path = segmentPath(this.#directory, this.#end)
      const file = openSync(path, 'a', 0o600)
      this.close()
      this.#file = file
      // A start whose first write failed has left this very file, empty: listed twice, it would be removed as the older of the two.
      if (this.#segments.at(-1)?.start === this.#end) this.#segments.pop()
      this.#segments.push({ path, start: this.#end, size: 0, complete: false })
      this.#syncDirectory()
      this.#unwritten = Buffer.concat([preamble, this.#unwritten])
    }
    this.#placed = true
  }

  /** The name of the new file has to survive a power cut as well as what is in it. */
  #syncDirectory(): void {
    try {
      this.#sync.retire(openSync(this.#directory, 'r'))
    } catch {
      // Windows opens no directories, and needs no sync of them.
    }
  }
}
