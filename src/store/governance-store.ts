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

/** What is told of limits as they come and go; the ledger keeps their meters. */
export interface LimitObserver {
  track(limit: Limit, now: number): void
  untrack(limitId: string): void
}

/** Who is told of what comes and goes, so that nothing kept elsewhere lags behind or outlives it. */
export interface StoreObserver extends LimitObserver {
  readonly userGone?: (userId: string) => void
}

type Tables = { readonly [K in EntityKind]: Map<string, EntityByKind[K]> }

const NO_LIMITS: readonly Limit[] = []

export class GovernanceStore {
  readonly #tables: Tables = {
    customer: new Map(),
    team: new Map(),
    user: new Map(),
    virtual_key: new Map(),
    limit: new Map(),
    provider: new Map(),
    price: new Map(),
  }
  readonly #observer: StoreObserver
  /** Key hash → key id; also the hash before the last rotation. */
  readonly #keyByHash = new Map<string, string>()
  /** Lower-case provider name → id. */
  readonly #providerByName = new Map<string, string>()
  /** By kind of scope and its id, '' for the one without: the ids are strings that are there anyway, a million times. */
  readonly #limitsByScope = new Map<Scope['kind'], Map<string, readonly Limit[]>>()
  /** Key id → its principal and the version it was resolved at. */
  readonly #principals = new Map<string, { readonly version: number; readonly principal: Principal }>()
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
    return this.#limitsByScope.get(scope.kind)?.get(scope.id ?? '') ?? NO_LIMITS
  }

  /** Who a key belongs to, by the SHA-256 of the key in hex; null when it is not known, or was rotated away and its grace is over. */
  principalByHash(hash: string, now: number): Principal | null {
    const id = this.#keyByHash.get(hash)
    const key = id === undefined ? undefined : this.#tables.virtual_key.get(id)
    if (key === undefined) return null
    if (key.hash !== hash && now >= (key.previousUntil ?? 0)) return null
    const known = this.#principals.get(key.id)
    if (known?.version === this.#version) return known.principal
    const principal = this.#resolve(key)
    this.#principals.set(key.id, { version: this.#version, principal })
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
    const table: Map<string, unknown> = this.#tables[change.kind]
    if (table.has(change.entity.id)) this.#unindex(change.kind, change.entity.id)
    switch (change.kind) {
      case 'virtual_key':
        this.#indexKey(change.entity)
        break
      case 'provider':
        this.#providerByName.set(change.entity.name.toLowerCase(), change.entity.id)
        break
      case 'limit':
        this.#indexLimit(change.entity)
        this.#observer.track(change.entity, now)
        break
    }
    table.set(change.entity.id, Object.freeze(change.entity))
  }

  #remove(kind: EntityKind, id: string): void {
    this.#unindex(kind, id)
    this.#tables[kind].delete(id)
    if (kind === 'limit') this.#observer.untrack(id)
    if (kind === 'user') this.#observer.userGone?.(id)
    if (kind === 'virtual_key') this.#principals.delete(id)
  }

  /** Takes what the present form of an entity has put into the indexes out again. */
  #unindex(kind: EntityKind, id: string): void {
    switch (kind) {
      case 'virtual_key': {
        const key = this.#tables.virtual_key.get(id)
        for (const hash of [key?.hash, key?.previousHash]) {
          if (hash != null && this.#keyByHash.get(hash) === id) this.#keyByHash.delete(hash)
        }
        break
      }
      case 'provider': {
        const name = this.#tables.provider.get(id)?.name.toLowerCase() ?? ''
        if (this.#providerByName.get(name) === id) this.#providerByName.delete(name)
        break
      }
      case 'limit': {
        const limit = this.#tables.limit.get(id)
        if (limit === undefined) break
        const ofKind = this.#limitsByScope.get(limit.scope.kind)
        const others = this.limitsOfScope(limit.scope).filter((sibling) => sibling.id !== id)
        if (others.length > 0) ofKind?.set(limit.scope.id ?? '', others)
        else ofKind?.delete(limit.scope.id ?? '')
        break
      }
    }
  }

  /** The hash before a rotation leads to the key during its grace, unless another key has that hash now. */
  #indexKey({ id, hash, previousHash }: VirtualKey): void {
    this.#keyByHash.set(hash, id)
    if (previousHash === null) return
    const owner = this.#tables.virtual_key.get(this.#keyByHash.get(previousHash) ?? '')
    if (owner?.hash !== previousHash || owner.id === id) this.#keyByHash.set(previousHash, id)
  }

  #indexLimit(limit: Limit): void {
    const { kind, id } = limit.scope
    let ofKind = this.#limitsByScope.get(kind)
    if (ofKind === undefined) {
      ofKind = new Map()
      this.#limitsByScope.set(kind, ofKind)
    }
    // Made anew, and as long as it is: a list that grows has room for seventeen.
    ofKind.set(id ?? '', [...this.limitsOfScope(limit.scope), limit])
  }
}
