/** Export: everything that lasts but the single events, as one document, from one look at the database. */
import { type Kysely, sql } from 'kysely'
import type { Tables } from './tables.ts'
import { headLine, lastLine, SECTION_END, sectionStart, TRANSFERRED, type Transferred } from './transfer-format.ts'

const ROWS_AT_ONCE = 1_000

/** In which order the rows of a table come: by what makes each of them unique. */
const KEYS: Readonly<Record<Transferred, readonly string[]>> = {
  customers: ['id'],
  teams: ['id'],
  users: ['id'],
  user_ips: ['user_id', 'address'],
  virtual_keys: ['id'],
  providers: ['id'],
  provider_keys: ['id'],
  prices: ['id'],
  limits: ['id'],
  management_keys: ['id'],
  limit_usage: ['limit_id', 'count_number', 'window_start'],
  limit_closed: ['limit_id', 'metric'],
  usage_hourly: ['hour', 'customer_id', 'team_id', 'user_id', 'virtual_key_id', 'provider', 'model'],
  stored_objects: ['id'],
}

/** Pieces of the document. `now` in ms. Holds a transaction open until it is read to its end, or left. */
export async function* exportBooks(db: Kysely<Tables>, now: number): AsyncGenerator<string> {
  const trx = await db.startTransaction().setIsolationLevel('repeatable read').execute()
  try {
    const { rows: heads } = await sql<{ schema: string; salt: string }>`
      select (select max(name) from schema_migrations) as schema, secret_salt as salt from installation`.execute(trx)
    const [head] = heads
    if (head === undefined) throw new Error('the database has no installation')
    yield headLine({ schema: head.schema, secretSalt: head.salt, exportedAt: new Date(now).toISOString() })
    let count = 0
    for (const table of TRANSFERRED) {
      yield sectionStart(table)
      let isFirst = true
      for await (const piece of rowsOf(trx, table)) {
        count += piece.length
        yield `${isFirst ? '' : ',\n'}${piece.join(',\n')}`
        isFirst = false
      }
      yield `${isFirst ? '' : '\n'}${SECTION_END}`
    }
    yield lastLine(count)
  } finally {
    await trx.rollback().execute()
  }
}

/** Rows as JSON text, as Postgres writes it: large integers and times stay what they are. */
async function* rowsOf(trx: Kysely<Tables>, table: Transferred): AsyncGenerator<string[]> {
  const order = sql.join(KEYS[table].map((column) => sql.ref(column)))
  const cursor = sql.ref(`export_${table}`)
  await sql`declare ${cursor} no scroll cursor for
    select row_to_json(t)::text as row from (select * from ${sql.table(table)} order by ${order}) t`.execute(trx)
  for (;;) {
    const { rows } = await sql<{ row: string }>`fetch ${sql.lit(ROWS_AT_ONCE)} from ${cursor}`.execute(trx)
    if (rows.length === 0) break
    yield rows.map(({ row }) => row)
  }
  await sql`close ${cursor}`.execute(trx)
}
