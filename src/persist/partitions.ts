/**
 * Partitions: `usage_events` by month of the millisecond inside the request id, made when first needed and a little ahead.
 */
import { type Kysely, sql } from 'kysely'
import { lowestIdAt, timeOfId } from '../units/id.ts'
import { relationExists } from './relation-exists.ts'
import type { Tables } from './tables.ts'

interface Month {
  /** Milliseconds since the epoch. */
  readonly start: number
  readonly end: number
}

/** The month after this one is made so long before it begins. */
const AHEAD_MS = 3 * 86_400_000
/** Ids further from now than this are a clock's mistake and stay in the default partition. */
const PLAUSIBLE_MS = 400 * 86_400_000
const LOCK_KEY = 4_770_002

export class Partitions {
  readonly #db: Kysely<Tables>
  readonly #known = new Set<number>()

  constructor(db: Kysely<Tables>) {
    this.#db = db
  }

  /** Makes the partitions that events with these request ids need, and the one of the coming month when it is near. */
  async ensure(requestIds: Iterable<string>, now: number): Promise<void> {
    const months = new Map<number, Month>()
    for (const at of [now, now + AHEAD_MS]) add(months, at)
    let last: Month | null = null
    for (const id of requestIds) {
      const at = timeOfId(id)
      if (!(Math.abs(at - now) < PLAUSIBLE_MS) || (last !== null && at >= last.start && at < last.end)) continue
      last = add(months, at)
    }
    for (const month of months.values()) {
      if (this.#known.has(month.start)) continue
      await this.#make(month)
      this.#known.add(month.start)
    }
  }

  /** When the oldest month begins of which the events are there, in ms; null where there is none. */
  async oldestStart(): Promise<number | null> {
    const starts = (await this.#months()).map(({ start }) => start)
    return starts.length === 0 ? null : Math.min(...starts)
  }

  /** Removes the partitions whose month ended at or before `before` (ms), events and all; returns their names. */
  async dropBefore(before: number): Promise<string[]> {
    const dropped: string[] = []
    for (const { start, end } of await this.#months()) {
      if (end > before) continue
      const name = partitionName(start)
      await sql`drop table ${sql.table(name)}`.execute(this.#db)
      this.#known.delete(start)
      dropped.push(name)
    }
    return dropped
  }

  /** The months that have a partition, in order. */
  async #months(): Promise<Month[]> {
    const { rows } = await sql<{ name: string }>`
      select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = 'usage_events'::regclass order by relname`.execute(this.#db)
    return rows.flatMap(({ name }) => {
      const [, year, month] = /^usage_events_(\d{4})_(\d{2})$/.exec(name) ?? []
      return year === undefined ? [] : [monthAt(Date.UTC(Number(year), Number(month) - 1))]
    })
  }

  /**
   * Filled from the default partition before it is attached: rows of this month may have gone there while its time was implausible.
   * Attaching, unlike creating in place, does not stop inserts into the other partitions.
   */
  async #make({ start, end }: Month): Promise<void> {
    const name = partitionName(start)
    const table = sql.table(name)
    const [from, to] = [sql.lit(lowestIdAt(start)), sql.lit(lowestIdAt(end))]
    await this.#db.transaction().execute(async (trx) => {
      await sql`select pg_advisory_xact_lock(${LOCK_KEY})`.execute(trx)
      if (await relationExists(trx, name)) return
      await sql`create table ${table} (like usage_events including all)`.execute(trx)
      await sql`
        with moved as (delete from usage_events_default where request_id >= ${from} and request_id < ${to} returning *)
        insert into ${table} select * from moved`.execute(trx)
      await sql`alter table usage_events attach partition ${table} for values from (${from}) to (${to})`.execute(trx)
    })
  }
}

function add(months: Map<number, Month>, at: number): Month {
  const month = monthAt(at)
  months.set(month.start, month)
  return month
}

function monthAt(at: number): Month {
  const date = new Date(at)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
  return { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) }
}

function partitionName(start: number): string {
  return `usage_events_${new Date(start).toISOString().slice(0, 7).replace('-', '_')}`
}
