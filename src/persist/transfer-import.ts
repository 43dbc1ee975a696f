/**
 * Import: brings an export into the books, all of it or nothing.
 *
 * What is there already by its id takes the fields of the file; what an existing limit has used stays as it is, so that no import sets a
 * count back or doubles it (F11). What came with usage gets corrections that explain it, since its events stayed behind.
 */
import { type Kysely, sql, type Transaction } from 'kysely'
import pg from 'pg'
import { loadWithin } from './load.ts'
import { providerHeaderPlace, providerKeyPlace, Secrets } from './secrets.ts'
import type { Tables } from './tables.ts'
import {
  readHead,
  readLine,
  TRANSFERRED,
  TransferError,
  type TransferHeader,
  type Transferred,
} from './transfer-format.ts'

export interface ImportOptions {
  readonly db: Kysely<Tables>
  /** This installation's: credentials are encrypted with it anew. */
  readonly secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  /** BURSAR_SECRET, which must be the one the export's installation had, if it has credentials. */
  readonly secret: string
  /** ms. */
  readonly now: number
  /** Leaves the credentials of providers out. */
  readonly withoutCredentials?: boolean
  /** Within the transaction, when all rows are there. */
  readonly finish?: (trx: Kysely<Tables>, counts: ImportCounts) => Promise<void>
}

export type ImportCounts = Readonly<Record<Transferred, number>>

type Trx = Transaction<Tables>

const ROWS_AT_ONCE = 500
/** Longest line that is a row: metadata may be large. */
const LINE_MAX = 4 * 1_048_576
const SAVEPOINT = sql.raw('import_rows')

interface Piece {
  readonly table: Transferred
  readonly rows: { readonly json: string; readonly line: number }[]
}

