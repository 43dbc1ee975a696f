/** Users in the database, with what the gateway writes behind about them. */
import { sql } from 'kysely'
import type { User, UserKind } from '../../store/entities.ts'
import { rowOfUser, userFromRow } from '../rows.ts'
import { idsBelow } from './bounds.ts'
import { containing, type Db, moment, type Page } from './db.ts'

/** A user and when one of its keys was last presented (ms). */
export interface StoredUser {
  readonly user: User
  readonly lastUsedAt: number | null
}

export interface UserAddress {
  readonly address: string
  readonly firstSeenAt: number
  readonly lastSeenAt: number
}

/** Locks the row until the transaction ends, so that an address cap or an expiry written meanwhile is not lost. */
export async function lockUser(db: Db, id: string): Promise<User | null> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  return row === undefined ? null : userFromRow(row)
}

export async function findUser(db: Db, id: string): Promise<StoredUser | null> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : { user: userFromRow(row), lastUsedAt: row.last_used_at }
}

/** In the order of the ids; without those that do not exist. */
export async function findUsers(db: Db, ids: readonly string[]): Promise<StoredUser[]> {
  const rows = await db.selectFrom('users').selectAll().where('id', 'in', ids).execute()
  const byId = new Map(rows.map((row) => [row.id, { user: userFromRow(row), lastUsedAt: row.last_used_at }]))
  return ids.map((id) => byId.get(id)).filter((user) => user !== undefined)
}

export async function findUserByName(db: Db, name: string): Promise<User | null> {
  const row = await db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst()
  return row === undefined ? null : userFromRow(row)
}

export async function insertUser(db: Db, user: User): Promise<void> {
  await db.insertInto('users').values(rowOfUser(user)).execute()
}

export async function updateUser(db: Db, user: User): Promise<void> {
  const { id, ...columns } = rowOfUser(user)
  await db.updateTable('users').set(columns).where('id', '=', id).execute()
}

export async function deleteUser(db: Db, id: string): Promise<void> {
  await db.deleteFrom('users').where('id', '=', id).execute()
}

export async function pageOfUsers(
  db: Db,
  page: Page,
  { search, kind, disabled, below }: { search?: string; kind?: UserKind; disabled?: boolean; below?: string },
): Promise<StoredUser[]> {
  let query = db.selectFrom('users').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (search !== undefined) query = query.where('name', 'ilike', containing(search))
  if (kind !== undefined) query = query.where('kind', '=', kind)
  if (disabled !== undefined) query = query.where('disabled_at', disabled ? 'is not' : 'is', null)
  if (below !== undefined) query = query.where('id', 'in', idsBelow('user', below))
  return (await query.execute()).map((row) => ({ user: userFromRow(row), lastUsedAt: row.last_used_at }))
}

/** Those that the configuration file has made. */
export async function usersOfFile(db: Db): Promise<User[]> {
  return (await db.selectFrom('users').selectAll().where('managed_by', '=', 'file').execute()).map(userFromRow)
}

/** Temporary users whose time is over at `now` (ms) and who are not yet disabled. */
export async function usersPastTheirTime(db: Db, now: number): Promise<User[]> {
  const rows = await db
    .selectFrom('users')
    .selectAll()
    .where('kind', '=', 'temporary')
    .where('expires_at', '<=', moment(now))
    .where('disabled_at', 'is', null)
    .execute()
  return rows.map(userFromRow)
}

/** Temporary users past their time who have been disabled since before `before` (ms). */
export async function usersToPurge(db: Db, now: number, before: number): Promise<User[]> {
  const rows = await db
    .selectFrom('users')
    .selectAll()
    .where('kind', '=', 'temporary')
    .where('expires_at', '<=', moment(now))
    .where('disabled_at', '<=', moment(before))
    .execute()
  return rows.map(userFromRow)
}

/** The addresses of each of the users, earliest first. */
export async function addressesOfUsers(db: Db, ids: readonly string[]): Promise<Map<string, UserAddress[]>> {
  const addresses = new Map<string, UserAddress[]>()
  if (ids.length === 0) return addresses
  const rows = await db
    .selectFrom('user_ips')
    .selectAll()
    .where('user_id', 'in', ids)
    .orderBy('first_seen_at')
    .orderBy('address')
    .execute()
  for (const row of rows) {
    const list = addresses.get(row.user_id) ?? []
    list.push({ address: row.address, firstSeenAt: row.first_seen_at, lastSeenAt: row.last_seen_at })
    addresses.set(row.user_id, list)
  }
  return addresses
}

/** What each of the users has ever used, model by model. */
export async function lifetimeOfUsers(db: Db, ids: readonly string[]) {
  if (ids.length === 0) return []
  return await db
    .selectFrom('usage_hourly')
    .select([
      'user_id',
      'model',
      sql<bigint>`sum(requests)::bigint`.as('requests'),
      sql<bigint>`sum(input_tokens + output_tokens)::bigint`.as('tokens'),
    ])
    .where('user_id', 'in', ids)
    .groupBy(['user_id', 'model'])
    .execute()
}
