/**
 * Chain: every limit that one principal's request to one model meets, in the order of CONTRACT section 5.
 *
 * Resolved when the store has changed, not per request: a principal remembers its chain per set of matching selectors.
 */
import type { Principal } from '../auth/principal.ts'
import type { ChainLimit } from '../ledger/hold.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type Limit, METRICS, type Metric, SCOPE_KINDS, type Scope } from '../store/entities.ts'
import type { GovernanceStore, LimitObserver } from '../store/governance-store.ts'
import { type ModelFamilies, type SelectorSet, Selectors, selectorOf, selectorRank } from '../store/selectors.ts'
import { windowLengthMs } from '../units/window.ts'

export interface Chain {
  readonly limits: readonly ChainLimit[]
  /** Limits of the chain that cannot be read: they refuse its traffic until they are mended. */
  readonly invalid: readonly Limit[]
}

/** Chains that one principal remembers: a stranger's model names may match patterns in very many combinations. */
const CHAINS_MAX = 64
const GLOBAL: Scope = { kind: 'global', id: null }

export class Chains implements LimitObserver {
  readonly #ledger: Ledger
  readonly #selectors: Selectors
  readonly #enforced: ReadonlySet<Metric>
  readonly #chains = new WeakMap<
    Principal,
    { readonly version: number; readonly bySelectors: Map<SelectorSet, Chain> }
  >()

  /** @param enforced the metrics that some gate enforces; read when a chain is resolved, so gates register before traffic */
  constructor(ledger: Ledger, families: ModelFamilies, enforced: ReadonlySet<Metric>) {
    this.#ledger = ledger
    this.#selectors = new Selectors(families)
    this.#enforced = enforced
  }

  track(limit: Limit, now: number): void {
    this.#selectors.add(limit)
    this.#ledger.track(limit, now)
  }

  untrack(limitId: string): void {
    this.#ledger.untrack(limitId)
  }

  /** The chain of a request to `model` at `provider`; null for a request that has none. */
  of(store: GovernanceStore, principal: Principal, provider: string | null, model: string | null): Chain {
    let known = this.#chains.get(principal)
    if (known === undefined || known.version !== store.version) {
      known = { version: store.version, bySelectors: new Map() }
      this.#chains.set(principal, known)
    }
    const selectors = this.#selectors.match(provider, model === '' ? null : model)
    let chain = known.bySelectors.get(selectors)
    if (chain === undefined) {
      if (known.bySelectors.size >= CHAINS_MAX) known.bySelectors.clear()
      chain = this.#resolve(store, principal, selectors)
      known.bySelectors.set(selectors, chain)
    }
    return chain
  }

  #resolve(store: GovernanceStore, principal: Principal, selectors: SelectorSet): Chain {
    const limits: ChainLimit[] = []
    const invalid: Limit[] = []
    for (const scope of scopesOf(principal)) {
      for (const limit of store.limitsOfScope(scope)) {
        if (!selectors.has(selectorOf(limit))) continue
        const meter = this.#ledger.meterOf(limit.id)
        if (limit.invalid !== null || meter === null) invalid.push(limit)
        else
          limits.push({
            limit,
            meter,
            metric: METRICS.indexOf(limit.metric),
            enforced: this.#enforces(limit, principal),
          })
      }
    }
    return { limits: limits.sort((a, b) => order(a.limit, b.limit)), invalid }
  }

  /** The limits of a special user are watched, not enforced (DESIGN section 4). */
  #enforces(limit: Limit, principal: Principal): boolean {
    if (limit.mode === 'observe' || !this.#enforced.has(limit.metric)) return false
    return limit.scope.kind !== 'user' || principal.user?.kind !== 'special'
  }
}

/** The scopes a principal is charged on; everybody's requests meet the global limits. */
export function scopesOf({ ids }: Principal): Scope[] {
  const scopes: Scope[] = [GLOBAL]
  if (ids.userId !== null) scopes.push({ kind: 'user', id: ids.userId })
  if (ids.virtualKeyId !== null) scopes.push({ kind: 'virtual_key', id: ids.virtualKeyId })
  if (ids.teamId !== null) scopes.push({ kind: 'team', id: ids.teamId })
  if (ids.customerId !== null) scopes.push({ kind: 'customer', id: ids.customerId })
  return scopes
}

/** CONTRACT section 5: rate limits before cost limits; by scope; the most specific selector; the shorter window; the id. */
export function order(a: Limit, b: Limit): number {
  return (
    Number(a.metric === 'cost') - Number(b.metric === 'cost') ||
    SCOPE_KINDS.indexOf(a.scope.kind) - SCOPE_KINDS.indexOf(b.scope.kind) ||
    selectorRank(a) - selectorRank(b) ||
    compareLengths(lengthOf(a), lengthOf(b)) ||
    (a.id < b.id ? -1 : 1)
  )
}

function lengthOf(limit: Limit): number {
  return limit.spec === null ? Number.POSITIVE_INFINITY : windowLengthMs(limit.spec, limit.createdAt)
}

/** Two lifetimes are equally long, which a subtraction of infinities would not say. */
function compareLengths(a: number, b: number): number {
  return a === b ? 0 : a - b
}
