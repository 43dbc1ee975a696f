/** What repositories take: the database or a transaction on it, and the page of a list. */
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type Tables, timestamp } from '../tables.ts'

export type Db = Kysely<Tables>

/** Rows come by id, oldest first: a page begins after the last id of the one before, so writes in between neither repeat nor skip a row. */
export interface Page {
  readonly after: string | null
  readonly limit: number
}

/** A pattern for `ilike` that finds the text itself anywhere. */
export function containing(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
}

/** A moment (ms) to compare a column with. */
export function moment(ms: number): RawBuilder<number> {
  return sql<number>`${timestamp(ms)}::timestamptz`
}

/** A constraint that a statement broke. */
export interface Violation {
  readonly kind: 'unique' | 'reference'
  readonly constraint: string
  /** The table whose constraint it is: for a deletion, the one that still refers. */
  readonly table: string
}

/** What a database error says about constraints; null when it is about something else. */
export function violationOf(error: unknown): Violation | null {
  if (!(error instanceof Error)) return null
  const { code, constraint, table } = error as Error & { code?: unknown; constraint?: unknown; table?: unknown }
  if ((code !== '23505' && code !== '23503') || typeof constraint !== 'string') return null
  return { kind: code === '23505' ? 'unique' : 'reference', constraint, table: typeof table === 'string' ? table : '' }
}

/** Runs statements inside a transaction so that their failure leaves the transaction usable. */
export async function recoverable<T>(db: Db, work: () => Promise<T>): Promise<T> {
  await sql`savepoint recoverable`.execute(db)
  try {
    const result = await work()
    await sql`release savepoint recoverable`.execute(db)
    return result
  } catch (error) {
    await sql`rollback to savepoint recoverable`.execute(db)
    throw error
  }
}
