/** Tables: the columns of `migrations/*.sql` as kysely sees them, once. */
import type { Insertable, Selectable } from 'kysely'
import type {
  AuditLogTable,
  CustomersTable,
  InstallationTable,
  LimitsTable,
  ManagementKeysTable,
  PricesTable,
  ProviderKeysTable,
  ProvidersTable,
  SchemaMigrationsTable,
  TeamsTable,
  UserIpsTable,
  UsersTable,
  VirtualKeysTable,
} from './entity-tables.ts'
import type {
  AlertsTable,
  CorrectionsTable,
  JournalPositionsTable,
  LimitClosedTable,
  LimitUsageTable,
  StoredObjectsTable,
  UsageEventsTable,
  UsageHourlyTable,
} from './usage-tables.ts'

export { json, timestamp, timestampOrNull } from './column-forms.ts'
export type { AccessRuleRow } from './entity-tables.ts'

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
  stored_objects: StoredObjectsTable
  journal_positions: JournalPositionsTable
}

export type Row<T extends keyof Tables> = Selectable<Tables[T]>
export type NewRow<T extends keyof Tables> = Insertable<Tables[T]>
