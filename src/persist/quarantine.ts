/**
 * Quarantine: what the books could not take, one JSON file each, so that a single bad fact neither stops the rest nor is lost.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
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
    mkdirSync(options.directory, { recursive: true, mode: 0o700 })
    this.#count = readdirSync(options.directory).length
  }

  /** How many files lie here and wait for somebody. */
  get count(): number {
    return this.#count
  }

  /** Keeps a fact that the database refuses; `end` is the journal position behind it. Throws when the disk does not take it. */
  addFact(fact: Fact, end: number, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    this.#write(end, { why, fact })
    this.#options.log.error({ err: error, position: end, fact: fact.t }, 'fact put into quarantine')
  }

  /** Keeps a journal line that is no fact. */
  addGarbage({ file, position, bytes, why }: Garbage): void {
    this.#write(position, { why, file, text: bytes.toString('utf8'), base64: bytes.toString('base64') })
    this.#options.log.error({ file, position, why }, 'journal line put into quarantine')
  }

  /** Named by position: what is read twice (a retry, a restart) is kept once. */
  #write(position: number, content: object): void {
    const { directory, journalId, clock } = this.#options
    const path = join(directory, `${journalId}-${position.toString().padStart(20, '0')}.json`)
    const at = new Date(clock.now()).toISOString()
    writeFileSync(path, `${JSON.stringify({ journal: journalId, position, at, ...content }, null, 2)}\n`, {
      mode: 0o600,
    })
    this.#count = readdirSync(directory).length
  }
}
