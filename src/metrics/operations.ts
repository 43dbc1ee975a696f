/** Metrics of the books and the process behind the traffic. */
import type { Definer } from './definer.ts'

/** How the process is doing, read when Prometheus asks. */
export interface OperationsReading {
  readonly holdsOpen: number
  readonly holdsExpired: number
  readonly journalBytes: number
  readonly journalLagBytes: number
  readonly journalAccepting: boolean
  readonly factsWaiting: number
  /** Since the last dump that succeeded; before the first, since the start. */
  readonly dumpLagMs: number
  readonly dumpMs: number | null
  readonly quarantined: number
  readonly databaseReachable: boolean
  readonly alertsWaiting: number
  readonly logLinesLost: number
  /** Hooks of platform teams' plugins that have failed. */
  readonly pluginFailures: readonly { readonly plugin: string; readonly hook: string; readonly count: number }[]
  /** Credentials that are asked last for a while, by provider. */
  readonly keysResting: ReadonlyMap<string, number>
  readonly limits: number
  readonly virtualKeys: number
}

export function defineOperations(definer: Definer, operations: () => OperationsReading): void {
  const gauges: [string, string, (reading: OperationsReading) => number | null][] = [
    ['bursar_holds_open', 'Requests in flight that have set amounts aside.', (r) => r.holdsOpen],
    ['bursar_journal_bytes', 'Size of the journal’s files.', (r) => r.journalBytes],
    ['bursar_journal_lag_bytes', 'How much of it is not in the database yet.', (r) => r.journalLagBytes],
    ['bursar_journal_waiting_facts', 'Facts that are not in the database yet.', (r) => r.factsWaiting],
    ['bursar_journal_accepting', '0: new work is refused.', (r) => Number(r.journalAccepting)],
    ['bursar_dump_lag_seconds', 'Since the last dump that succeeded, or the start.', (r) => r.dumpLagMs / 1_000],
    ['bursar_dump_duration_seconds', 'How long the last dump took.', (r) => seconds(r.dumpMs)],
    ['bursar_quarantined_facts', 'Facts that could not be written to the database.', (r) => r.quarantined],
    ['bursar_database_up', '0: the database is away, requests are served on.', (r) => Number(r.databaseReachable)],
    ['bursar_alerts_waiting', 'Alerts that the webhook has not taken.', (r) => r.alertsWaiting],
    ['bursar_limits', 'Limits in memory.', (r) => r.limits],
    ['bursar_virtual_keys', 'Virtual keys in memory.', (r) => r.virtualKeys],
  ]
  for (const [name, help, value] of gauges) {
    definer.gauge(name, help, [], (set) => {
      const shown = value(operations())
      if (shown !== null) set({}, shown)
    })
  }
  const failed = 'Hooks of plugins that threw, took too long or answered something else.'
  definer.counter('bursar_plugin_failures_total', failed, ['plugin', 'hook'], (set) => {
    for (const { plugin, hook, count } of operations().pluginFailures) set({ plugin, hook }, count)
  })
  const resting = 'Provider keys that are asked last for a while: their provider has answered 401 or 429.'
  definer.gauge('bursar_provider_keys_resting', resting, ['provider'], (set) => {
    for (const [provider, count] of operations().keysResting) set({ provider }, count)
  })
  const lost = 'Log lines that were not taken by what they go to, such as a full disk.'
  definer.counter('bursar_log_lines_lost_total', lost, [], (set) => set({}, operations().logLinesLost))
  const help = 'Holds that nobody resolved in time: each one is a bug.'
  definer.counter('bursar_holds_expired_total', help, [], (set) => set({}, operations().holdsExpired))
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000
}
