/**
 * The admission engine with everything real but the estimator, whose numbers a test can do in its head: one input token per byte, the
 * asked output (else 4,096) per choice, $1 per million input tokens and $2 per million output tokens.
 */
import assert from 'node:assert/strict'
import { Admission, type AdmissionParts, type AdmissionRequest, type Admitted } from '../../src/admission/admission.ts'
import type { Refusal } from '../../src/admission/decision.ts'
import type { Estimate } from '../../src/admission/estimate.ts'
import { BUDGET_RESOLVER, type Gate, RATE_LIMITER } from '../../src/admission/gate.ts'
import type { RequestFacts } from '../../src/admission/request-facts.ts'
import type { Principal } from '../../src/auth/principal.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import type { MeterReading } from '../../src/ledger/reading.ts'
import type { Price } from '../../src/pricing/price.ts'
import type { Candidate, Route } from '../../src/providers/candidate.ts'
import type { Change, EntityByKind, EntityKind, Limit, Scope } from '../../src/store/entities.ts'
import { GovernanceStore } from '../../src/store/governance-store.ts'
import type { ModelFamilies } from '../../src/store/selectors.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { nanoUsd } from '../../src/units/money.ts'
import { aCustomer, aLimit, aProvider, aTeam, aUser, aVirtualKey } from '../helpers/entities.ts'
import { RecordedFacts } from '../helpers/recorded-facts.ts'

export const NOW = Date.parse('2026-11-21T12:00:00Z')
export const ASSUMED_OUTPUT_TOKENS = 4_096
const NANO_PER_INPUT = 1_000
const NANO_PER_OUTPUT = 2_000
const HASH = 'a'.repeat(64)

const PRICE: Price = {
  cost: ({ inputTokens, outputTokens }) =>
    nanoUsd(BigInt(inputTokens * NANO_PER_INPUT + outputTokens * NANO_PER_OUTPUT)),
  bound: (inputTokens, outputTokens) => nanoUsd(BigInt(inputTokens * NANO_PER_INPUT + outputTokens * NANO_PER_OUTPUT)),
}

function estimate(facts: RequestFacts, price: Price | null): Estimate {
  const inputTokens = facts.textBytes
  const outputTokens = facts.producesOutput ? (facts.outputCeiling ?? ASSUMED_OUTPUT_TOKENS) * facts.choices : 0
  const costNanoUsd = price?.bound(inputTokens, outputTokens) ?? nanoUsd(0n)
  const inputCostNanoUsd = price?.bound(inputTokens, 0) ?? nanoUsd(0n)
  return { inputTokens, outputTokens, costNanoUsd, inputCostNanoUsd, basis: 'bytes' }
}

export function put<K extends EntityKind>(kind: K, entity: EntityByKind[K]): Change {
  return { op: 'put', kind, entity } as unknown as Change
}

export interface EngineOptions {
  readonly gates?: readonly Gate[]
  readonly families?: ModelFamilies
  readonly user?: Parameters<typeof aUser>[0]
  readonly parts?: Partial<AdmissionParts>
}

/** One key of one user in one team of one customer, two providers, and the limits a test gives it. */
export class Engine {
  readonly clock = new ManualClock(NOW)
  readonly facts = new RecordedFacts()
  readonly meters = new Meters(() => this.clock.elapsed(), new SharedArrayBuffer(256 * 1_024))
  readonly ledger = new Ledger(this.meters)
  readonly customer = aCustomer()
  readonly team = aTeam({ customerId: this.customer.id })
  readonly user
  readonly key
  readonly openai = aProvider({ name: 'openai' })
  readonly azure = aProvider({ name: 'azure', kind: 'azure' })
  readonly admission: Admission
  readonly store: GovernanceStore
  #requests = 0

