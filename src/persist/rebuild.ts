/**
 * Rebuild: what limits and hours have in the books, made anew from events and corrections, in one look at the database.
 *
 * The sums are only ever added to, event by event, so they should never differ; that they do not is shown here, and where somebody has
 * worked on the tables by hand it can be mended. Only what can be known is compared: what began before the oldest month whose events are
 * still there is left out, and so is what the pruner may have moved to a closed total; both stay as they are.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Metric } from '../store/entities.ts'
import { BIGINT_MAX } from './column-types.ts'
import { Partitions } from './partitions.ts'
import { type Tables, timestamp } from './tables.ts'

/** Usage of one limit in one window that events and corrections do not explain. */
export interface WindowDifference {
  readonly limitId: string
  readonly countNumber: number
  readonly windowStart: number
  readonly metric: Metric
  /** Nano-dollars for `cost`, a count otherwise. */
  readonly posted: bigint
  readonly recomputed: bigint
}

/** Sums of one hour that the events do not explain. */
export interface HourDifference {
  readonly hour: number
  readonly customerId: string | null
  readonly teamId: string | null
  readonly userId: string | null
  readonly virtualKeyId: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly requests: bigint
  readonly recomputedRequests: bigint
  readonly costNanoUsd: bigint
  readonly recomputedCostNanoUsd: bigint
}

export interface Differences {
  /** Everything that began at or after this moment (ms) was compared. */
  readonly since: number
  readonly windows: { readonly checked: number; readonly differences: readonly WindowDifference[] }
  readonly hours: { readonly checked: number; readonly differences: readonly HourDifference[] }
}

/** Differences that are named one by one; `rebuild --apply` mends all of them. */
const NAMED_MAX = 1_000
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** Changes nothing. `kept`: events younger than this many ms are kept by the retention. */
export async function compareBooks(db: Kysely<Tables>, now: number, kept: number): Promise<Differences> {
  return await inOneLook(db, (trx) => compare(trx, now, kept))
}

/**
 * Writes what was recomputed over what differs, and says what that was. Nobody else may write meanwhile: the gateway on these books is
 * stopped, since its memory would go on from the old numbers.
 *
 * @param mended told within the transaction of what was mended, where anything was
 */
export async function rebuildBooks(
  db: Kysely<Tables>,
  now: number,
  kept: number,
  mended: (trx: Kysely<Tables>, found: Differences) => Promise<void> = async () => {},
): Promise<Differences> {
  return await inOneLook(db, async (trx) => {
    const found = await compare(trx, now, kept)
    const { windows, hours, since } = found
    if (windows.differences.length > 0) await mendWindows(trx, since)
    if (hours.differences.length > 0) await mendHours(trx, await hoursSince(trx, since))
    if (windows.differences.length + hours.differences.length > 0) await mended(trx, found)
    return found
  })
}

async function inOneLook<T>(db: Kysely<Tables>, work: (trx: Kysely<Tables>) => Promise<T>): Promise<T> {
  return await db.transaction().setIsolationLevel('repeatable read').execute(work)
}

async function compare(trx: Kysely<Tables>, now: number, kept: number): Promise<Differences> {
  const oldest = await new Partitions(trx).oldestStart()
  const since = Math.max(now - kept, oldest ?? Number.NEGATIVE_INFINITY, 0)
  const windows = await namedAndCounted(trx, windowsCompared(since), sql`posted <> recomputed`, windowOf)
  const hours = await namedAndCounted(trx, hoursCompared(await hoursSince(trx, since)), HOURS_DIFFER, hourOf)
  return { since, windows, hours }
}

/**
 * A request that began in the last hours of a month that is gone may have ended in the first of one that is there. Where nothing older than
 * `since` was ever counted there is no such month.
 */
async function hoursSince(trx: Kysely<Tables>, since: number): Promise<number> {
  const { rows } = await sql<{ older: boolean; imported_at: number | null }>`
    select exists(select from usage_hourly where hour < ${timestamp(since)}) as older,
      (select imported_at from installation) as imported_at`.execute(trx)
  const [{ older = false, imported_at: importedAt = null } = {}] = rows
  const kept = older ? since + DAY_MS : since
  // What came with an import has no events here, up to the hour in which it came.
  return importedAt === null ? kept : Math.max(kept, (Math.floor(importedAt / HOUR_MS) + 1) * HOUR_MS)
}

async function namedAndCounted<R extends object, T>(
  trx: Kysely<Tables>,
  compared: RawBuilder<unknown>,
  differ: RawBuilder<unknown>,
  read: (row: R) => T,
): Promise<{ checked: number; differences: T[] }> {
  const { rows: counted } = await sql<{ checked: bigint }>`select count(*) as checked from (${compared}) c`.execute(trx)
  const { rows } = await sql<R>`select * from (${compared}) c where ${differ} limit ${NAMED_MAX}`.execute(trx)
  return { checked: Number(counted[0]?.checked ?? 0n), differences: rows.map(read) }
}

/**
 * A limit's window that is not older than `since`, with what it has and what it should have. A window that began earlier counts as younger
 * where its limit is, unless two newer ones of that limit let the pruner close it: put back, it would be in the lifetime total twice.
 */
