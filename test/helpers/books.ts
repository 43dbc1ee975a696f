/** A database with a journal in front of it, as the gateway has them, and questions about what is in the books. */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Fact } from '../../src/ledger/facts.ts'
import type { Database } from '../../src/persist/database.ts'
import { Dump } from '../../src/persist/dump.ts'
import { Journal, type JournalOptions } from '../../src/persist/journal.ts'
import { Quarantine } from '../../src/persist/quarantine.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { type Log, silentLog } from '../../src/units/log.ts'
import { temporaryDirectory } from './databases.ts'

export interface TestBooks {
  readonly directory: string
  readonly database: Database
  readonly journal: Journal
  readonly quarantine: Quarantine
  readonly dump: Dump
  readonly clock: ManualClock
  /** Appends and waits until it is written. */
  write(facts: readonly Fact[]): Promise<void>
}

export interface TestBooksOptions {
  readonly directory?: string
  readonly journal?: Partial<JournalOptions>
  readonly batchMax?: number
  readonly log?: Log
}

export function testBooks(t: TestContext, database: Database, options: TestBooksOptions = {}): TestBooks {
  const { directory = temporaryDirectory(t), batchMax, log = silentLog } = options
  const clock = new ManualClock(Date.now())
  const journal = new Journal({
    directory: join(directory, 'journal'),
    log,
    sync: 'never',
    reserveBytes: 1,
    ...options.journal,
  })
  t.after(() => journal.close())
  const quarantine = new Quarantine({ directory: join(directory, 'quarantine'), journalId: journal.id, clock, log })
  const dump = new Dump({
    database,
    journal,
    quarantine,
    clock,
    log,
    ...(batchMax === undefined ? {} : { batchMax }),
  })
  return {
    directory,
    database,
    journal,
    quarantine,
    dump,
    clock,
    async write(facts) {
      for (const fact of facts) journal.append(fact)
      await new Promise<void>((done) => journal.flushed(done))
    },
  }
}

/** Everything the dump adds to, in a form that can be compared. */
export async function inTheBooks({ db }: Database) {
  const [events, usage, closed, hourly, corrections] = await Promise.all([
    db
      .selectFrom('usage_events')
      .select(['request_id', 'attempt', 'virtual_key_id'])
      .orderBy('request_id')
      .orderBy('attempt')
      .execute(),
    db
      .selectFrom('limit_usage')
      .selectAll()
      .orderBy('limit_id')
      .orderBy('count_number')
      .orderBy('window_start')
      .execute(),
    db.selectFrom('limit_closed').selectAll().orderBy('limit_id').orderBy('metric').execute(),
    db.selectFrom('usage_hourly').selectAll().orderBy('hour').orderBy('model').orderBy('virtual_key_id').execute(),
    db.selectFrom('corrections').select('id').orderBy('id').execute(),
  ])
  return { events, usage, closed, hourly, corrections }
}
