/**
 * Governance: builds the data plane's shared parts and ties them together. One per gateway; plugins reach it as `fastify.governance`.
 */
import { Admission } from './admission/admission.ts'
import { Estimator } from './admission/estimator.ts'
import { AddressBook } from './auth/addresses.ts'
import type { FactSink } from './ledger/facts.ts'
import { Ledger } from './ledger/ledger.ts'
import { Meters } from './ledger/meters.ts'
import type { PriceBook } from './pricing/price.ts'
import { createPriceBook } from './pricing/price-book.ts'
import type { Settings } from './schemas/settings.ts'
import { GovernanceStore } from './store/governance-store.ts'
import type { Clock } from './units/clock.ts'
import type { Log } from './units/log.ts'

export interface Governance {
  readonly store: GovernanceStore
  readonly ledger: Ledger
  readonly admission: Admission
  readonly estimator: Estimator
  /** Where users have been seen. */
  readonly addresses: AddressBook
  readonly prices: PriceBook
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
  const ledger = new Ledger(new Meters(() => clock.elapsed()))
  const estimator = new Estimator({ assumedOutputTokens: settings.outputCeiling.assumedTokens })
  const admission = new Admission({
    ledger,
    facts,
    clock,
    estimator,
    families: settings.modelFamilies,
    refuseUnknownPrice: settings.pricing.unknown === 'refuse',
    holdMaxMs: holdMaxMs(settings),
  })
  const store = new GovernanceStore({
    track: (limit, now) => admission.chains.track(limit, now),
    untrack: (limitId) => admission.chains.untrack(limitId),
    userGone: (userId) => addresses.forget(userId),
  })
  const addresses = new AddressBook({ store, facts, log, userDefaults: settings.userDefaults })
  admission.serve(store)
  const prices = createPriceBook(store, settings)
  return { store, ledger, admission, estimator, addresses, prices, facts, clock, settings }
}

/** A stream may run this long in all; what is held longer than every time-out together was forgotten by somebody. */
const STREAM_MAX_MS = 24 * 3_600_000

function holdMaxMs({ server }: Settings): number {
  return server.maxAttempts * (server.connectTimeoutMs + server.headersTimeoutMs) + STREAM_MAX_MS
}
