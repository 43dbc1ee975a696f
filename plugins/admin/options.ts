/** What the admin API is made of: given by the composition, read by every group of routes. */
import type { Control } from '../../src/control/control.ts'
import type { ManagementKeys } from '../../src/control/management-keys.ts'
import type { Metrics } from '../../src/metrics/metrics.ts'
import type { ExplainRequest, StatusView } from '../../src/schemas/reports.ts'

export interface AdminApiOptions {
  control: Control
  /** Loaded before the listener opens. */
  managementKeys: ManagementKeys
  /** What the composition knows about the whole process. */
  status: () => StatusView | Promise<StatusView>
  /** Reads everything from the database again, management keys included, after direct SQL. */
  reload: () => Promise<void>
  /** Says what would happen to a request (CONTRACT section 6). Throws `GatewayError` where it cannot even be asked. */
  explain: (request: ExplainRequest) => object | Promise<object>
  /** What `/metrics` answers with. */
  metrics: Pick<Metrics, 'text' | 'contentType'>
  /** `/metrics` without a management key. */
  metricsOpen: boolean
  /** BURSAR_SECRET, by which an import reads the credentials of another installation. */
  secret: string
  /** Sends a test alert to the webhook; null when none is configured. */
  testAlert: () => Promise<{ id: string; error: string | null } | null>
}
