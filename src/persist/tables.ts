/**
 * Tables: the columns of `migrations/*.sql` as kysely sees them, once.
 *
 * As read: `timestamptz` is a number of ms (`Infinity` for `infinity`), BIGINT a `bigint`, jsonb its value; `database.ts` sets the
 * parsers. As written: times through {@link timestamp}, jsonb through {@link json} (pg would take a bare array for an SQL array).
 */
import type { ColumnType, Generated, Insertable, Selectable } from 'kysely'
import type { ChargeLine, UsageSource } from '../ledger/facts.ts'
import type {
  Align,
  LimitMode,
  ManagedBy,
  Metadata,
  Metric,
  ProviderKind,
  ScopeKind,
  UserKind,
} from '../store/entities.ts'

/** A moment as pg takes it: `Date` has no form for "never ends". */
export type Timestamp = Date | 'infinity'

type Time = ColumnType<number, Timestamp, Timestamp>
type TimeOrNull = ColumnType<number | null, Timestamp | null | undefined, Timestamp | null>
type TimeWithDefault = ColumnType<number, Timestamp | undefined, Timestamp>
type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>
type Json<T> = ColumnType<T, string, string>
type JsonWithDefault<T> = ColumnType<T, string | undefined, string>
type JsonOrNull = ColumnType<unknown, string | null | undefined, string | null>

/** Milliseconds since the epoch as a query parameter. */
export function timestamp(ms: number): Timestamp {
  return ms === Number.POSITIVE_INFINITY ? 'infinity' : new Date(ms)
}

export function timestampOrNull(ms: number | null): Timestamp | null {
  return ms === null ? null : timestamp(ms)
}

/** A value as a jsonb query parameter. */
export function json(value: unknown): string {
  return JSON.stringify(value)
}

interface Managed {
  managed_by: Generated<ManagedBy>
  created_at: TimeWithDefault
  updated_at: TimeWithDefault
}

interface InstallationTable {
  only_row: Generated<boolean>
  secret_salt: string
  secret_check: string
  created_at: TimeWithDefault
}

interface SchemaMigrationsTable {
  name: string
  checksum: string | null
  applied_at: TimeWithDefault
}

interface CustomersTable extends Managed {
  id: string
  name: string
  metadata: JsonWithDefault<Metadata>
}

interface TeamsTable extends Managed {
  id: string
  name: string
  customer_id: Optional<string>
  metadata: JsonWithDefault<Metadata>
}

interface UsersTable extends Managed {
  id: string
  name: string
  email: Optional<string>
  kind: Generated<UserKind>
  expires_at: TimeOrNull
  disabled_at: TimeOrNull
  disabled_reason: Optional<string>
  max_ips: Optional<number>
  note: Optional<string>
  metadata: JsonWithDefault<Metadata>
  last_used_at: TimeOrNull
}

interface UserIpsTable {
  user_id: string
  address: string
  first_seen_at: Time
  last_seen_at: Time
}

interface VirtualKeysTable extends Managed {
  id: string
  name: string
  hash: string
  key_start: string
  user_id: Optional<string>
  team_id: Optional<string>
  customer_id: Optional<string>
  active: Generated<boolean>
  expires_at: TimeOrNull
  /** A list of {@link AccessRuleRow}, or null; `rows.ts` checks it. */
  access: JsonOrNull
  allowed_ips: Optional<string[]>
  passthrough: Generated<boolean>
  metadata: JsonWithDefault<Metadata>
  rotated_at: TimeOrNull
  previous_hash: Optional<string>
  previous_until: TimeOrNull
  last_used_at: TimeOrNull
}

/** One element of `virtual_keys.access`. */
export interface AccessRuleRow {
  provider: string
  models: readonly string[] | null
  blocked_models: readonly string[]
  key_ids: readonly string[] | null
  weight: number | null
}

interface ProvidersTable extends Managed {
  id: string
  name: string
  kind: ProviderKind
  base_url: string
  api_version: Optional<string>
  deployments: JsonWithDefault<Record<string, string>>
  timeout_ms: Optional<number>
  /** Values encrypted. */
  headers: JsonWithDefault<Record<string, string>>
  enabled: Generated<boolean>
}

interface ProviderKeysTable {
  id: string
  provider_id: string
  name: string
  value_encrypted: string
  key_start: string
  weight: Generated<number>
  created_at: TimeWithDefault
  updated_at: TimeWithDefault
}

interface PricesTable extends Managed {
  id: string
  provider: string
  model: string
  input_nano_usd_per_million: Optional<bigint>
  output_nano_usd_per_million: Optional<bigint>
  cache_read_nano_usd_per_million: Optional<bigint>
  cache_write_nano_usd_per_million: Optional<bigint>
  nano_usd_per_request: Optional<bigint>
  effective_from: Time
}

