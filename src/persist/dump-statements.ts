/**
 * The dump's statements. Each takes its rows as one JSON parameter and takes them apart in SQL: an event goes over as the journal has
 * it, without being copied into some thirty arrays on the gateway's thread.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely'
import { ChargesText } from '../ledger/charges.ts'
import type { CorrectFact, DisableFact, EventFact, StoredFact } from '../ledger/facts.ts'
import { newId } from '../units/id.ts'
import { BIGINT_MAX } from './column-types.ts'
import type { ClosedAddition, HourlyAddition, UsageAddition } from './dump-sums.ts'
import { insertAudit } from './repositories/audit.ts'
import type { Tables } from './tables.ts'

type Trx = Transaction<Tables>

/** What a key was last seen doing. */
export interface LastUse {
  readonly id: string
  readonly at: number
}

export interface AddressUse {
  readonly userId: string
  readonly address: string
  readonly firstAt: number
  readonly lastAt: number
}

/** The first statement of every dump. False when the journal's position is not `from`: somebody has been here. */
export async function movePosition(trx: Trx, journalId: string, from: number, to: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('journal_positions')
    .set({ applied: BigInt(to), updated_at: sql<Date>`now()` })
    .where('journal_id', '=', journalId)
    .where('applied', '=', BigInt(from))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Adds the events that are not there yet and returns the (request id, attempt) of those; null when that is all of them, each once. */
export async function insertEvents(
  trx: Trx,
  events: readonly EventFact[],
): Promise<readonly (readonly [requestId: string, attempt: number])[] | null> {
  const charges = new ChargesText()
  const rows = recordsetOf(
    events.map((fact) => rowOf(fact, charges)),
    `"requestId" uuid, attempt integer, "endedAt" double precision, "virtualKeyId" uuid, "userId" uuid, "teamId" uuid,
     "customerId" uuid, provider text, "providerKeyId" uuid, model text, endpoint text, stream boolean, tags text[],
     status integer, success boolean, "refusedCode" text, "inputTokens" bigint, "outputTokens" bigint,
     "cacheReadTokens" bigint, "cacheWriteTokens" bigint, "reasoningTokens" bigint, "costNanoUsd" bigint,
     "overageNanoUsd" bigint, "usageSource" text, requests integer, "latencyMs" double precision,
     "ttftMs" double precision, charges json`,
  )
  const { rows: inserted } = await sql<{ ids: [string, number][] | null }>`
    with inserted as (insert into usage_events (
      request_id, attempt, ended_at, virtual_key_id, user_id, team_id, customer_id, provider, provider_key_id, model, endpoint,
      stream, tags, status, success, refused_code, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
      reasoning_tokens, cost_nano_usd, overage_nano_usd, usage_source, requests, latency_ms, ttft_ms, charges)
    select
      "requestId", attempt, to_timestamp("endedAt" / 1000), "virtualKeyId", "userId", "teamId", "customerId", provider,
      "providerKeyId", model, endpoint, stream, tags, status, success, "refusedCode", "inputTokens", "outputTokens",
      "cacheReadTokens", "cacheWriteTokens", "reasoningTokens", "costNanoUsd", "overageNanoUsd", "usageSource", requests,
      round("latencyMs")::integer, round("ttftMs")::integer, charges
    from ${rows}
    on conflict do nothing
    returning request_id, attempt)
    select case when count(*) < ${events.length} then coalesce(json_agg(json_build_array(request_id, attempt)), '[]') end as ids
    from inserted`.execute(trx)
  return inserted[0]?.ids ?? null
}

function rowOf({ event, json }: EventFact, charges: ChargesText): string {
  return json === undefined ? JSON.stringify(event) : `${json.slice(0, -1)},"charges":${charges.of(event.charges)}}`
}

/** Writes down who has made what providers keep. What has an owner keeps it. */
export async function insertStored(trx: Trx, stored: readonly StoredFact[]): Promise<void> {
  const rows = recordset(
    stored.flatMap(({ ids, ...fact }) => ids.map((id) => ({ ...fact, id }))),
    'id text, at double precision, "virtualKeyId" uuid, provider text, "providerKeyId" uuid',
  )
  await sql`
    insert into stored_objects (id, virtual_key_id, provider, provider_key_id, created_at)
    select id, "virtualKeyId", provider, "providerKeyId", to_timestamp(at / 1000) from ${rows} order by id
    on conflict do nothing`.execute(trx)
}

/** Adds the corrections that are not there yet and returns the ids of those. */
export async function insertCorrections(trx: Trx, corrections: readonly CorrectFact[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    insert into corrections (id, at, reason, request_id, charges)
    select id, to_timestamp(at / 1000), reason, "requestId", charges
    from ${recordset(corrections, 'id uuid, at double precision, reason text, "requestId" uuid, charges json')}
    on conflict do nothing
    returning id`.execute(trx)
  return rows.map(({ id }) => id)
}

export async function addLimitUsage(trx: Trx, additions: readonly UsageAddition[]): Promise<void> {
  const columns = '"limitId" uuid, "countNumber" integer, "windowStart" double precision, metric text, amount bigint'
  await sql`
    insert into limit_usage as u (limit_id, count_number, window_start, metric, posted)
    select "limitId", "countNumber", to_timestamp("windowStart" / 1000), metric, amount
    from ${recordset(additions, columns)}
    on conflict (limit_id, count_number, window_start) do update set posted = least(u.posted::numeric + excluded.posted, ${BIGINT_MAX})::bigint`.execute(
    trx,
  )
}

/** Moves amounts out of windows, or back, without touching a limit's lifetime total. */
export async function addLimitClosed(trx: Trx, additions: readonly ClosedAddition[]): Promise<void> {
  await sql`
    insert into limit_closed as c (limit_id, metric, posted)
    select "limitId", metric, amount
    from ${recordset(additions, '"limitId" uuid, metric text, amount bigint')}
    on conflict (limit_id, metric) do update set posted = least(c.posted::numeric + excluded.posted, ${BIGINT_MAX})::bigint`.execute(
    trx,
  )
}

export async function addHourly(trx: Trx, additions: readonly HourlyAddition[]): Promise<void> {
  const columns = `hour double precision, "customerId" uuid, "teamId" uuid, "userId" uuid, "virtualKeyId" uuid, provider text,
    model text, requests bigint, "inputTokens" bigint, "outputTokens" bigint, "cacheReadTokens" bigint,
    "cacheWriteTokens" bigint, "reasoningTokens" bigint, "costNanoUsd" bigint`
  await sql`
    insert into usage_hourly as h (
      hour, customer_id, team_id, user_id, virtual_key_id, provider, model, requests, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd)
    select
      to_timestamp(hour / 1000), "customerId", "teamId", "userId", "virtualKeyId", provider, model, requests, "inputTokens",
      "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens", "costNanoUsd"
    from ${recordset(additions, columns)}
    on conflict (hour, customer_id, team_id, user_id, virtual_key_id, provider, model) do update set
      requests = h.requests + excluded.requests,
      input_tokens = h.input_tokens + excluded.input_tokens,
      output_tokens = h.output_tokens + excluded.output_tokens,
      cache_read_tokens = h.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = h.cache_write_tokens + excluded.cache_write_tokens,
      reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
      cost_nano_usd = h.cost_nano_usd + excluded.cost_nano_usd`.execute(trx)
}

/** Moves `last_used_at` forward, and touches nothing else of the row: an admin may be editing it. Rows are locked in one order. */
export async function touchLastUse(trx: Trx, table: 'virtual_keys' | 'users', uses: readonly LastUse[]): Promise<void> {
  await sql`
    with seen as (select id, to_timestamp(at / 1000) as at from ${recordset(uses, 'id uuid, at double precision')}),
      locked as (select id from ${sql.table(table)} where id in (select id from seen) order by id for no key update)
    update ${sql.table(table)} as t set last_used_at = greatest(t.last_used_at, seen.at)
    from seen join locked using (id) where t.id = seen.id`.execute(trx)
}

/** Remembers where users have been seen; users that are gone meanwhile are passed over. */
export async function touchAddresses(trx: Trx, uses: readonly AddressUse[]): Promise<void> {
  const columns = '"userId" uuid, address text, "firstAt" double precision, "lastAt" double precision'
  await sql`
    insert into user_ips as i (user_id, address, first_seen_at, last_seen_at)
    select users.id, address, to_timestamp("firstAt" / 1000), to_timestamp("lastAt" / 1000)
    from ${recordset(uses, columns)} join users on users.id = "userId"
    on conflict (user_id, address) do update set
      first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
      last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at)`.execute(trx)
}

/**
 * Disables a user or a key, and says so in the audit log. One that already is keeps its time and reason, and an edit that came later stands:
 * it may have enabled it.
 */
export async function disable(trx: Trx, { kind, id, at, reason, actor }: DisableFact): Promise<void> {
  const disabledAt = new Date(at)
  const { rows } = await (kind === 'virtual_key'
    ? sql<{ name: string }>`
        update virtual_keys set active = false, updated_at = now()
        where id = ${id} and active and updated_at <= ${disabledAt} returning name`
    : sql<{ name: string }>`
        update users set disabled_at = ${disabledAt}, disabled_reason = ${reason}, updated_at = now()
        where id = ${id} and disabled_at is null and updated_at <= ${disabledAt} returning name`
  ).execute(trx)
  const [changed] = rows
  if (changed === undefined) return
  const [before, after] =
    kind === 'virtual_key'
      ? [{ active: true }, { active: false }]
      : [
          { disabled_at: null, disabled_reason: null },
          { disabled_at: disabledAt.toISOString(), disabled_reason: reason },
        ]
  await insertAudit(trx, [
    {
      id: newId(),
      at,
      actorId: actor?.id ?? null,
      actorName: actor?.name ?? 'system',
      action: `${kind}.disable`,
      entityKind: kind,
      entityId: id,
      entityName: changed.name,
      before,
      after,
      address: actor?.address ?? null,
    },
  ])
}

/**
 * The rows as a table, by the names their fields have here. Not jsonb, which would build a tree of every event first, at twice the
 * cost. Text in Postgres has no NUL; where a client sent one, its mark stands in.
 */
export function recordset(rows: readonly unknown[], columns: string): RawBuilder<unknown> {
  return recordsetOf(
    rows.map((row) => JSON.stringify(row)),
    columns,
  )
}

function recordsetOf(rows: readonly string[], columns: string): RawBuilder<unknown> {
  let text = rows.join(',')
  if (text.includes('\\u0000')) {
    text = JSON.stringify(JSON.parse(`[${text}]`), (_key, value) => withoutNul(value)).slice(1, -1)
  }
  // The brackets come there: put around the text here, they would copy all of it. Bytes, which wait for the database outside of the heap.
  return sql`json_to_recordset(('[' || ${Buffer.from(text)} || ']')::json) as r(${sql.raw(columns)})`
}

function withoutNul(value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value
}
