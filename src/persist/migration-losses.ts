/** Migration losses: what taking migrations back would delete, found by doing it in a transaction that is rolled back. */
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from './tables.ts'

/** A table or a column and how many rows have something in it. */
export interface Loss {
  readonly what: string
  readonly rows: number
}

interface Column {
  readonly table: string
  readonly column: string
}

class TakenBack extends Error {}

/** @param takeBack the down migrations, within the transaction that it is given */
export async function lossesOf(
  db: Kysely<Tables>,
  takeBack: (trx: Transaction<Tables>) => Promise<unknown>,
): Promise<Loss[]> {
  const losses: Loss[] = []
  try {
    await db.transaction().execute(async (trx) => {
      const columns = await columnsOf(trx)
      const rows = await rowCounts(trx, columns)
      await sql`savepoint before_losses`.execute(trx)
      await takeBack(trx)
      const left = await columnsOf(trx)
      const rowsLeft = await rowCounts(trx, left)
      await sql`rollback to savepoint before_losses`.execute(trx)
      for (const [table, count] of rows) {
        const lost = count - (rowsLeft.get(table) ?? 0)
        if (lost > 0) losses.push({ what: table, rows: lost })
      }
      const stays = new Set(left.map(({ table, column }) => `${table}.${column}`))
      for (const { table, column } of columns) {
        if (!rowsLeft.has(table) || stays.has(`${table}.${column}`)) continue
        const filled = await filledRows(trx, table, column)
        if (filled > 0) losses.push({ what: `${table}.${column}`, rows: filled })
      }
      throw new TakenBack()
    })
  } catch (error) {
    if (!(error instanceof TakenBack)) throw error
  }
  return losses
}

/** Of tables; a partition's rows are its parent's. The list of what is applied is about the migrations themselves. */
async function columnsOf(trx: Transaction<Tables>): Promise<Column[]> {
  const { rows } = await sql<{ table: string; column: string }>`
    select relname as table, attname as column from pg_class join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
      and attnum > 0 and not attisdropped and relname <> 'schema_migrations' order by relname, attnum`.execute(trx)
  return rows
}

async function rowCounts(trx: Transaction<Tables>, columns: readonly Column[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const table of new Set(columns.map((column) => column.table))) {
    const { rows } = await sql<{ count: bigint }>`select count(*) as count from ${sql.table(table)}`.execute(trx)
    counts.set(table, Number(rows[0]?.count ?? 0n))
  }
  return counts
}

/** A column with a default has lost nothing where it holds that. */
async function filledRows(trx: Transaction<Tables>, table: string, column: string): Promise<number> {
  const { rows: defaults } = await sql<{ text: string | null }>`
    select pg_get_expr(adbin, adrelid) as text from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = ${table}::regclass and attname = ${column}`.execute(trx)
  const standard = defaults[0]?.text ?? null
  const differs = standard === null ? sql`true` : sql`${sql.ref(column)} is distinct from ${sql.raw(standard)}`
  const { rows } = await sql<{ count: bigint }>`
    select count(${sql.ref(column)}) as count from ${sql.table(table)} where ${differs}`.execute(trx)
  return Number(rows[0]?.count ?? 0n)
}
