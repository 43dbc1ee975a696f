/**
 * Load: what the store and the ledger need to know at a start, read from the books in one consistent look and handed on in pieces.
 *
 * A row that cannot be read is reported by name and does not stop the rest (T17). A limit whose window cannot be read is handed on all
 * the same, marked invalid, so that its traffic is refused rather than unlimited.
 */
import { type CompiledQuery, type Kysely, sql, type Transaction } from 'kysely'
import type { UserAddress } from '../auth/addresses.ts'
import type { MeterState } from '../ledger/reading.ts'
import type { Change, EntityByKind, EntityKind } from '../store/entities.ts'
import type { PackedKind } from '../store/governance-store.ts'
import { BulkRows, bulkKeys, bulkLimits } from './bulk-rows.ts'
import { customerFromRow, priceFromRow, providerFromRow, teamFromRow, userFromRow } from './rows.ts'
import type { Secrets } from './secrets.ts'
import type { Row, Tables } from './tables.ts'

/** Who takes what is loaded, piece by piece, in this order. */
export interface LoadTargets {
  /** How many of a kind are coming. */
  readonly expect?: (kind: PackedKind, count: number) => void
  /** Puts of entities, each after what it refers to. */
  readonly entities: (changes: readonly Change[]) => void
  /** Where users have been seen. */
  readonly addresses: (addresses: readonly UserAddress[]) => void
  /** A limit's numbers; only of limits that have any. */
  readonly meter: (limitId: string, state: MeterState) => void
}

/** A row that was left out, or a limit that came out invalid. */
export interface LoadProblem {
  readonly kind: EntityKind
  readonly id: string
  readonly name: string
  readonly reason: string
}

export interface LoadReport {
  readonly counts: Readonly<Record<EntityKind, number>>
  readonly problems: readonly LoadProblem[]
}

export interface LoadOptions {
  readonly db: Kysely<Tables>
  readonly secrets: Pick<Secrets, 'decrypt'>
  readonly targets: LoadTargets
}

type Trx = Transaction<Tables>

/** Rows in one piece: what is parsed and applied without the event loop turning, and what the young generation of the heap has room for. */
const PIECE_ROWS = 1_000

/** Throws when the database cannot be read; not for what single rows contain. */
export async function load({ db, ...options }: LoadOptions): Promise<LoadReport> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute((trx) => loadWithin(trx, options))
}

/** The same within a transaction that somebody else has begun. */
export async function loadWithin(trx: Trx, { secrets, targets }: Omit<LoadOptions, 'db'>): Promise<LoadReport> {
  const counts = { customer: 0, team: 0, user: 0, virtual_key: 0, limit: 0, provider: 0, price: 0 }
  const problems: LoadProblem[] = []
  const keys = await providerKeys(trx)
  const bulk = new BulkRows()
  await expect('virtual_key', 'virtual_keys')
  await expect('limit', 'limits')
  await put('customer', trx.selectFrom('customers').selectAll().compile(), customerFromRow)
  await put('team', trx.selectFrom('teams').selectAll().compile(), teamFromRow)
  await put('user', trx.selectFrom('users').selectAll().compile(), userFromRow)
  await put('virtual_key', bulkKeys(trx), (row) => bulk.key(row))
  // Where two providers could serve a model, the older one is asked first.
  const providers = trx.selectFrom('providers').selectAll().orderBy('created_at').orderBy('id')
  await put('provider', providers.compile(), (row) => providerFromRow(row, keys.get(row.id) ?? [], secrets))
  await put('price', trx.selectFrom('prices').selectAll().compile(), priceFromRow)
  await put('limit', bulkLimits(trx), (row) => bulk.limit(row))
  for await (const rows of pieces(trx, trx.selectFrom('user_ips').selectAll().compile())) {
    targets.addresses(rows.map(addressFromRow))
  }
  for await (const rows of pieces(trx, meterRows(trx))) {
    for (const row of rows) targets.meter(row.limit_id, meterState(row))
  }
  return { counts, problems }

  async function expect(kind: PackedKind, table: 'virtual_keys' | 'limits'): Promise<void> {
    const { count } = await trx.selectFrom(table).select(sql<bigint>`count(*)`.as('count')).executeTakeFirstOrThrow()
    targets.expect?.(kind, Number(count))
  }

  async function put<K extends EntityKind, R extends { readonly id: string }>(
    kind: K,
    query: CompiledQuery<R>,
    entityFrom: (row: R) => EntityByKind[K],
  ): Promise<void> {
    for await (const rows of pieces(trx, query)) {
      const changes: Change[] = []
      for (const row of rows) {
        try {
          const entity = entityFrom(row)
          changes.push({ op: 'put', kind, entity } as Change)
          if ('invalid' in entity && entity.invalid !== null) report(kind, row, entity.invalid)
        } catch (error) {
          report(kind, row, error instanceof Error ? error.message : String(error))
        }
      }
      counts[kind] += changes.length
      targets.entities(changes)
    }
  }

  function report(kind: EntityKind, row: { readonly id: string; readonly name?: string }, reason: string): void {
    problems.push({ kind, id: row.id, name: row.name ?? row.id, reason })
  }
}

