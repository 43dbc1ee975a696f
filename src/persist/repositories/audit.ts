/** The audit log: who changed what. Rows are only ever added. */
import { json, type Row, timestamp } from '../tables.ts'
import { type Db, moment, type Page } from './db.ts'

export interface AuditEntry {
  readonly id: string
  readonly at: number
  readonly actorId: string | null
  readonly actorName: string
  readonly action: string
  readonly entityKind: string
  readonly entityId: string | null
  readonly entityName: string | null
  readonly before: unknown
  readonly after: unknown
  readonly address: string | null
}

export async function insertAudit(db: Db, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map((entry) => ({
    id: entry.id,
    at: timestamp(entry.at),
    actor_id: entry.actorId,
    actor_name: entry.actorName,
    action: entry.action,
    entity_kind: entry.entityKind,
    entity_id: entry.entityId,
    entity_name: entry.entityName,
    before: entry.before === null ? null : json(entry.before),
    after: entry.after === null ? null : json(entry.after),
    address: entry.address,
  }))
  // Postgres takes 65,535 parameters in one statement.
  for (let from = 0; from < rows.length; from += 1_000) {
    await db
      .insertInto('audit_log')
      .values(rows.slice(from, from + 1_000))
      .execute()
  }
}

export interface AuditFilter {
  readonly entityKind?: string
  readonly entityId?: string
  readonly actorId?: string
  readonly actorName?: string
  readonly action?: string
  /** ms, inclusive. */
  readonly from?: number
  /** ms, exclusive. */
  readonly to?: number
}

/** Newest first. */
export async function pageOfAudit(db: Db, page: Page, filter: AuditFilter): Promise<Row<'audit_log'>[]> {
  let query = db.selectFrom('audit_log').selectAll().orderBy('id', 'desc').limit(page.limit)
  if (page.after !== null) query = query.where('id', '<', page.after)
  if (filter.entityKind !== undefined) query = query.where('entity_kind', '=', filter.entityKind)
  if (filter.entityId !== undefined) query = query.where('entity_id', '=', filter.entityId)
  if (filter.actorId !== undefined) query = query.where('actor_id', '=', filter.actorId)
  if (filter.actorName !== undefined) query = query.where('actor_name', '=', filter.actorName)
  if (filter.action !== undefined) query = query.where('action', '=', filter.action)
  if (filter.from !== undefined) query = query.where('at', '>=', moment(filter.from))
  if (filter.to !== undefined) query = query.where('at', '<', moment(filter.to))
  return await query.execute()
}