/** Throws {@link TransferError}; then nothing has changed. */
export async function importBooks(source: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<ImportCounts> {
  return await options.db.transaction().execute(async (trx) => {
    const counts: Record<Transferred, number> = Object.fromEntries(TRANSFERRED.map((table) => [table, 0])) as never
    await sql`create temporary table import_new_limits (id uuid primary key) on commit drop`.execute(trx)
    const reader = new Reader()
    let writer: Writer | null = null
    for await (const line of linesOf(source)) {
      const piece = reader.take(line)
      if (reader.head !== null) writer ??= await Writer.open(trx, reader.head, options)
      if (piece !== null) counts[piece.table] += await (writer as Writer).write(piece)
    }
    reader.mustBeWhole()
    await explainUsage(trx, options.now)
    await mustLoad(trx, options)
    await sql`update installation set imported_at = ${new Date(options.now)}`.execute(trx)
    await options.finish?.(trx, counts)
    return counts
  })
}

/** Puts lines together to pieces of one table. */
class Reader {
  head: TransferHeader | null = null
  #number = 0
  #rows = 0
  #isWhole = false
  #piece: Piece | null = null
  #sections = 0

  take(text: string): Piece | null {
    this.#number += 1
    if (text.trim() === '' && this.#isWhole) return null
    if (this.head === null) {
      this.head = readHead(text)
      return null
    }
    if (this.#isWhole) throw new TransferError(`line ${this.#number}: something follows the end`)
    const line = readLine(text, this.#number)
    switch (line.kind) {
      case 'section':
        if (this.#piece !== null || TRANSFERRED[this.#sections] !== line.table) {
          throw new TransferError(`line ${this.#number}: "${line.table}" does not belong here`)
        }
        this.#sections += 1
        this.#piece = { table: line.table, rows: [] }
        return null
      case 'row': {
        if (this.#piece === null) throw new TransferError(`line ${this.#number}: a row outside of every section`)
        this.#rows += 1
        const { table, rows } = this.#piece
        rows.push({ json: line.json, line: this.#number })
        if (rows.length < ROWS_AT_ONCE) return null
        this.#piece = { table, rows: [] }
        return { table, rows }
      }
      case 'section-end': {
        const piece = this.#piece
        if (piece === null) throw new TransferError(`line ${this.#number}: the end of no section`)
        this.#piece = null
        return piece.rows.length === 0 ? null : piece
      }
      case 'end':
        if (this.#piece !== null || this.#sections < TRANSFERRED.length || line.rows !== this.#rows) {
          throw new TransferError(`line ${this.#number}: ${line.rows} rows were written, and ${this.#rows} are here`)
        }
        this.#isWhole = true
        return null
    }
  }

  mustBeWhole(): void {
    if (!this.#isWhole)
      throw new TransferError(`the file ends after line ${this.#number}, in the middle: it was cut off`)
  }
}

/** Writes pieces; of one that the database refuses it finds the row. */
class Writer {
  readonly #trx: Trx
  readonly #options: ImportOptions
  readonly #theirs: Secrets
  readonly #columns = new Map<Transferred, readonly string[]>()

  private constructor(trx: Trx, { secretSalt }: TransferHeader, options: ImportOptions) {
    this.#trx = trx
    this.#options = options
    this.#theirs = new Secrets(options.secret, secretSalt)
  }

  static async open(trx: Trx, head: TransferHeader, options: ImportOptions): Promise<Writer> {
    const { rows } = await sql<{ schema: string }>`select max(name) as schema from schema_migrations`.execute(trx)
    const schema = rows[0]?.schema
    if (schema !== head.schema) {
      throw new TransferError(
        `line 1: written from a database at migration ${head.schema}, and this one is at ${schema}; bring both to the same version`,
      )
    }
    return new Writer(trx, head, options)
  }

  async write({ table, rows }: Piece): Promise<number> {
    if (table === 'provider_keys' && this.#options.withoutCredentials === true) return 0
    const sealed = rows.map((row) => ({ ...row, json: this.#sealed(table, row) }))
    try {
      await this.#inSavepoint(() =>
        this.#insert(
          table,
          sealed.map(({ json }) => json),
        ),
      )
    } catch (error) {
      for (const { json, line } of sealed) {
        try {
          await this.#inSavepoint(() => this.#insert(table, [json]))
        } catch (reason) {
          throw refusedRow(table, line, reason)
        }
      }
      throw error
    }
    return rows.length
  }

  async #inSavepoint(work: () => Promise<unknown>): Promise<void> {
    await sql`savepoint ${SAVEPOINT}`.execute(this.#trx)
    try {
      await work()
      await sql`release savepoint ${SAVEPOINT}`.execute(this.#trx)
    } catch (error) {
      await sql`rollback to savepoint ${SAVEPOINT}`.execute(this.#trx)
      throw error
    }
  }

  async #insert(table: Transferred, rows: readonly string[]): Promise<void> {
    const columns = await this.#columnsOf(table)
    const names = sql.join(columns.map((column) => sql.ref(column)))
    const given = sql`json_populate_recordset(null::${sql.table(table)}, ${`[${rows.join(',')}]`}::json)`
    const target = sql`insert into ${sql.table(table)} (${names}) select ${names} from ${given} r`
    switch (table) {
      case 'limit_usage':
      case 'limit_closed':
        // What a limit that was here before has used is known better here.
        await sql`${target} where limit_id in (select id from import_new_limits)`.execute(this.#trx)
        return
      case 'user_ips':
      case 'usage_hourly':
      case 'stored_objects':
        await sql`${target} on conflict do nothing`.execute(this.#trx)
        return
      case 'limits':
        await sql`
          insert into import_new_limits select r.id from ${given} r
          where not exists (select from limits where limits.id = r.id)`.execute(this.#trx)
    }
    const updates = columns
      .filter((column) => column !== 'id')
      .map((column) => sql`${sql.ref(column)} = ${sql.ref(`excluded.${column}`)}`)
    await sql`${target} on conflict (id) do update set ${sql.join(updates)}`.execute(this.#trx)
  }

  async #columnsOf(table: Transferred): Promise<readonly string[]> {
    let columns = this.#columns.get(table)
    if (columns === undefined) {
      const { rows } = await sql<{ name: string }>`
        select attname as name from pg_attribute
        where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`.execute(this.#trx)
      columns = rows.map(({ name }) => name)
      this.#columns.set(table, columns)
    }
    return columns
  }

  /** Credentials are encrypted for the installation that they lie in. */
  #sealed(table: Transferred, { json, line }: { readonly json: string; readonly line: number }): string {
    if (table !== 'providers' && table !== 'provider_keys') return json
    const row = JSON.parse(json) as Record<string, unknown>
    const again = (text: unknown, place: string) => {
      try {
        return this.#options.secrets.encrypt(this.#theirs.decrypt(String(text), place), place)
      } catch (error) {
        throw new TransferError(
          `line ${line}: a credential that was encrypted with another BURSAR_SECRET; set that one here, or import without credentials`,
          { cause: error },
        )
      }
    }
    if (table === 'provider_keys') {
      return JSON.stringify({ ...row, value_encrypted: again(row.value_encrypted, providerKeyPlace(String(row.id))) })
    }
    const headers = Object.entries((row.headers ?? {}) as Record<string, unknown>)
    const kept = this.#options.withoutCredentials === true ? [] : headers
    return JSON.stringify({
      ...row,
      headers: Object.fromEntries(
        kept.map(([name, value]) => [name, again(value, providerHeaderPlace(String(row.id), name))]),
      ),
    })
  }
}

/** The counts that came along are what a correction says, so that events and corrections go on adding up to them. */
async function explainUsage(trx: Trx, now: number): Promise<void> {
  await sql`
    insert into corrections (id, at, reason, request_id, charges)
    select gen_random_uuid(), ${new Date(now)}, 'Imported.', null,
      json_build_array(json_build_array(limit_id, count_number, (extract(epoch from window_start) * 1000)::bigint, metric, posted::text))
    from limit_usage where limit_id in (select id from import_new_limits)`.execute(trx)
}

/** Rows that the gateway could not load at its next start must not get in. */
async function mustLoad(trx: Trx, { secrets }: ImportOptions): Promise<void> {
  const nothing = () => {}
  const { problems } = await loadWithin(trx, {
    secrets,
    targets: { entities: nothing, addresses: nothing, meter: nothing },
  })
  const [first] = problems
  if (first === undefined) return
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : ''
  throw new TransferError(`${first.kind} ${first.name} cannot be used as it is: ${first.reason}${more}`)
}

function refusedRow(table: string, line: number, error: unknown): Error {
  if (!(error instanceof pg.DatabaseError) || !/^(2[123]|42804)/.test(error.code ?? '')) {
    return error instanceof Error ? error : new Error(String(error))
  }
  const reason = error.code === '23505' ? 'something else here has the same name or key' : error.message
  return new TransferError(`line ${line}: this row of ${table} cannot be imported: ${reason}`, { cause: error })
}

async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0)
  for await (const piece of source) {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    let from = 0
    for (let to = rest.indexOf(0x0a); to !== -1; to = rest.indexOf(0x0a, from)) {
      yield rest.toString('utf8', from, to)
      from = to + 1
    }
    rest = rest.subarray(from)
    if (rest.length > LINE_MAX)
      throw new TransferError(`a line of more than ${LINE_MAX} bytes: this is no export of Bursar`)
  }
  if (rest.length > 0) yield rest.toString('utf8')
}
