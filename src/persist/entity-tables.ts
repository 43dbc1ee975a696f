/** The tables of `migrations/0001_entities`: what admins write and the gateway loads. */
import type { Generated } from 'kysely'
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
import type { JsonOrNull, JsonWithDefault, Optional, Time, TimeOrNull, TimeWithDefault } from './column-forms.ts'

interface Managed {
  managed_by: Generated<ManagedBy>
  created_at: TimeWithDefault
  updated_at: TimeWithDefault
}

export interface InstallationTable {
  only_row: Generated<boolean>
  secret_salt: string
  secret_check: string
  created_at: TimeWithDefault
  imported_at: TimeOrNull
}

export interface SchemaMigrationsTable {
  name: string
  checksum: string | null
  applied_at: TimeWithDefault
}

export interface CustomersTable extends Managed {
  id: string
  name: string
  metadata: JsonWithDefault<Metadata>
}

export interface TeamsTable extends Managed {
  id: string
  name: string
  customer_id: Optional<string>
  metadata: JsonWithDefault<Metadata>
}

export interface UsersTable extends Managed {
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

export interface UserIpsTable {
  user_id: string
  address: string
  first_seen_at: Time
  last_seen_at: Time
}

export interface VirtualKeysTable extends Managed {
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

export interface ProvidersTable extends Managed {
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

export interface ProviderKeysTable {
  id: string
  provider_id: string
  name: string
  value_encrypted: string
  key_start: string
  weight: Generated<number>
  created_at: TimeWithDefault
  updated_at: TimeWithDefault
}

export interface PricesTable extends Managed {
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

export interface LimitsTable extends Managed {
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

export interface ManagementKeysTable extends Managed {
  id: string
  name: string
  hash: string
  key_start: string
  role: 'admin' | 'viewer'
  customer_id: Optional<string>
  expires_at: TimeOrNull
  last_used_at: TimeOrNull
}

export interface AuditLogTable {
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
