/** Limits in the database. */
import type { Limit, Metric, Scope, ScopeKind } from '../../store/entities.ts'
import { limitFromRow, rowOfLimit } from '../rows.ts'
import { idsBelow } from './bounds.ts'
import type { Db, Page } from './db.ts'

/** Locks the row until the transaction ends. */
export async function lockLimit(db: Db, id: string): Promise<Limit | null> {
  const row = await db.selectFrom('limits').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  return row === undefined ? null : limitFromRow(row)
}

export async function findLimit(db: Db, id: string): Promise<Limit | null> {
  const row = await db.selectFrom('limits').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : limitFromRow(row)
}

export async function insertLimit(db: Db, limit: Limit): Promise<void> {
  await db.insertInto('limits').values(rowOfLimit(limit)).execute()
}

export async function updateLimit(db: Db, limit: Limit): Promise<void> {
  const { id, ...columns } = rowOfLimit(limit)
  await db.updateTable('limits').set(columns).where('id', '=', id).execute()
}

export async function deleteLimit(db: Db, id: string): Promise<void> {
  await db.deleteFrom('limits').where('id', '=', id).execute()
}

export async function limitsOfScope(db: Db, scope: Scope): Promise<Limit[]> {
  const rows = await db
    .selectFrom('limits')
    .selectAll()
    .where('scope_kind', '=', scope.kind)
    .where('scope_id', scope.id === null ? 'is' : '=', scope.id)
    .orderBy('id')
    .execute()
  return rows.map(limitFromRow)
}

/** The limits of each of the entities of one kind. */
export async function limitsOfEntities(db: Db, kind: ScopeKind, ids: readonly string[]): Promise<Map<string, Limit[]>> {
  const limits = new Map<string, Limit[]>()
  if (ids.length === 0) return limits
  const rows = await db
    .selectFrom('limits')
    .selectAll()
    .where('scope_kind', '=', kind)
    .where('scope_id', 'in', ids)
    .orderBy('id')
    .execute()
  for (const row of rows) {
    const id = row.scope_id ?? ''
    const list = limits.get(id)
    if (list === undefined) limits.set(id, [limitFromRow(row)])
    else list.push(limitFromRow(row))
  }
  return limits
}

export interface LimitFilter {
  readonly scope_kind?: ScopeKind
  readonly scope_id?: string
  readonly customer_id?: string
  readonly team_id?: string
  readonly user_id?: string
  readonly virtual_key_id?: string
  readonly metric?: Metric
  /** In any case. */
  readonly provider?: string
  /** Only what lies below this customer. */
  readonly below?: string
}

const SCOPE_FILTERS = {
  customer_id: 'customer',
  team_id: 'team',
  user_id: 'user',
  virtual_key_id: 'virtual_key',
} as const

export async function pageOfLimits(db: Db, page: Page, filter: LimitFilter): Promise<Limit[]> {
  const { scope_kind: scopeKind, scope_id: scopeId, metric, provider, below } = filter
  let query = db.selectFrom('limits').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (scopeKind !== undefined) query = query.where('scope_kind', '=', scopeKind)
  if (scopeId !== undefined) query = query.where('scope_id', '=', scopeId)
  for (const [name, kind] of Object.entries(SCOPE_FILTERS) as [keyof typeof SCOPE_FILTERS, ScopeKind][]) {
    const id = filter[name]
    if (id !== undefined) query = query.where('scope_kind', '=', kind).where('scope_id', '=', id)
  }
  if (metric !== undefined) query = query.where('metric', '=', metric)
  if (provider !== undefined) {
    query = query.where(({ eb, fn }) => eb(fn<string>('lower', ['provider']), '=', provider.toLowerCase()))
  }
  if (below !== undefined) query = query.where('id', 'in', idsBelow('limit', below))
  return (await query.execute()).map(limitFromRow)
}

/** How many limits select this provider. */
export async function countLimitsWithProvider(db: Db, provider: string): Promise<number> {
  const row = await db
    .selectFrom('limits')
    .select(({ fn }) => fn.countAll<bigint>().as('count'))
    .where(({ eb, fn }) => eb(fn<string>('lower', ['provider']), '=', provider.toLowerCase()))
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

/** Those that the configuration file has made. */
export async function limitsOfFile(db: Db): Promise<Limit[]> {
  return (await db.selectFrom('limits').selectAll().where('managed_by', '=', 'file').execute()).map(limitFromRow)
}
