/**
 * Dump: brings what the journal holds into the books, each fact exactly once whatever breaks in between (DESIGN section 9).
 *
 * One transaction per batch. Its first statement moves the journal's applied position from where we believe it is: if that changes no
 * row, our belief is wrong (an earlier COMMIT landed although its answer was lost), and the truth is read instead. Sums are added only
 * for events that were not there yet. A batch that the database refuses for what is in it is halved until the one bad fact is found.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Fact } from '../ledger/facts.ts'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { Database } from './database.ts'
import { isAboutTheData, writeFacts } from './dump-batch.ts'
import { movePosition } from './dump-statements.ts'
import type { Journal } from './journal.ts'
import { type Garbage, lookBack, readBatch } from './journal-reader.ts'
import { Partitions } from './partitions.ts'
import type { Quarantine } from './quarantine.ts'

export interface DumpOptions {
  readonly database: Database
  readonly journal: Journal
  readonly quarantine: Quarantine
  readonly clock: Clock
  readonly log: Log
  /** Facts in one transaction. Default 5,000. */
  readonly batchMax?: number
}

export interface DumpReport {
  /** Facts brought into the books or, the bad ones, into the quarantine. */
  readonly facts: number
  /** Lines torn by a crash and passed over. */
  readonly torn: number
}

interface Work {
  readonly facts: readonly Fact[]
  /** Null where only the position behind the last fact is known. */
  readonly ends: readonly number[] | null
  readonly garbage: readonly Garbage[]
  readonly torn: number
  readonly end: number
}

/** The applied position was not where we believed. */
class PositionMoved extends Error {}

/** What one transaction brings over at most, in bytes of the journal. */
const BATCH_BYTES = 2 * 1_048_576

export class Dump {
  readonly #options: DumpOptions
  readonly #partitions: Partitions
  readonly #batchMax: number
  #applied: number | null = null
  /** Up to here facts are read from the files, where each one's position is known. */
  #exactUntil = 0

  constructor(options: DumpOptions) {
    this.#options = options
    this.#partitions = new Partitions(options.database.db)
    this.#batchMax = options.batchMax ?? 5_000
  }

  /** How far the books have the journal, in bytes; null before {@link readPosition} has asked them. */
  get applied(): number | null {
    return this.#applied
  }

  /** Asks the books how far they have this journal; a new journal begins at 0. */
  async readPosition(): Promise<number> {
    const { database, journal } = this.#options
    await database.db
      .insertInto('journal_positions')
      .values({ journal_id: journal.id, applied: 0n })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    const row = await database.db
      .selectFrom('journal_positions')
      .select('applied')
      .where('journal_id', '=', journal.id)
      .executeTakeFirstOrThrow()
    this.#applied = Number(row.applied)
    return this.#applied
  }

  /** Brings everything that is in the journal at this moment into the books. Throws when the database cannot take it now. */
  async run(): Promise<DumpReport> {
    const { journal } = this.#options
    const target = journal.end
    let facts = 0
    let torn = 0
    for (let applied = this.#applied ?? (await this.readPosition()); applied < target; ) {
      const work = await this.#next(applied, target)
      for (const garbage of work.garbage) this.#options.quarantine.addGarbage(garbage)
      await this.#partitions.ensure(requestIds(work.facts), this.#options.clock.now())
      try {
        const before = applied
        applied = await this.#apply(work, applied)
        if (applied > before) facts += work.facts.length
        torn += work.torn
      } catch (error) {
        if (!(error instanceof PositionMoved)) throw error
        const truth = await this.readPosition()
        this.#options.log.warn(
          { believed: applied, applied: truth },
          'books are at another journal position than believed',
        )
        applied = truth
      }
      journal.forget(applied)
      await nextTurn()
    }
    await this.#removeFiles()
    return { facts, torn }
  }

  /** A batch, read in pieces between which requests are served. */
  async #next(applied: number, target: number): Promise<Work> {
    const { journal } = this.#options
    const recent = applied < this.#exactUntil ? null : journal.recent(applied, this.#batchMax)
    if (recent !== null) {
      journal.placesRead.forget()
      return { ...recent, ends: null, garbage: [], torn: 0 }
    }
    while (!lookBack(journal, applied)) await nextTurn()
    const [facts, ends, garbage]: [Fact[], number[], Garbage[]] = [[], [], []]
    let torn = 0
    let end = applied
    while (end < target && end - applied < BATCH_BYTES && facts.length < this.#batchMax) {
      const piece = readBatch(journal, end, { factsMax: this.#batchMax - facts.length, holds: false })
      facts.push(...piece.facts)
      ends.push(...piece.ends)
      garbage.push(...piece.garbage)
      torn += piece.torn
      if (piece.end === end) break
      end = piece.end
      await nextTurn()
    }
    return { facts, ends, garbage, torn, end }
  }

  /** Writes one batch, or the parts of it that can be written, and returns the position then applied. */
  async #apply(work: Work, from: number): Promise<number> {
    const { facts, ends, end } = work
    try {
      await this.#commit(facts, from, end)
      return end
    } catch (error) {
      if (!isAboutTheData(error)) throw error
      if (ends === null) {
        this.#exactUntil = end
        return from
      }
      if (facts.length <= 1) return await this.#giveUpOn(work, from, error)
      const half = facts.length >> 1
      const middle = ends[half - 1] as number
      const first = { ...work, facts: facts.slice(0, half), ends: ends.slice(0, half), end: middle }
      const second = { ...work, facts: facts.slice(half), ends: ends.slice(half) }
      await this.#apply(first, from)
      return await this.#apply(second, middle)
    }
  }

  /** The one bad fact goes to the quarantine, then the position moves over it. */
  async #giveUpOn({ facts, end }: Work, from: number, error: unknown): Promise<number> {
    // Without a fact it was the position alone that could not be moved, and nothing may be passed over for that.
    if (facts[0] === undefined) throw error
    this.#options.quarantine.addFact(facts[0], end, error)
    await this.#commit([], from, end)
    return end
  }

  async #commit(facts: readonly Fact[], from: number, to: number): Promise<void> {
    const { database, journal } = this.#options
    await database.db.transaction().execute(async (trx) => {
      if (!(await movePosition(trx, journal.id, from, to))) throw new PositionMoved()
      await writeFacts(trx, facts)
    })
    this.#applied = to
  }

  /** Files that the books wholly have go, once a power cut could not take the books back behind them. */
  async #removeFiles(): Promise<void> {
    const { database, journal } = this.#options
    const applied = this.#applied ?? 0
    if (!journal.hasFilesBefore(applied)) return
    await database.checkpoint()
    journal.removeBefore(applied)
  }
}

function* requestIds(facts: readonly Fact[]): Generator<string> {
  for (const fact of facts) {
    if ('event' in fact && typeof fact.event?.requestId === 'string') yield fact.event.requestId
  }
}
