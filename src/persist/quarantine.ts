/**
 * Quarantine: what the books could not take, one JSON file each, so that a single bad fact neither stops the rest nor is lost.
 */
import { mkdirSync, readdirSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Fact } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { Garbage } from './journal-reader.ts'

export interface QuarantineOptions {
  /** `quarantine/` in the data directory. */
  readonly directory: string
  readonly journalId: string
  readonly clock: Clock
  readonly log: Log
}

export class Quarantine {
  readonly #options: QuarantineOptions
  #count: number

  constructor(options: QuarantineOptions) {
    this.#options = options
    this.#count = this.#names().length
  }

  /** How many files lie here and wait for somebody, who takes them away when they are done with. */
  get count(): number {
    return this.#count
  }

  /** Looks again, because somebody may have taken some away. */
  recount(): void {
    this.#count = this.#names().length
  }

  /** How many of them have come here after `at` (wall ms). */
  addedAfter(at: number): number {
    const { directory } = this.#options
    return this.#names().filter((name) => Math.round(statSync(join(directory, name)).mtimeMs) > at).length
  }

  /** Keeps a fact that the database refuses; `end` is the journal position behind it. Throws when the disk does not take it. */
  addFact(fact: Fact, end: number, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    this.#write('', end, { why, fact })
    this.#options.log.error({ err: error, position: end, fact: fact.t }, 'fact put into quarantine')
  }

  /** Keeps a journal line that is no fact. */
  addGarbage({ file, position, bytes, why }: Garbage): void {
    this.#write('-line', position, { why, file, text: bytes.toString('utf8'), base64: bytes.toString('base64') })
    this.#options.log.error({ file, position, why }, 'journal line put into quarantine')
  }

  /**
   * Named by position, and a line apart from the fact that may end where it begins: what is read twice (a retry, a restart) is kept once, with
   * the time at which it came. Whole or not at all, since what is kept is not written again.
   */
  #write(suffix: '' | '-line', position: number, content: object): void {
    const { directory, journalId, clock } = this.#options
    const name = `${journalId}-${position.toString().padStart(20, '0')}${suffix}.json`
    const names = this.#names()
    if (names.includes(name)) return
    const path = join(directory, name)
    const now = new Date(clock.now())
    const text = JSON.stringify({ journal: journalId, position, at: now.toISOString(), ...content }, null, 2)
    writeFileSync(`${path}.part`, `${text}\n`, { mode: 0o600 })
    utimesSync(`${path}.part`, now, now)
    renameSync(`${path}.part`, path)
    this.#count = names.length + 1
  }

  #names(): string[] {
    const { directory } = this.#options
    // Somebody may have taken all of it away.
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return readdirSync(directory).filter((name) => name.endsWith('.json'))
  }
}
