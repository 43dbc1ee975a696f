/**
 * Whether a table or view of this name is there.
 *
 * By a query and not by `to_regclass`: that answers from a cache which a session brings up to date when it locks a table, and not when
 * it has waited for an advisory lock, so it would not see what the holder of that lock has just made.
 */
import { type Kysely, sql } from 'kysely'
import type { Tables } from './tables.ts'

export async function relationExists(db: Kysely<Tables>, name: string): Promise<boolean> {
  const { rows } = await sql<{ known: boolean }>`
    select exists (
      select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where relname = ${name} and nspname = any(current_schemas(false))) as known`.execute(db)
  return rows[0]?.known === true
}
