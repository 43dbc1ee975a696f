/** Usage events in the database, newest first: one row per attempt at a provider. */
import { sql } from 'kysely'
import type { UsageSource } from '../../ledger/facts.ts'
import { lowestIdAt } from '../../units/id.ts'
import type { Row } from '../tables.ts'
import type { Db } from './db.ts'

export type EventRow = Row<'usage_events'>

export interface EventFilter {
  readonly request_id?: string
  readonly customer_id?: string
  readonly team_id?: string
  readonly user_id?: string
  readonly virtual_key_id?: string
  readonly provider?: string
  readonly model?: string
  readonly endpoint?: string
  readonly status?: number
  readonly success?: boolean
  readonly refused_code?: string
  readonly usage_source?: UsageSource
  readonly tag?: string
  /** ms, inclusive: when the request came in, which its id says. */
  readonly from?: number
  /** ms, exclusive. */
  readonly to?: number
}

export interface EventPage {
  /** The last row of the page before. */
  readonly after: { readonly requestId: string; readonly attempt: number } | null
  readonly limit: number
}

const COLUMNS = [
  'request_id',
  'customer_id',
  'team_id',
  'user_id',
  'virtual_key_id',
  'provider',
  'model',
  'endpoint',
  'status',
  'success',
  'refused_code',
  'usage_source',
] as const

/** Bounds go on the id, whose first bits are the time: the partitions outside them are not touched. */
export async function pageOfEvents(db: Db, { after, limit }: EventPage, filter: EventFilter): Promise<EventRow[]> {
  let query = db
    .selectFrom('usage_events')
    .selectAll()
    .orderBy('request_id', 'desc')
    .orderBy('attempt', 'desc')
    .limit(limit)
  if (after !== null) {
    query = query
      .where('request_id', '<=', after.requestId)
      .where(sql<boolean>`(request_id, attempt) < (${after.requestId}::uuid, ${after.attempt}::integer)`)
  }
  for (const column of COLUMNS) {
    const value = filter[column]
    if (value !== undefined) query = query.where(column, '=', value)
  }
  if (filter.tag !== undefined) query = query.where(sql<boolean>`${filter.tag} = any(tags)`)
  if (filter.from !== undefined) query = query.where('request_id', '>=', lowestIdAt(filter.from))
  if (filter.to !== undefined) query = query.where('request_id', '<', lowestIdAt(filter.to))
  return await query.execute()
}
