/** Virtual keys in the database. Only their hashes are there. */
import { sql } from 'kysely'
import type { VirtualKey } from '../../store/entities.ts'
import { rowOfVirtualKey, virtualKeyFromRow } from '../rows.ts'
import { idsBelow } from './bounds.ts'
import { containing, type Db, type Page } from './db.ts'

/** A key and when it was last presented (ms). */
export interface StoredVirtualKey {
  readonly key: VirtualKey
  readonly lastUsedAt: number | null
}

export async function findVirtualKey(db: Db, id: string): Promise<StoredVirtualKey | null> {
  const row = await db.selectFrom('virtual_keys').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : { key: virtualKeyFromRow(row), lastUsedAt: row.last_used_at }
}

/** Locks the row until the transaction ends. */
export async function lockVirtualKey(db: Db, id: string): Promise<VirtualKey | null> {
  const row = await db.selectFrom('virtual_keys').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  return row === undefined ? null : virtualKeyFromRow(row)
}

export async function findVirtualKeyByName(db: Db, name: string): Promise<VirtualKey | null> {
  const row = await db.selectFrom('virtual_keys').selectAll().where('name', '=', name).executeTakeFirst()
  return row === undefined ? null : virtualKeyFromRow(row)
}

/** The key that has this hash now, or had it before its last rotation. */
export async function findVirtualKeyByHash(db: Db, hash: string): Promise<VirtualKey | null> {
  const row = await db
    .selectFrom('virtual_keys')
    .selectAll()
    .where((where) => where.or([where('hash', '=', hash), where('previous_hash', '=', hash)]))
    .executeTakeFirst()
  return row === undefined ? null : virtualKeyFromRow(row)
}

export async function insertVirtualKey(db: Db, key: VirtualKey): Promise<void> {
  await db.insertInto('virtual_keys').values(rowOfVirtualKey(key)).execute()
}

export async function updateVirtualKey(db: Db, key: VirtualKey): Promise<void> {
  const { id, ...columns } = rowOfVirtualKey(key)
  await db.updateTable('virtual_keys').set(columns).where('id', '=', id).execute()
}

export async function deleteVirtualKey(db: Db, id: string): Promise<void> {
  await db.deleteFrom('virtual_keys').where('id', '=', id).execute()
}

export interface VirtualKeyFilter {
  readonly search?: string
  readonly user_id?: string
  readonly team_id?: string
  readonly customer_id?: string
  /** Only what lies below this customer. */
  readonly below?: string
}

export async function pageOfVirtualKeys(db: Db, page: Page, filter: VirtualKeyFilter): Promise<StoredVirtualKey[]> {
  const { below } = filter
  let query = db.selectFrom('virtual_keys').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (filter.search !== undefined) query = query.where('name', 'ilike', containing(filter.search))
  if (filter.user_id !== undefined) query = query.where('user_id', '=', filter.user_id)
  if (filter.team_id !== undefined) query = query.where('team_id', '=', filter.team_id)
  if (filter.customer_id !== undefined) query = query.where('customer_id', '=', filter.customer_id)
  if (below !== undefined) query = query.where('id', 'in', idsBelow('virtual_key', below))
  return (await query.execute()).map((row) => ({ key: virtualKeyFromRow(row), lastUsedAt: row.last_used_at }))
}

export async function virtualKeysOfUser(db: Db, userId: string): Promise<VirtualKey[]> {
  const rows = await db.selectFrom('virtual_keys').selectAll().where('user_id', '=', userId).execute()
  return rows.map(virtualKeyFromRow)
}

/** Those that the configuration file has made. */
export async function virtualKeysOfFile(db: Db): Promise<VirtualKey[]> {
  const rows = await db.selectFrom('virtual_keys').selectAll().where('managed_by', '=', 'file').execute()
  return rows.map(virtualKeyFromRow)
}

/** How many keys name this provider in their access list. */
export async function countKeysWithProvider(db: Db, provider: string): Promise<number> {
  const { rows } = await sql<{ count: bigint }>`
    select count(*) as count from virtual_keys
    where exists (select 1 from jsonb_array_elements(access) rule where lower(rule->>'provider') = ${provider.toLowerCase()})
  `.execute(db)
  return Number(rows[0]?.count ?? 0n)
}

/** How many keys name this provider key in their access list. Ids are found as text: they occur nowhere else. */
export async function countKeysWithProviderKey(db: Db, providerKeyId: string): Promise<number> {
  const { rows } = await sql<{ count: bigint }>`
    select count(*) as count from virtual_keys where position(${providerKeyId} in access::text) > 0
  `.execute(db)
  return Number(rows[0]?.count ?? 0n)
}
