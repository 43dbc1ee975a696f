/**
 * Bulk rows: limits and keys as a start reads them, by the million.
 *
 * What tells rows apart comes in columns of its own. All the rest is the same for thousands of rows: it comes as one text, is read once
 * however many rows have it, and what was read is shared by their entities.
 */
import { type CompiledQuery, type Kysely, sql } from 'kysely'
import type { Limit, VirtualKey } from '../store/entities.ts'
import { anchoredAt } from '../units/window.ts'
import { parseTimestamptz, textsOf } from './column-types.ts'
import { limitFromRow, scopeFrom } from './limit-rows.ts'
import { fieldsOfRecord } from './record-text.ts'
import { virtualKeyFromRow } from './rows.ts'
import type { Row, Tables } from './tables.ts'

/** A limit's own columns, and in `rest` the others, as Postgres writes a record. */
export interface BulkLimit extends Pick<Row<'limits'>, 'id' | 'scope_id' | 'created_at'> {
  readonly max: bigint
  /** Null where it is the same as `created_at`: what does not come takes no time. */
  readonly updated_at: number | null
  readonly anchor_at: number | null
  readonly rest: string
}

export function bulkLimits(db: Kysely<Tables>): CompiledQuery<BulkLimit> {
  return sql<BulkLimit>`
    select id, scope_id, coalesce(max_nano_usd, max_count) as max, created_at,
      nullif(updated_at, created_at) as updated_at, nullif(anchor_at, created_at) as anchor_at,
      row(managed_by, scope_kind, metric, "window", align, timezone, provider, model, mode, alert_at, count_number,
        override_max_nano_usd, override_max_count, override_until)::text as rest
    from limits`.compile(db)
}

/** A key's own columns, and the others in `rest`. */
export interface BulkKey
  extends Pick<
    Row<'virtual_keys'>,
    'id' | 'name' | 'hash' | 'key_start' | 'user_id' | 'team_id' | 'customer_id' | 'expires_at' | 'created_at'
  > {
  readonly updated_at: number | null
  readonly rest: string
}

export function bulkKeys(db: Kysely<Tables>): CompiledQuery<BulkKey> {
  return sql<BulkKey>`
    select id, name, hash, key_start, user_id, team_id, customer_id, expires_at, created_at,
      nullif(updated_at, created_at) as updated_at,
      row(managed_by, active, access, allowed_ips, passthrough, metadata, rotated_at, previous_hash, previous_until)::text
        as rest
    from virtual_keys`.compile(db)
}

/** Different rests that are remembered: beyond them each is read by itself. */
const RESTS_MAX = 10_000

/** Reads rows into entities; one per load, so that what it remembers goes with it. */
export class BulkRows {
  readonly #limits = new Alike((row: BulkLimit) => limitFromRow(wholeLimit(row)))
  readonly #keys = new Alike((row: BulkKey) => virtualKeyFromRow(wholeKey(row)))

  limit(row: BulkLimit): Limit {
    const { id, scope_id, max, created_at: createdAt } = row
    const like = this.#limits.get(row)
    const scope = scopeFrom(like.scope.kind, scope_id)
    const updatedAt = row.updated_at ?? createdAt
    const anchor = row.anchor_at ?? createdAt
    return { ...like, id, createdAt, updatedAt, scope, max, anchor, spec: anchoredAt(like.spec, anchor) }
  }

  /** Throws where `access` cannot be read. */
  key(row: BulkKey): VirtualKey {
    const like = this.#keys.get(row)
    return {
      ...like,
      id: row.id,
      createdAt: row.created_at,
      updatedAt: row.updated_at ?? row.created_at,
      name: row.name,
      hash: row.hash,
      keyStart: row.key_start,
      userId: row.user_id,
      teamId: row.team_id,
      customerId: row.customer_id,
      expiresAt: row.expires_at,
    }
  }
}

/** What was read of each rest. */
class Alike<R extends { readonly rest: string }, E> {
  readonly #read: (row: R) => E
  readonly #byRest = new Map<string, E>()
  /** Rows of one kind mostly come one after the other: to compare two texts is quicker than to look one up. */
  #last: { readonly rest: string; readonly entity: E } | null = null

  constructor(read: (row: R) => E) {
    this.#read = read
  }

  get(row: R): E {
    const { rest } = row
    if (this.#last?.rest === rest) return this.#last.entity
    const entity = this.#byRest.get(rest) ?? this.#read(row)
    if (this.#byRest.size < RESTS_MAX) this.#byRest.set(rest, entity)
    this.#last = { rest, entity }
    return entity
  }
}

/** The row that `limitFromRow` knows. */
function wholeLimit({ rest, max, created_at, ...own }: BulkLimit): Row<'limits'> {
  const [managed_by, scope_kind, metric, window, align, timezone, provider, model, mode, alerts, count, ...override] =
    fieldsOfRecord(rest)
  const [overrideNanoUsd, overrideCount, overrideUntil] = override
  // The checks of the table are what these types say.
  const texts = { managed_by, scope_kind, metric, window, align, timezone, provider, model, mode } as Row<'limits'>
  return {
    ...own,
    ...texts,
    created_at,
    updated_at: own.updated_at ?? created_at,
    anchor_at: own.anchor_at ?? created_at,
    max_nano_usd: metric === 'cost' ? max : null,
    max_count: metric === 'cost' ? null : max,
    alert_at: textsOf(alerts ?? '{}'),
    count_number: Number(count),
    override_max_nano_usd: mapped(overrideNanoUsd, BigInt),
    override_max_count: mapped(overrideCount, BigInt),
    override_until: mapped(overrideUntil, parseTimestamptz),
  }
}

/** The row that `virtualKeyFromRow` knows. */
function wholeKey({ rest, created_at, ...own }: BulkKey): Row<'virtual_keys'> {
  const [managed_by, active, access, allowedIps, passthrough, metadata, rotatedAt, previous_hash, previousUntil] =
    fieldsOfRecord(rest)
  return {
    ...own,
    created_at,
    updated_at: own.updated_at ?? created_at,
    managed_by: managed_by as Row<'virtual_keys'>['managed_by'],
    active: active === 't',
    access: mapped(access, JSON.parse),
    allowed_ips: mapped(allowedIps, textsOf),
    passthrough: passthrough === 't',
    metadata: JSON.parse(metadata ?? '{}') as Row<'virtual_keys'>['metadata'],
    rotated_at: mapped(rotatedAt, parseTimestamptz),
    previous_hash: previous_hash ?? null,
    previous_until: mapped(previousUntil, parseTimestamptz),
    last_used_at: null,
  }
}

function mapped<T>(text: string | null | undefined, read: (text: string) => T): T | null {
  return text == null ? null : read(text)
}