  constructor({ gates = [RATE_LIMITER, BUDGET_RESOLVER], families = [], user = {}, parts = {} }: EngineOptions = {}) {
    this.admission = new Admission({
      ledger: this.ledger,
      facts: this.facts,
      clock: this.clock,
      estimator: { estimate },
      families,
      refuseUnknownPrice: true,
      holdMaxMs: 60_000,
      ...parts,
    })
    for (const gate of gates) this.admission.enforce(gate)
    this.store = new GovernanceStore(this.admission.chains)
    this.admission.serve(this.store)
    this.user = aUser(user)
    this.key = aVirtualKey({ hash: HASH, userId: this.user.id, teamId: this.team.id })
    this.apply(
      put('customer', this.customer),
      put('team', this.team),
      put('user', this.user),
      put('virtual_key', this.key),
      put('provider', this.openai),
      put('provider', this.azure),
    )
  }

  apply(...changes: readonly Change[]): void {
    this.store.apply(changes, this.clock.now())
  }

  get scopes(): Readonly<Record<'user' | 'key' | 'team' | 'customer' | 'global', Scope>> {
    return {
      user: { kind: 'user', id: this.user.id },
      key: { kind: 'virtual_key', id: this.key.id },
      team: { kind: 'team', id: this.team.id },
      customer: { kind: 'customer', id: this.customer.id },
      global: { kind: 'global', id: null },
    }
  }

  /** Adds a limit on the key, or wherever the fields say. */
  limit(fields: Parameters<typeof aLimit>[0]): Limit {
    const limit = aLimit({ scope: this.scopes.key, anchor: NOW, ...fields })
    this.apply(put('limit', limit))
    return limit
  }

  get principal(): Principal {
    const principal = this.store.principalByHash(HASH, this.clock.now())
    assert.ok(principal)
    return principal
  }

  candidate(fields: Partial<Candidate> = {}): Candidate {
    return { provider: this.openai, providerKey: null, model: 'gpt-4o', price: PRICE, ...fields }
  }

  /** A chat of 100 bytes that asks for at most 50 tokens, unless told otherwise. */
  request(facts: Partial<RequestFacts> = {}, route: Route = [this.candidate()]): AdmissionRequest {
    this.#requests += 1
    return {
      requestId: `request-${this.#requests}`,
      principal: this.principal,
      route,
      facts: {
        format: 'openai',
        endpoint: 'chat',
        requestedModel: 'gpt-4o',
        modelSpan: null,
        stream: false,
        asksForUsage: false,
        streamOptionsSpan: null,
        outputCeiling: 50,
        choices: 1,
        producesOutput: true,
        textBytes: 100,
        messages: 0,
        attachments: 0,
        usesStoredInput: false,
        body: Buffer.alloc(0),
        query: '',
        tags: [],
        dryRun: false,
        ...facts,
      },
    }
  }

  admit(facts: Partial<RequestFacts> = {}, route?: Route): Admitted {
    const result = this.admission.admit(this.request(facts, route))
    assert.ok(result.ok, result.ok ? '' : result.refusal.message)
    return result.value
  }

  refuse(facts: Partial<RequestFacts> = {}, route?: Route): Refusal & { readonly details: RefusalDetails } {
    const result = this.admission.admit(this.request(facts, route))
    assert.ok(!result.ok, 'the request was admitted')
    return result.refusal as Refusal & { readonly details: RefusalDetails }
  }

  fits(facts: Partial<RequestFacts> = {}): boolean {
    const result = this.admission.admit(this.request(facts))
    if (result.ok) this.ledger.void(result.value.hold)
    return result.ok
  }

  read(limit: Limit): MeterReading {
    const reading = this.ledger.read(limit.id, this.clock.now())
    assert.ok(reading)
    return reading
  }

  readonly readMeters = (limitIds: readonly string[], now: number) => this.ledger.readAll(limitIds, now)

  readonly readMeter = (limitId: string, now: number) => this.ledger.read(limitId, now)
}

/** The parts of a refusal's details that tests look at. */
export interface RefusalDetails {
  readonly limit_id: string
  readonly scope: string
  readonly metric: string
  readonly max: string | number | null
  readonly posted: string | number | null
  readonly held: string | number | null
  readonly requested: string | number | null
  readonly window: string | null
  readonly resets_at: string | null
  readonly remedy: string
  readonly also_exceeded: readonly { readonly limit_id: string }[]
  readonly candidates?: readonly { readonly provider: string; readonly code: string }[]
}
