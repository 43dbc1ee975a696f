/** The tables of `migrations/0002_usage`: what the gateway writes behind. */
import type { ColumnType, Generated } from 'kysely'
import type { ChargeLine } from '../ledger/charges.ts'
import type { NoticeKind, UsageSource } from '../ledger/facts.ts'
import type { Metric } from '../store/entities.ts'
import type { Json, Optional, Time, TimeOrNull, TimeWithDefault } from './column-forms.ts'

export interface UsageEventsTable {
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

export interface LimitUsageTable {
  limit_id: string
  count_number: number
  window_start: Time
  metric: Metric
  /** Nano-dollars for `cost`, a count otherwise. */
  posted: bigint
}

export interface LimitClosedTable {
  limit_id: string
  metric: Metric
  /** Nano-dollars for `cost`, a count otherwise. */
  posted: bigint
}

export interface CorrectionsTable {
  id: string
  at: Time
  reason: string
  request_id: Optional<string>
  charges: Json<ChargeLine[]>
}

export interface UsageHourlyTable {
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

export type AlertKind = 'limit' | NoticeKind

export interface AlertsTable {
  id: string
  at: Time
  kind: ColumnType<AlertKind, AlertKind | undefined, AlertKind>
  /** Null, like what follows, where the alert is about no limit. */
  limit_id: Optional<string>
  count_number: Optional<number>
  window_start: TimeOrNull
  metric: Optional<Metric>
  threshold: Optional<string>
  used: Optional<bigint>
  max: Optional<bigint>
  subject_id: Optional<string>
  message: Optional<string>
  delivered_at: TimeOrNull
  delivery_attempts: Generated<number>
  delivery_error: Optional<string>
}

export interface StoredObjectsTable {
  id: string
  virtual_key_id: string
  provider: string
  provider_key_id: Optional<string>
  created_at: Time
}

export interface JournalPositionsTable {
  journal_id: string
  applied: bigint
  updated_at: TimeWithDefault
}