/**
 * The rows of a query through a cursor, so that a million of them are never in memory at once. A piece is empty once the next one is asked
 * for: promises of queries that are done keep their results for a while, and what is kept so long is moved to where it is seldom collected.
 */
async function* pieces<R>(trx: Trx, { sql: text }: CompiledQuery<R>): AsyncGenerator<readonly R[]> {
  await sql.raw(`declare loading no scroll cursor for ${text}`).execute(trx)
  const fetch = () => sql.raw<R>(`fetch forward ${PIECE_ROWS} from loading`).execute(trx)
  for (let coming = fetch(); ; ) {
    const { rows } = await coming
    const isLast = rows.length < PIECE_ROWS
    if (!isLast) {
      // The server gets the next piece ready while this one is being taken in.
      coming = fetch()
      coming.catch(() => {})
    }
    if (rows.length > 0) yield rows
    rows.length = 0
    if (isLast) break
  }
  await sql`close loading`.execute(trx)
}

async function providerKeys(trx: Trx): Promise<Map<string, Row<'provider_keys'>[]>> {
  const rows = await trx.selectFrom('provider_keys').selectAll().execute()
  return Map.groupBy(rows, ({ provider_id }) => provider_id)
}

function addressFromRow(row: Row<'user_ips'>): UserAddress {
  return {
    userId: row.user_id,
    address: row.address,
    firstSeenAt: row.first_seen_at,
    lastSeenAt: row.last_seen_at,
  }
}

interface MeterRow {
  readonly limit_id: string
  readonly start: number | null
  readonly posted: bigint | null
  readonly previous_start: number | null
  readonly previous_posted: bigint | null
  readonly lifetime: string
}

/**
 * Limits with something in the books: the newest two windows of the present count, and all that was ever posted. A count of another
 * metric (before an edit) is of another unit and does not add up.
 */
function meterRows(trx: Trx): CompiledQuery<MeterRow> {
  const present = sql`order by u.window_start desc) filter (where u.count_number = l.count_number)`
  return sql<MeterRow>`
    select l.id as limit_id, w.starts[1] as start, w.amounts[1] as posted,
      w.starts[2] as previous_start, w.amounts[2] as previous_posted,
      (coalesce(w.lifetime, 0) + coalesce(c.posted, 0))::text as lifetime
    from limits l
    left join (
      select u.limit_id, array_agg(u.window_start ${present} as starts, array_agg(u.posted ${present} as amounts,
        sum(u.posted) as lifetime
      from limit_usage u join limits l on l.id = u.limit_id and l.metric = u.metric
      group by u.limit_id) w on w.limit_id = l.id
    left join limit_closed c on c.limit_id = l.id and c.metric = l.metric
    where w.limit_id is not null or c.limit_id is not null`.compile(trx)
}

function meterState(row: MeterRow): MeterState {
  return {
    // Without a window only the lifetime total counts: a start of 0 is a window that has long passed.
    windowStart: row.start ?? 0,
    posted: row.posted ?? 0n,
    previousStart: row.previous_start,
    previousPosted: row.previous_posted ?? 0n,
    lifetime: BigInt(row.lifetime),
  }
}
