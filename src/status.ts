/** Status: what `/readyz` and `GET /api/status` say about the whole process, read when asked. */
import type { HealthState } from '../plugins/health.ts'
import type { Alerting } from './alerting.ts'
import type { Governance } from './governance.ts'
import type { Database } from './persist/database.ts'
import type { Journal } from './persist/journal.ts'
import type { Persister } from './persist/persister.ts'
import { PRICE_DATA } from './pricing/price-data-release.ts'
import type { StatusView } from './schemas/reports.ts'
import type { ClockWatch } from './units/clock-watch.ts'
import { formatTime, formatTimeOrNull } from './units/time.ts'
import { PRICE_DATA_VERSION, VERSION } from './version.ts'

const DAY_MS = 86_400_000

export interface StatusParts {
  readonly governance: Governance
  readonly database: Database
  readonly journal: Journal
  readonly persister: Persister
  readonly health: HealthState
  readonly clockWatch: ClockWatch
  readonly alerting: Alerting
  /** Wall time in ms. */
  readonly startedAt: number
}

export function statusOf({
  governance,
  database,
  journal,
  persister,
  health,
  clockWatch,
  alerting,
  startedAt,
}: StatusParts): StatusView {
  const { clock, ledger } = governance
  const { state } = persister
  const now = clock.now()
  return {
    status: health.reasons.length === 0 ? 'ok' : 'degraded',
    reasons: [...health.reasons],
    version: VERSION,
    started_at: formatTime(startedAt),
    uptime_s: Math.max(0, Math.floor((now - startedAt) / 1_000)),
    database: { kind: database.kind, reachable: !state.databaseAway },
    journal: { accepting: journal.accepting, waiting_facts: state.factsWaiting, lag_bytes: state.journalLagBytes },
    dump: {
      last_at: formatTimeOrNull(state.lastDumpAt),
      lag_ms: Math.round(state.dumpLagMs),
      last_ms: state.lastDumpMs,
      last_error: state.lastError,
    },
    holds_open: ledger.openHoldCount,
    quarantined_facts: state.quarantined,
    prices: pricesAt(now),
    alerts_waiting: alerting.waiting,
    clock_steps: clockWatch.steps,
  }
}

/** Which price data is bundled, and how old it is, where that is known. */
function pricesAt(now: number): StatusView['prices'] {
  const publishedAt = PRICE_DATA_VERSION === PRICE_DATA.version ? Date.parse(PRICE_DATA.publishedAt) : null
  return {
    version: PRICE_DATA_VERSION,
    updated_at: formatTimeOrNull(publishedAt),
    age_days: publishedAt === null ? null : Math.max(0, Math.floor((now - publishedAt) / DAY_MS)),
  }
}

/** What does not work although requests are served; empty when all is well. */
export function degradations({ journal, persister }: Pick<StatusParts, 'journal' | 'persister'>): string[] {
  const { state } = persister
  const reasons: string[] = []
  if (state.databaseAway) reasons.push('the database cannot be reached; usage waits in the journal')
  else if (state.lastError !== null) reasons.push('usage cannot be written to the database; it waits in the journal')
  if (!journal.accepting) reasons.push('the journal takes no new work')
  if (state.quarantined > 0) reasons.push(`${state.quarantined} facts lie in quarantine`)
  return reasons
}