const windowsCompared = (since: number) => sql`
  select joined.* from (
    select limit_id, count_number, window_start, metric, coalesce(u.posted, 0) as posted, coalesce(r.amount, 0) as recomputed,
      row_number() over (partition by limit_id order by count_number desc, window_start desc) as nth_newest
    from limit_usage u full join (
      select (line->>0)::uuid as limit_id, (line->>1)::integer as count_number,
        to_timestamp((line->>2)::numeric / 1000) as window_start, line->>3 as metric,
        least(sum((line->>4)::numeric), ${BIGINT_MAX})::bigint as amount
      from (
        select json_array_elements(charges) as line from usage_events
        union all
        select json_array_elements(charges) as line from corrections
      ) charged group by 1, 2, 3, 4
    ) r using (limit_id, count_number, window_start, metric)
  ) joined left join limits on limits.id = joined.limit_id
  where greatest(joined.window_start, limits.created_at) >= ${timestamp(since)}
    and (joined.window_start >= ${timestamp(since)} or joined.nth_newest <= 2)`

const IDS = ['customer_id', 'team_id', 'user_id', 'virtual_key_id', 'provider', 'model'] as const
const SUMS = [
  'requests',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'cost_nano_usd',
] as const
const list = (items: readonly RawBuilder<unknown>[]) => sql.join(items, sql`, `)
const ids = (table: string) => list(IDS.map((id) => sql.ref(`${table}.${id}`)))
const HOURS_DIFFER = sql.join(
  SUMS.map((sum) => sql`${sql.ref(sum)} <> ${sql.ref(`recomputed_${sum}`)}`),
  sql` or `,
)

/** An hour's sums for one combination of ids, with what they are and what they should be. */
const hoursCompared = (since: number) => sql`
  select coalesce(h.hour, r.hour) as hour, ${list(IDS.map((id) => sql`coalesce(${sql.ref(`h.${id}`)}, ${sql.ref(`r.${id}`)}) as ${sql.ref(id)}`))},
    ${list(SUMS.map((sum) => sql`coalesce(${sql.ref(`h.${sum}`)}, 0) as ${sql.ref(sum)}`))},
    ${list(SUMS.map((sum) => sql`coalesce(${sql.ref(`r.${sum}`)}, 0) as ${sql.ref(`recomputed_${sum}`)}`))}
  from (select * from usage_hourly where hour >= ${timestamp(since)}) h
  full join (
    select date_trunc('hour', ended_at, 'UTC') as hour, ${ids('e')},
      ${list(SUMS.map((sum) => sql`least(sum(${sql.ref(sum)}), ${BIGINT_MAX})::bigint as ${sql.ref(sum)}`))}
    from usage_events e
    where ended_at >= ${timestamp(since)}
      and (requests <> 0 or input_tokens <> 0 or output_tokens <> 0 or cost_nano_usd <> 0)
    group by 1, ${ids('e')}
  ) r on h.hour = r.hour and ${sameIds('h', 'r')}`

/** Ids may be absent, and absent is the same as absent. A row each of text, so that the join can be hashed. */
function sameIds(one: string, other: string): RawBuilder<unknown> {
  return sql`row(${ids(one)})::text = row(${ids(other)})::text`
}

async function mendWindows(trx: Kysely<Tables>, since: number): Promise<void> {
  await sql`
    insert into limit_usage as u (limit_id, count_number, window_start, metric, posted)
    select limit_id, count_number, window_start, metric, recomputed from (${windowsCompared(since)}) c
    where posted <> recomputed
    on conflict (limit_id, count_number, window_start) do update set posted = excluded.posted, metric = excluded.metric`.execute(
    trx,
  )
}

async function mendHours(trx: Kysely<Tables>, since: number): Promise<void> {
  const columns = list(SUMS.map((sum) => sql.ref(sum)))
  await sql`
    insert into usage_hourly (hour, ${list(IDS.map((id) => sql.ref(id)))}, ${columns})
    select hour, ${list(IDS.map((id) => sql.ref(id)))}, ${list(SUMS.map((sum) => sql.ref(`recomputed_${sum}`)))}
    from (${hoursCompared(since)}) c where ${HOURS_DIFFER}
    on conflict (hour, ${list(IDS.map((id) => sql.ref(id)))}) do update set
      ${list(SUMS.map((sum) => sql`${sql.ref(sum)} = ${sql.ref(`excluded.${sum}`)}`))}`.execute(trx)
}

function windowOf(row: {
  limit_id: string
  count_number: number
  window_start: number
  metric: Metric
  posted: bigint
  recomputed: bigint
}): WindowDifference {
  return {
    limitId: row.limit_id,
    countNumber: row.count_number,
    windowStart: row.window_start,
    metric: row.metric,
    posted: row.posted,
    recomputed: row.recomputed,
  }
}

function hourOf(row: {
  hour: number
  customer_id: string | null
  team_id: string | null
  user_id: string | null
  virtual_key_id: string | null
  provider: string | null
  model: string | null
  requests: bigint
  recomputed_requests: bigint
  cost_nano_usd: bigint
  recomputed_cost_nano_usd: bigint
}): HourDifference {
  return {
    hour: row.hour,
    customerId: row.customer_id,
    teamId: row.team_id,
    userId: row.user_id,
    virtualKeyId: row.virtual_key_id,
    provider: row.provider,
    model: row.model,
    requests: row.requests,
    recomputedRequests: row.recomputed_requests,
    costNanoUsd: row.cost_nano_usd,
    recomputedCostNanoUsd: row.recomputed_cost_nano_usd,
  }
}
