/** Reports: what has been used, by whom, and whether the books agree with themselves. */

import { compareBooks, type Differences, rebuildBooks } from '../persist/rebuild.ts'
import { insertAudit } from '../persist/repositories/audit.ts'
import type { Db } from '../persist/repositories/db.ts'
import { type EventFilter, type EventRow, pageOfEvents } from '../persist/repositories/events.ts'
import {
  columnsOf,
  DIMENSIONS,
  type Dimension,
  type Interval,
  type UsageLine,
  usageReport,
} from '../persist/repositories/usage.ts'
import type { Row } from '../persist/tables.ts'
import { type EventView, USAGE_ROWS_MAX, type UsageLineView } from '../schemas/events.ts'
import type { ConsistencyView } from '../schemas/reports.ts'
import type { Settings } from '../schemas/settings.ts'
import { isId } from '../units/id.ts'
import { formatUsd } from '../units/money.ts'
import { formatTime, formatTimeOrNull, parseTime } from '../units/time.ts'
import { amountOf } from './fields.ts'
import { type Listed, listedBy, type PageQuery } from './pages.ts'
import { invalid } from './refused.ts'
import { type Actor, auditOfBooks, type ControlParts } from './work.ts'

const DAY_MS = 86_400_000
const DEFAULT_SPAN_MS = 30 * DAY_MS

export interface UsageQueryText {
  readonly from?: string
  readonly to?: string
  readonly interval?: Interval
  readonly group_by?: string
  readonly customer_id?: string
  readonly team_id?: string
  readonly user_id?: string
  readonly virtual_key_id?: string
  readonly provider?: string
  readonly model?: string
}

/** The last thirty days, by day, unless told otherwise. */
export async function usageOf(db: Db, query: UsageQueryText, now: number): Promise<UsageLineView[]> {
  const { from: fromText, to: toText, interval = 'day', group_by: groups, ...filter } = query
  const to = toText === undefined ? now + 1 : (parseTime(toText) ?? now)
  const from = fromText === undefined ? to - DEFAULT_SPAN_MS : (parseTime(fromText) ?? 0)
  if (from >= to) throw invalid([{ path: 'from', message: 'must be before to' }])
  const groupBy = dimensionsOf(groups)
  const lines = await usageReport(db, { from, to, interval, groupBy, filter, limit: USAGE_ROWS_MAX + 1 })
  if (lines.length > USAGE_ROWS_MAX) {
    throw invalid([
      { path: 'from', message: `gives more than ${USAGE_ROWS_MAX} lines; ask for a shorter time or longer intervals` },
    ])
  }
  return lines.map(usageLineView)
}

function dimensionsOf(groups = ''): Dimension[] {
  const asked = new Set(groups.split(','))
  return DIMENSIONS.filter((dimension) => asked.has(dimension))
}

function usageLineView(line: UsageLine): UsageLineView {
  return {
    at: formatTime(line.at),
    ...line.dimensions,
    requests: Number(line.requests),
    input_tokens: Number(line.inputTokens),
    output_tokens: Number(line.outputTokens),
    cache_read_tokens: Number(line.cacheReadTokens),
    cache_write_tokens: Number(line.cacheWriteTokens),
    reasoning_tokens: Number(line.reasoningTokens),
    cost_usd: formatUsd(line.costNanoUsd),
  }
}

const SUMS = [
  'requests',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'cost_usd',
] as const satisfies readonly (keyof UsageLineView)[]

/** The same lines as a table with a head line, RFC 4180. */
export function usageCsv(lines: readonly UsageLineView[], { group_by: groups }: UsageQueryText): string {
  const columns = ['at', ...columnsOf(dimensionsOf(groups)), ...SUMS] as const
  const rows = lines.map((line) => columns.map((column) => csvField(line[column])).join(','))
  return [columns.join(','), ...rows, ''].join('\r\n')
}

