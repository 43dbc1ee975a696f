/** Alerts in the database, newest first. */
import type { NotNull } from 'kysely'
import type { AlertFact, NoticeFact, NoticeKind } from '../../ledger/facts.ts'
import type { Row } from '../tables.ts'
import { type Db, moment, type Page } from './db.ts'

export interface AlertFilter {
  readonly limitId?: string
  /** ms, inclusive and exclusive. */
  readonly from?: number
  readonly to?: number
}

/** What the webhook has not taken since `since` (ms), the oldest first. */
export async function undeliveredAlerts(db: Db, since: number, limit: number): Promise<Row<'alerts'>[]> {
  return await db
    .selectFrom('alerts')
    .selectAll()
    .where('delivered_at', 'is', null)
    .where('at', '>', moment(since))
    .orderBy('at')
    .limit(limit)
    .execute()
}

/** Which shares of limits have been told, the latest first. */
export async function latestLimitAlerts(
  db: Db,
  limit: number,
): Promise<Pick<AlertFact, 'limitId' | 'countNumber' | 'windowStart' | 'threshold'>[]> {
  return await db
    .selectFrom('alerts')
    .select(['limit_id as limitId', 'count_number as countNumber', 'window_start as windowStart', 'threshold'])
    .where('kind', '=', 'limit')
    .orderBy('id', 'desc')
    .limit(limit)
    .$narrowType<{ limitId: NotNull; countNumber: NotNull; windowStart: NotNull; threshold: NotNull }>()
    .execute()
}

/** When an alert of this kind was raised last, in ms; null where none ever was. */
export async function lastRaisedAt(db: Db, kind: NoticeKind): Promise<number | null> {
  const row = await db
    .selectFrom('alerts')
    .select('at')
    .where('kind', '=', kind)
    .orderBy('at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.at ?? null
}

/** A row as the fact that it came from. */
export function alertOf(row: Row<'alerts'>): AlertFact | NoticeFact {
  const { id, at, kind, subject_id: subjectId, message } = row
  if (kind !== 'limit') return { t: 'notice', id, at, kind, subjectId, message: message ?? '' }
  // The table's constraint sees to it that these are there.
  return {
    t: 'alert',
    id,
    at,
    limitId: row.limit_id ?? '',
    countNumber: row.count_number ?? 1,
    windowStart: row.window_start ?? 0,
    metric: row.metric ?? 'requests',
    threshold: row.threshold ?? '',
    used: (row.used ?? 0n).toString(),
    max: (row.max ?? 0n).toString(),
    ...(message === null ? {} : { message }),
  }
}

export async function pageOfAlerts(db: Db, page: Page, filter: AlertFilter): Promise<Row<'alerts'>[]> {
  let query = db.selectFrom('alerts').selectAll().orderBy('id', 'desc').limit(page.limit)
  if (page.after !== null) query = query.where('id', '<', page.after)
  if (filter.limitId !== undefined) query = query.where('limit_id', '=', filter.limitId)
  if (filter.from !== undefined) query = query.where('at', '>=', moment(filter.from))
  if (filter.to !== undefined) query = query.where('at', '<', moment(filter.to))
  return await query.execute()
}
