/**
 * Governance: builds the data plane's shared parts and ties them together. One per gateway; plugins reach it as `fastify.governance`.
 */
import { Admission } from './admission/admission.ts'
import { Estimator } from './admission/estimator.ts'
import { Alerts } from './alerts/limit-alerts.ts'
import { Notices } from './alerts/notices.ts'
import { AddressBook } from './auth/addresses.ts'
import type { FactSink } from './ledger/facts.ts'
import { Ledger } from './ledger/ledger.ts'
import { Meters } from './ledger/meters.ts'
import type { PriceBook } from './pricing/price.ts'
import { createPriceBook } from './pricing/price-book.ts'
import { RestingKeys } from './providers/resting-keys.ts'
import type { Settings } from './schemas/settings.ts'
import { GovernanceStore } from './store/governance-store.ts'
import { TokenCounter } from './tokens/counter.ts'
import type { Clock } from './units/clock.ts'
import type { Log } from './units/log.ts'
import { StoredObjects } from './usage/stored-objects.ts'

export interface Governance {
  readonly store: GovernanceStore
  readonly ledger: Ledger
  readonly admission: Admission
  readonly estimator: Estimator
  /** Counts the tokens of requests that are near a limit. */
  readonly counter: TokenCounter
  /** Where users have been seen. */
  readonly addresses: AddressBook
  /** Which shares of limits have been reached. */
  readonly alerts: Alerts
  /** What else somebody should be told of. */
  readonly notices: Notices
  readonly prices: PriceBook
  /** Which credentials are asked last for a while. */
  readonly resting: RestingKeys
  /** Whose it is what providers keep. */
  readonly stored: StoredObjects
  readonly facts: FactSink
  readonly clock: Clock
  readonly settings: Settings
}

export interface GovernanceParts {
  readonly settings: Settings
  readonly clock: Clock
  /** Where facts go: the journal. */
  readonly facts: FactSink
  readonly log: Log
}

export function createGovernance({ settings, clock, facts, log }: GovernanceParts): Governance {
  const ledger = new Ledger(new Meters(() => clock.elapsed()), (id) => store.limits.get(id))
  const estimator = new Estimator({
    assumedOutputTokens: settings.outputCeiling.assumedTokens,
    otherTokenizers: settings.estimate.otherTokenizers,
  })
  const counter = new TokenCounter({ clock, log })
  const admission = new Admission({
    ledger,
    facts,
    clock,
    estimator,
    families: settings.modelFamilies,
    refuseUnknownPrice: settings.pricing.unknown === 'refuse',
    holdMaxMs: holdMaxMs(settings),
  })
  const store: GovernanceStore = new GovernanceStore({
    track: (limit, now) => admission.chains.track(limit, now),
    untrack: (limitId) => admission.chains.untrack(limitId),
    userGone: (userId) => addresses.forget(userId),
  })
  const notices = new Notices({ facts, clock, log })
  const addresses = new AddressBook({
    store,
    facts,
    log,
    userDefaults: settings.userDefaults,
    disabled: (user, reason) => notices.userDisabled(user, reason),
  })
  admission.serve(store)
  const alerts = new Alerts({ store, ledger, facts, clock, log })
  const prices = createPriceBook(store, settings)
  const stored = new StoredObjects(facts, clock)
  return {
    store,
    ledger,
    admission,
    estimator,
    counter,
    addresses,
    alerts,
    notices,
    prices,
    resting: new RestingKeys({ clock, log }),
    stored,
    facts,
    clock,
    settings,
  }
}

/** Connections that have left HTTP have no time-out: what is held beyond this and every other was forgotten by somebody. */
const TUNNEL_MAX_MS = 24 * 3_600_000

function holdMaxMs({ server }: Settings): number {
  return server.maxAttempts * (server.connectTimeoutMs + server.totalTimeoutMs) + TUNNEL_MAX_MS
}
