/** Observability: the metrics of this process, read off its parts. */
import type { Alerting } from './alerting.ts'
import type { Extensions } from './extension/extensions.ts'
import type { Governance } from './governance.ts'
import { linesLost } from './log.ts'
import { FullestLimits } from './metrics/fullest-limits.ts'
import { Metrics } from './metrics/metrics.ts'
import type { OperationsReading } from './metrics/operations.ts'
import type { Journal } from './persist/journal.ts'
import type { Persister } from './persist/persister.ts'
import { namedModels } from './providers/catalogue.ts'
import { GATEWAY_CODES } from './schemas/errors.ts'
import type { Log } from './units/log.ts'
import type { UsageTracker } from './usage/tracker.ts'
import { VERSION } from './version.ts'

export interface ObservedParts {
  readonly governance: Governance
  readonly tracker: UsageTracker
  readonly journal: Journal
  readonly persister: Persister
  readonly alerting: Alerting
  readonly log: Log
  readonly extensions: Pick<Extensions, 'failures' | 'refusalCodes'>
}

export function createMetrics(parts: ObservedParts): Metrics {
  const { store, ledger, clock } = parts.governance
  return new Metrics({
    version: VERSION,
    limits: new FullestLimits({
      limits: store.limits,
      inUse: ledger.inUse,
      readAll: ledger.readAll.bind(ledger),
      clock,
    }),
    names: store,
    isNamed: namedModels(store),
    refusalCodes: [...GATEWAY_CODES, ...parts.extensions.refusalCodes],
    operations: () => readOperations(parts),
  })
}

function readOperations({
  governance,
  tracker,
  journal,
  persister,
  alerting,
  log,
  extensions,
}: ObservedParts): OperationsReading {
  const { store, ledger } = governance
  const { state } = persister
  return {
    holdsOpen: ledger.openHoldCount,
    keysResting: governance.resting.count(),
    holdsExpired: tracker.expiredHolds,
    journalBytes: journal.sizeBytes,
    journalLagBytes: state.journalLagBytes,
    journalAccepting: journal.accepting,
    factsWaiting: state.factsWaiting,
    dumpLagMs: state.dumpLagMs,
    dumpMs: state.lastDumpMs,
    quarantined: state.quarantined,
    databaseReachable: !state.databaseAway,
    alertsWaiting: alerting.waiting,
    logLinesLost: linesLost(log),
    pluginFailures: extensions.failures,
    limits: store.limits.size,
    virtualKeys: store.virtualKeys.size,
  }
}
