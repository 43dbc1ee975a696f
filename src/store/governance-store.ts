/**
 * Governance store: every entity in memory, immutable, with the indexes that admission needs.
 *
 * `apply` is the only way in. It runs synchronously, so a request sees the store before a change or after it, never between; what is
 * derived from the store (principals, chains) is keyed by `version` and so follows on the next request.
 */
import type { Principal } from '../auth/principal.ts'
import type {
  Change,
  Customer,
  EntityByKind,
  EntityKind,
  Limit,
  PriceOverride,
  Provider,
  Scope,
  Team,
  User,
  VirtualKey,
} from './entities.ts'
import { KeyTable } from './packed/key-table.ts'
import { LimitTable } from './packed/limit-table.ts'

/** What is told of limits as they come and go; the ledger keeps their meters. */
export interface LimitObserver {
  track(limit: Limit, now: number): void
  untrack(limitId: string): void
}

/** Who is told of what comes and goes, so that nothing kept elsewhere lags behind or outlives it. */
export interface StoreObserver extends LimitObserver {
  readonly userGone?: (userId: string) => void
}

/** What there may be millions of. */
export type PackedKind = 'virtual_key' | 'limit'

/** What the store does with a table. */
interface Table<E> extends ReadonlyMap<string, E> {
  set(id: string, entity: E): unknown
  delete(id: string): boolean
}

export class GovernanceStore {
  readonly #tables = {
    customer: new Map<string, Customer>(),
    team: new Map<string, Team>(),
    user: new Map<string, User>(),
    virtual_key: new KeyTable(),
    limit: new LimitTable(),
    provider: new Map<string, Provider>(),
    price: new Map<string, PriceOverride>(),
  } satisfies { readonly [K in EntityKind]: Table<EntityByKind[K]> }
  readonly #observer: StoreObserver
  /** Lower-case provider name → id. */
  readonly #providerByName = new Map<string, string>()
  /** The principal of a key and the version it was resolved at; it goes with the object, which stays while it is asked for. */
  readonly #principals = new WeakMap<VirtualKey, { readonly version: number; readonly principal: Principal }>()
  #version = 0

  constructor(observer: StoreObserver) {
    this.#observer = observer
  }

  /** Grows with every change: what was derived from an older version must be derived again. */
  get version(): number {
    return this.#version
  }

  get customers(): ReadonlyMap<string, Customer> {
    return this.#tables.customer
  }

  get teams(): ReadonlyMap<string, Team> {
    return this.#tables.team
  }

  get users(): ReadonlyMap<string, User> {
    return this.#tables.user
  }

  get virtualKeys(): ReadonlyMap<string, VirtualKey> {
    return this.#tables.virtual_key
  }

  get limits(): ReadonlyMap<string, Limit> {
    return this.#tables.limit
  }

  /** In the order in which they were made. */
  get providers(): ReadonlyMap<string, Provider> {
    return this.#tables.provider
  }

  get prices(): ReadonlyMap<string, PriceOverride> {
    return this.#tables.price
  }

  /** So many are about to come. */
  reserve(kind: PackedKind, count: number): void {
    this.#tables[kind].reserve(count)
  }

  /** Takes a group of changes at once. `now` (ms) is when new limits begin to count. */
  apply(changes: readonly Change[], now: number): void {
    for (const change of changes) {
      if (change.op === 'delete') this.#remove(change.kind, change.id)
      else this.#put(change, now)
    }
    this.#version += 1
  }

  providerByName(name: string): Provider | null {
    const id = this.#providerByName.get(name.toLowerCase())
    return id === undefined ? null : (this.#tables.provider.get(id) ?? null)
  }

  limitsOfScope(scope: Scope): readonly Limit[] {
    return this.#tables.limit.ofScope(scope)
  }

  /** Who a key belongs to, by the SHA-256 of the key in hex; null when it is not known, or was rotated away and its grace is over. */
  principalByHash(hash: string, now: number): Principal | null {
    const key = this.#tables.virtual_key.byHash(hash)
    if (key === undefined) return null
    if (key.hash !== hash && now >= (key.previousUntil ?? 0)) return null
    const known = this.#principals.get(key)
    if (known?.version === this.#version) return known.principal
    const principal = this.#resolve(key)
    this.#principals.set(key, { version: this.#version, principal })
    return principal
  }

  /** The principal of a key by its id, for explanations asked by an admin; null when there is no such key. */
  principalOfKey(id: string): Principal | null {
    const key = this.#tables.virtual_key.get(id)
    return key === undefined ? null : this.#resolve(key)
  }

  /** A key with its own customer charges that one, not its team's; the team is charged all the same. Unknown ids contribute nothing. */
  #resolve(key: VirtualKey): Principal {
    const user = this.#tables.user.get(key.userId ?? '') ?? null
    const team = this.#tables.team.get(key.teamId ?? '') ?? null
    const customer = this.#tables.customer.get(key.customerId ?? team?.customerId ?? '') ?? null
    const ids = {
      virtualKeyId: key.id,
      userId: user?.id ?? null,
      teamId: team?.id ?? null,
      customerId: customer?.id ?? null,
    }
    return { key, user, team, customer, ids }
  }

  #put(change: Extract<Change, { op: 'put' }>, now: number): void {
    const table: Table<unknown> = this.#tables[change.kind]
    if (change.kind === 'provider') {
      this.#forgetName(change.entity.id)
      this.#providerByName.set(change.entity.name.toLowerCase(), change.entity.id)
    }
    if (change.kind === 'limit') this.#observer.track(change.entity, now)
    table.set(change.entity.id, Object.freeze(change.entity))
  }

  #remove(kind: EntityKind, id: string): void {
    if (kind === 'provider') this.#forgetName(id)
    this.#tables[kind].delete(id)
    if (kind === 'limit') this.#observer.untrack(id)
    if (kind === 'user') this.#observer.userGone?.(id)
  }

  /** The present name of a provider leads to it no more, unless it is another's by now. */
  #forgetName(id: string): void {
    const name = this.#tables.provider.get(id)?.name.toLowerCase() ?? ''
    if (this.#providerByName.get(name) === id) this.#providerByName.delete(name)
  }
}