/** Text that a spreadsheet would take for a formula is quoted as text. */
function csvField(value: string | number | null | undefined): string {
  if (typeof value !== 'string') return value == null ? '' : value.toString()
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function eventView(row: EventRow): EventView {
  return {
    request_id: row.request_id,
    attempt: row.attempt,
    ended_at: formatTime(row.ended_at),
    virtual_key_id: row.virtual_key_id,
    user_id: row.user_id,
    team_id: row.team_id,
    customer_id: row.customer_id,
    provider: row.provider,
    provider_key_id: row.provider_key_id,
    model: row.model,
    endpoint: row.endpoint,
    stream: row.stream,
    tags: row.tags,
    status: row.status,
    success: row.success,
    refused_code: row.refused_code,
    requests: row.requests,
    input_tokens: Number(row.input_tokens),
    output_tokens: Number(row.output_tokens),
    tokens: Number(row.input_tokens + row.output_tokens),
    cache_read_tokens: Number(row.cache_read_tokens),
    cache_write_tokens: Number(row.cache_write_tokens),
    reasoning_tokens: Number(row.reasoning_tokens),
    cost_usd: formatUsd(row.cost_nano_usd),
    overage_usd: formatUsd(row.overage_nano_usd),
    usage_source: row.usage_source,
    latency_ms: row.latency_ms,
    ttft_ms: row.ttft_ms,
    charges: row.charges.map(([limitId, countNumber, windowStart, metric, amount]) => ({
      limit_id: limitId,
      count_number: countNumber,
      window_started_at: formatTime(windowStart),
      metric,
      amount: amountOf(metric, BigInt(amount)),
    })),
  }
}

/** What limits and hours have that events and corrections do not explain. Changes nothing. */
export async function consistencyOf(db: Db, settings: Settings, now: number): Promise<ConsistencyView> {
  return consistencyView(await compareBooks(db, now, keptMs(settings)))
}

/** Sets the sums to what events and corrections add up to, and says in the audit log that it did. No gateway may run on these books. */
export async function rebuiltView(
  { db, settings, clock }: Pick<ControlParts, 'db' | 'settings' | 'clock'>,
  actor: Actor,
): Promise<ConsistencyView> {
  const now = clock.now()
  const found = await rebuildBooks(db, now, keptMs(settings), async (trx, { windows, hours }) => {
    const after = { windows: windows.differences.length, hours: hours.differences.length }
    await insertAudit(trx, [auditOfBooks(actor, now, 'books.rebuild', after)])
  })
  return consistencyView(found)
}

function consistencyView({ since, windows, hours }: Differences): ConsistencyView {
  return {
    checked: windows.checked,
    differences: windows.differences.map(({ limitId, countNumber, windowStart, metric, posted, recomputed }) => ({
      limit_id: limitId,
      count_number: countNumber,
      window_started_at: formatTime(windowStart),
      metric,
      posted: amountOf(metric, posted),
      recomputed: amountOf(metric, recomputed),
    })),
    hours_checked: hours.checked,
    hour_differences: hours.differences.map((hour) => ({
      hour: formatTime(hour.hour),
      customer_id: hour.customerId,
      team_id: hour.teamId,
      user_id: hour.userId,
      virtual_key_id: hour.virtualKeyId,
      provider: hour.provider,
      model: hour.model,
      requests: Number(hour.requests),
      recomputed_requests: Number(hour.recomputedRequests),
      cost_usd: formatUsd(hour.costNanoUsd),
      recomputed_cost_usd: formatUsd(hour.recomputedCostNanoUsd),
    })),
    since: formatTime(since),
  }
}

/** How old events may be that are certainly still kept, in ms: months at their shortest. */
function keptMs({ database }: Settings): number {
  const { events } = database.retention
  return events.kind === 'exact' ? events.ms : events.months * 28 * DAY_MS
}

/** `from` and `to` of a query in ms; without what is not given. */
export function spanOf({ from, to }: { from?: string; to?: string }): { from?: number; to?: number } {
  const span: { from?: number; to?: number } = {}
  if (from !== undefined) span.from = parseTime(from) ?? 0
  if (to !== undefined) span.to = parseTime(to) ?? 0
  return span
}

type EventQueryText = PageQuery & Omit<EventFilter, 'from' | 'to'> & { from?: string; to?: string }

/** Newest first: by request id, whose first bits are the time, then by attempt. */
export async function listedEvents(db: Db, query: EventQueryText): Promise<Listed<EventView>> {
  const { from: _from, to: _to, ...columns } = query
  const filter = { ...columns, ...spanOf(query) }
  return await listedBy(
    query,
    isEventPlace,
    (after, limit) => pageOfEvents(db, { after: after === null ? null : placeOf(after), limit }, filter),
    ({ request_id: requestId, attempt }) => `${requestId} ${attempt}`,
    (rows) => rows.map(eventView),
  )
}

function isEventPlace(text: string): boolean {
  const { requestId, attempt } = placeOf(text)
  return isId(requestId) && Number.isInteger(attempt) && attempt >= 0 && attempt < 2 ** 31
}

function placeOf(text: string): { requestId: string; attempt: number } {
  const [requestId = '', attempt = ''] = text.split(' ')
  return { requestId, attempt: Number(attempt) }
}

export function auditView(row: Row<'audit_log'>) {
  return {
    id: row.id,
    at: formatTime(row.at),
    actor: { id: row.actor_id, name: row.actor_name },
    address: row.address,
    action: row.action,
    entity_kind: row.entity_kind,
    entity_id: row.entity_id,
    entity_name: row.entity_name,
    before: row.before,
    after: row.after,
  }
}

export function alertView(row: Row<'alerts'>) {
  const { metric } = row
  const shown = (amount: bigint | null) => (metric === null || amount === null ? null : amountOf(metric, amount))
  return {
    id: row.id,
    at: formatTime(row.at),
    kind: row.kind,
    limit_id: row.limit_id,
    // A lifetime has no beginning.
    window_started_at: formatTimeOrNull(row.window_start === 0 ? null : row.window_start),
    metric,
    threshold: row.threshold,
    used: shown(row.used),
    max: shown(row.max),
    user_id: row.subject_id,
    message: row.message,
    delivered_at: formatTimeOrNull(row.delivered_at),
    delivery_attempts: row.delivery_attempts,
    delivery_error: row.delivery_error,
  }
}
