/**
 * Addresses: which addresses each user has been seen at, and so who is over the address cap.
 *
 * A new address is checked against the cap and recorded in one synchronous step, so that no number of requests at once slips past.
 * Everything seen becomes a fact in the journal, at most one a minute for each key and address: the books lag a little, memory does not.
 */
import type { FactSink } from '../ledger/facts.ts'
import type { Settings } from '../schemas/settings.ts'
import type { User } from '../store/entities.ts'
import type { GovernanceStore } from '../store/governance-store.ts'
import type { Log } from '../units/log.ts'
import type { Principal } from './principal.ts'

export interface SeenAddress {
  /** An IPv4 address, or an IPv6 /64. */
  readonly address: string
  readonly firstSeenAt: number
  readonly lastSeenAt: number
}

/** An address a user was seen at, as the database keeps it. */
export interface UserAddress extends SeenAddress {
  readonly userId: string
}

export interface AddressBookParts {
  /** Where a user disabled by the cap is put, for the next request to see. */
  readonly store: Pick<GovernanceStore, 'apply'>
  readonly facts: FactSink
  readonly log: Log
  /** The caps of users that have none of their own. */
  readonly userDefaults: Settings['userDefaults']
  /** Told of every user that the cap has disabled. */
  readonly disabled?: (user: User, reason: string) => void
}

export const OVER_CAP_REASON = 'IP address limit exceeded.'

/** How often one key at one address is told to the books. */
const TELL_EVERY_MS = 60_000
/** Addresses kept for a user without a cap; beyond them new ones are served and not remembered. */
const UNCAPPED_MAX = 1_000

interface Entry {
  readonly firstSeenAt: number
  lastSeenAt: number
}

export class AddressBook {
  readonly #parts: AddressBookParts
  readonly #byUser = new Map<string, Map<string, Entry>>()
  /** `key id, address` pairs told to the books in the present interval. */
  readonly #told = new Set<string>()
  #interval = 0

  constructor(parts: AddressBookParts) {
    this.#parts = parts
  }

  /** Takes what the database knows. Called before the first request is served. */
  load(addresses: Iterable<UserAddress>): void {
    for (const { userId, address, firstSeenAt, lastSeenAt } of addresses) {
      this.#entriesOf(userId).set(address, { firstSeenAt, lastSeenAt })
    }
  }

  /**
   * Records that the principal's key was used from `address` at `now` (ms); null when the address cannot be told.
   *
   * False when that takes the user over its cap: the user is then disabled, and the address is not recorded.
   */
  visit(principal: Principal, address: string | null, now: number): boolean {
    const { key, user } = principal
    if (key === null) return true
    const place = user === null || address === null ? 'nowhere' : this.#record(user, address, now)
    if (place === 'over the cap') return false
    this.#tell(key.id, user?.id ?? null, place === 'remembered' ? address : null, now)
    return true
  }

  /** Where a user has been seen, in the order of first sight. A copy. */
  addressesOf(userId: string): SeenAddress[] {
    return Array.from(this.#byUser.get(userId) ?? [], ([address, entry]) => ({ address, ...entry }))
  }

  /** Drops what is known of a deleted user. */
  forget(userId: string): void {
    this.#byUser.delete(userId)
  }

  #record(user: User, address: string, now: number): 'remembered' | 'nowhere' | 'over the cap' {
    const entries = this.#entriesOf(user.id)
    const entry = entries.get(address)
    const cap = this.#capOf(user)
    if (cap !== null && entries.size + (entry === undefined ? 1 : 0) > cap) {
      this.#disable(user, now)
      return 'over the cap'
    }
    if (entry !== undefined) {
      entry.lastSeenAt = now
      return 'remembered'
    }
    if (cap === null && entries.size >= UNCAPPED_MAX) return 'nowhere'
    entries.set(address, { firstSeenAt: now, lastSeenAt: now })
    return 'remembered'
  }

  #capOf(user: User): number | null {
    return user.kind === 'special' ? null : (user.maxIps ?? this.#parts.userDefaults[user.kind].maxIps)
  }

  #disable(user: User, now: number): void {
    const disabled = { ...user, disabledAt: now, disabledReason: OVER_CAP_REASON }
    this.#parts.store.apply([{ op: 'put', kind: 'user', entity: disabled }], now)
    this.#parts.log.info({ userId: user.id }, 'user disabled: over its address cap')
    try {
      this.#parts.facts.append({ t: 'disable', at: now, kind: 'user', id: user.id, reason: OVER_CAP_REASON })
    } catch (error) {
      // In memory the user is disabled all the same; after a restart its next new address disables it again.
      this.#parts.log.error({ err: error, userId: user.id }, 'a disabled user could not be journaled')
    }
    this.#parts.disabled?.(user, OVER_CAP_REASON)
  }

  #tell(virtualKeyId: string, userId: string | null, address: string | null, now: number): void {
    const interval = Math.floor(now / TELL_EVERY_MS)
    if (interval !== this.#interval) {
      this.#interval = interval
      this.#told.clear()
    }
    const pair = `${virtualKeyId} ${address ?? ''}`
    if (this.#told.has(pair) || !this.#parts.facts.accepting) return
    try {
      this.#parts.facts.append({ t: 'seen', at: now, virtualKeyId, userId, address })
      this.#told.add(pair)
    } catch (error) {
      // Last use is a convenience: a request is not refused for it. Admission refuses when the journal is really away.
      this.#parts.log.warn({ err: error }, 'a use could not be journaled')
    }
  }

  #entriesOf(userId: string): Map<string, Entry> {
    let entries = this.#byUser.get(userId)
    if (entries === undefined) {
      entries = new Map()
      this.#byUser.set(userId, entries)
    }
    return entries
  }
}
