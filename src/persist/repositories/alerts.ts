/** Alerts in the database, newest first. */
import type { Row } from '../tables.ts'
import { type Db, moment, type Page } from './db.ts'

export interface AlertFilter {
  readonly limitId?: string
  /** ms, inclusive and exclusive. */
  readonly from?: number
  readonly to?: number
}

export async function pageOfAlerts(db: Db, page: Page, filter: AlertFilter): Promise<Row<'alerts'>[]> {
  let query = db.selectFrom('alerts').selectAll().orderBy('id', 'desc').limit(page.limit)
  if (page.after !== null) query = query.where('id', '<', page.after)
  if (filter.limitId !== undefined) query = query.where('limit_id', '=', filter.limitId)
  if (filter.from !== undefined) query = query.where('at', '>=', moment(filter.from))
  if (filter.to !== undefined) query = query.where('at', '<', moment(filter.to))
  return await query.execute()
}
