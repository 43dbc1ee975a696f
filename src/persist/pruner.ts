/**
 * Pruner: once a day forgets what is older than the retention. Events go by whole months; windows that began before go into their
 * limit's closed total, so that lifetime totals stay.
 */
import { type Kysely, sql } from 'kysely'
import type { Duration } from '../units/duration.ts'
import type { Log } from '../units/log.ts'
import { BIGINT_MAX } from './column-types.ts'
import { Partitions } from './partitions.ts'
import { moment } from './repositories/db.ts'
import { type Tables, timestamp } from './tables.ts'

export interface PrunerOptions {
  readonly db: Kysely<Tables>
  /** How long events are kept. */
  readonly events: Duration
  readonly log: Log
}

export interface Pruned {
  /** Partitions of `usage_events` that were dropped. */
  readonly partitions: readonly string[]
  /** Rows of `limit_usage` that were closed. */
  readonly windows: number
}

const DAY_MS = 86_400_000
/** Rows in one statement: it shares its locks with the dump. */
const ROWS_MAX = 5_000

export class Pruner {
  readonly #options: PrunerOptions
  readonly #partitions: Partitions
  #lastAt = Number.NEGATIVE_INFINITY

  constructor(options: PrunerOptions) {
    this.#options = options
    this.#partitions = new Partitions(options.db)
  }

  /** Does its work when a day has passed since the last time. A step for the persister; `now` in ms. */
  async run(now: number): Promise<Pruned | null> {
    if (Math.abs(now - this.#lastAt) < DAY_MS) return null
    const before = reachBack(now, this.#options.events)
    const pruned = { partitions: await this.#partitions.dropBefore(before), windows: await this.#closeWindows(before) }
    await this.#options.db.deleteFrom('stored_objects').where('created_at', '<', moment(before)).execute()
    this.#lastAt = now
    if (pruned.partitions.length + pruned.windows > 0)
      this.#options.log.info(pruned, 'usage beyond its retention removed')
    return pruned
  }

  /** The two newest windows of a limit stay whatever their age: a window may be years long, or for ever. */
  async #closeWindows(before: number): Promise<number> {
    let closed = 0
    for (;;) {
      const { rows } = await sql<{ count: bigint }>`
        with old as (
          select limit_id, count_number, window_start from limit_usage u
          where window_start < ${timestamp(before)} and 2 = (
            select count(*) from (
              select from limit_usage newer
              where newer.limit_id = u.limit_id
                and (newer.count_number, newer.window_start) > (u.count_number, u.window_start)
              limit 2) as two)
          limit ${ROWS_MAX}),
        gone as (
          delete from limit_usage u using old
          where (u.limit_id, u.count_number, u.window_start) = (old.limit_id, old.count_number, old.window_start)
          returning u.limit_id, u.metric, u.posted),
        added as (
          insert into limit_closed as c (limit_id, metric, posted)
          select limit_id, metric, sum(posted) from gone group by limit_id, metric order by limit_id, metric
          on conflict (limit_id, metric) do update set posted = least(c.posted::numeric + excluded.posted, ${BIGINT_MAX})::bigint)
        select count(*) as count from gone`.execute(this.#options.db)
      const count = Number(rows[0]?.count ?? 0n)
      closed += count
      if (count < ROWS_MAX) return closed
    }
  }
}

/** The moment that lies `duration` before `now`; from a 31st the last day of a shorter month. */
function reachBack(now: number, duration: Duration): number {
  if (duration.kind === 'exact') return now - duration.ms
  const { months } = duration
  return Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO('UTC').subtract({ months }).epochMilliseconds
}
