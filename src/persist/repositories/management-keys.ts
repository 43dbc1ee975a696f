/** Management keys in the database. Only their hashes are there. */
import type { ManagedBy } from '../../store/entities.ts'
import { type Row, timestamp, timestampOrNull } from '../tables.ts'
import { containing, type Db, type Page } from './db.ts'

export interface ManagementKey {
  readonly id: string
  readonly name: string
  /** SHA-256 of the key, lower-case hex. */
  readonly hash: string
  readonly keyStart: string
  readonly role: 'admin' | 'viewer'
  /** Bound to a customer: only what lies below it. */
  readonly customerId: string | null
  readonly expiresAt: number | null
  readonly lastUsedAt: number | null
  readonly managedBy: ManagedBy
  readonly createdAt: number
  readonly updatedAt: number
}

function managementKeyFromRow(row: Row<'management_keys'>): ManagementKey {
  return {
    id: row.id,
    name: row.name,
    hash: row.hash,
    keyStart: row.key_start,
    role: row.role,
    customerId: row.customer_id,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    managedBy: row.managed_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export async function allManagementKeys(db: Db): Promise<ManagementKey[]> {
  return (await db.selectFrom('management_keys').selectAll().execute()).map(managementKeyFromRow)
}

export async function findManagementKey(db: Db, id: string): Promise<ManagementKey | null> {
  const row = await db.selectFrom('management_keys').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : managementKeyFromRow(row)
}

export async function insertManagementKey(db: Db, key: ManagementKey): Promise<void> {
  await db
    .insertInto('management_keys')
    .values({
      id: key.id,
      name: key.name,
      hash: key.hash,
      key_start: key.keyStart,
      role: key.role,
      customer_id: key.customerId,
      expires_at: timestampOrNull(key.expiresAt),
      managed_by: key.managedBy,
      created_at: timestamp(key.createdAt),
      updated_at: timestamp(key.updatedAt),
    })
    .execute()
}

/** Writes what may change; when a key was last used is written by {@link touchManagementKey} alone. */
export async function updateManagementKey(db: Db, key: ManagementKey): Promise<void> {
  await db
    .updateTable('management_keys')
    .set({
      name: key.name,
      role: key.role,
      customer_id: key.customerId,
      expires_at: timestampOrNull(key.expiresAt),
      updated_at: timestamp(key.updatedAt),
    })
    .where('id', '=', key.id)
    .execute()
}

export async function touchManagementKey(db: Db, id: string, at: number): Promise<void> {
  await db
    .updateTable('management_keys')
    .set({ last_used_at: timestamp(at) })
    .where('id', '=', id)
    .execute()
}

export async function deleteManagementKey(db: Db, id: string): Promise<void> {
  await db.deleteFrom('management_keys').where('id', '=', id).execute()
}

export async function pageOfManagementKeys(
  db: Db,
  page: Page,
  { search, customer_id: customerId }: { search?: string; customer_id?: string },
): Promise<ManagementKey[]> {
  let query = db.selectFrom('management_keys').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (search !== undefined) query = query.where('name', 'ilike', containing(search))
  if (customerId !== undefined) query = query.where('customer_id', '=', customerId)
  return (await query.execute()).map(managementKeyFromRow)
}