interface LimitsTable extends Managed {
  id: string
  scope_kind: ScopeKind
  scope_id: Optional<string>
  metric: Metric
  /** Set exactly for `cost`. */
  max_nano_usd: Optional<bigint>
  /** Set for every other metric. */
  max_count: Optional<bigint>
  window: Optional<string>
  align: Optional<Align>
  timezone: Generated<string>
  provider: Optional<string>
  model: Optional<string>
  mode: Generated<LimitMode>
  alert_at: Generated<string[]>
  anchor_at: TimeWithDefault
  count_number: Generated<number>
  override_max_nano_usd: Optional<bigint>
  override_max_count: Optional<bigint>
  override_until: TimeOrNull
}

interface ManagementKeysTable extends Managed {
  id: string
  name: string
  hash: string
  key_start: string
  role: 'admin' | 'viewer'
  customer_id: Optional<string>
  expires_at: TimeOrNull
  last_used_at: TimeOrNull
}

interface AuditLogTable {
  id: string
  at: TimeWithDefault
  actor_id: Optional<string>
  actor_name: string
  action: string
  entity_kind: string
  entity_id: Optional<string>
  entity_name: Optional<string>
  before: JsonOrNull
  after: JsonOrNull
  address: Optional<string>
}

interface UsageEventsTable {
  request_id: string
  attempt: number
  ended_at: Time
  virtual_key_id: Optional<string>
  user_id: Optional<string>
  team_id: Optional<string>
  customer_id: Optional<string>
  provider: Optional<string>
  provider_key_id: Optional<string>
  model: Optional<string>
  endpoint: string
  stream: boolean
  tags: string[]
  status: Optional<number>
  success: boolean
  refused_code: Optional<string>
  input_tokens: bigint
  output_tokens: bigint
  cache_read_tokens: bigint
  cache_write_tokens: bigint
  reasoning_tokens: bigint
  cost_nano_usd: bigint
  overage_nano_usd: bigint
  usage_source: Optional<UsageSource>
  requests: number
  latency_ms: number
  ttft_ms: Optional<number>
  charges: Json<ChargeLine[]>
}

interface LimitUsageTable {
  limit_id: string
  count_number: number
  window_start: Time
  metric: Metric
  /** Nano-dollars for `cost`, a count otherwise. */
  posted: bigint
}

interface LimitClosedTable {
  limit_id: string
  metric: Metric
  /** Nano-dollars for `cost`, a count otherwise. */
  posted: bigint
}

interface CorrectionsTable {
  id: string
  at: Time
  reason: string
  request_id: Optional<string>
  charges: Json<ChargeLine[]>
}

interface UsageHourlyTable {
  hour: Time
  customer_id: Optional<string>
  team_id: Optional<string>
  user_id: Optional<string>
  virtual_key_id: Optional<string>
  provider: Optional<string>
  model: Optional<string>
  requests: bigint
  input_tokens: bigint
  output_tokens: bigint
  cache_read_tokens: bigint
  cache_write_tokens: bigint
  reasoning_tokens: bigint
  cost_nano_usd: bigint
}

interface AlertsTable {
  id: string
  at: Time
  limit_id: string
  count_number: number
  window_start: Time
  metric: Metric
  threshold: string
  used: bigint
  max: bigint
  delivered_at: TimeOrNull
  delivery_attempts: Generated<number>
  delivery_error: Optional<string>
}

interface JournalPositionsTable {
  journal_id: string
  applied: bigint
  updated_at: TimeWithDefault
}

/** Every table, by its name in SQL. */
export interface Tables {
  installation: InstallationTable
  schema_migrations: SchemaMigrationsTable
  customers: CustomersTable
  teams: TeamsTable
  users: UsersTable
  user_ips: UserIpsTable
  virtual_keys: VirtualKeysTable
  providers: ProvidersTable
  provider_keys: ProviderKeysTable
  prices: PricesTable
  limits: LimitsTable
  management_keys: ManagementKeysTable
  audit_log: AuditLogTable
  usage_events: UsageEventsTable
  limit_usage: LimitUsageTable
  limit_closed: LimitClosedTable
  corrections: CorrectionsTable
  usage_hourly: UsageHourlyTable
  alerts: AlertsTable
  journal_positions: JournalPositionsTable
}

export type Row<T extends keyof Tables> = Selectable<Tables[T]>
export type NewRow<T extends keyof Tables> = Insertable<Tables[T]>
