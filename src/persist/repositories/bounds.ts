/**
 * Bounds: what lies below a customer, for management keys that are bound to one. Teams of the customer; keys that it is charged for;
 * users all of whose keys are such; limits on any of these. Its own limits and the global ones are above it.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Db } from './db.ts'

export const BOUND_KINDS = ['team', 'user', 'virtual_key', 'limit'] as const
export type BoundKind = (typeof BOUND_KINDS)[number]

/** The ids below the customer, as a subquery. */
export function idsBelow(kind: BoundKind, customerId: string): RawBuilder<string> {
  switch (kind) {
    case 'team':
      return sql`(select id from teams where customer_id = ${customerId})`
    case 'virtual_key':
      return sql`(
        select k.id from virtual_keys k left join teams t on t.id = k.team_id
        where coalesce(k.customer_id, t.customer_id) = ${customerId})`
    case 'user':
      return sql`(
        select k.user_id from virtual_keys k left join teams t on t.id = k.team_id
        where k.user_id is not null
        group by k.user_id having bool_and(coalesce(coalesce(k.customer_id, t.customer_id) = ${customerId}, false)))`
    case 'limit':
      return sql`(
        select id from limits
        where scope_kind = 'team' and scope_id in ${idsBelow('team', customerId)}
          or scope_kind = 'virtual_key' and scope_id in ${idsBelow('virtual_key', customerId)}
          or scope_kind = 'user' and scope_id in ${idsBelow('user', customerId)})`
  }
}

export async function isBelow(db: Db, kind: BoundKind, id: string, customerId: string): Promise<boolean> {
  const { rows } = await sql<{ below: boolean }>`select ${id}::uuid in ${idsBelow(kind, customerId)} as below`.execute(
    db,
  )
  return rows[0]?.below === true
}
