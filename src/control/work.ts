/**
 * Work: one transaction of the control plane, and what becomes of it: changes for the store, lines for the audit log.
 *
 * Postgres first, then the store: nobody is governed by something that was not written down. Writers take turns, so that changes
 * reach the store in the order in which they were committed.
 */

import { isDeepStrictEqual } from 'node:util'
import type { FactSink } from '../ledger/facts.ts'
import { type AuditEntry, insertAudit } from '../persist/repositories/audit.ts'
import type { Db } from '../persist/repositories/db.ts'
import type { ProviderSecrets } from '../persist/repositories/providers.ts'
import type { AuditKind } from '../schemas/reports.ts'
import type { Settings } from '../schemas/settings.ts'
import type { Change, EntityByKind, EntityKind, ManagedBy, Provider, User, VirtualKey } from '../store/entities.ts'
import type { Clock } from '../units/clock.ts'
import { newId } from '../units/id.ts'
import type { Log } from '../units/log.ts'
import { refuseOutside } from './bounds.ts'
import { fieldsOf } from './fields.ts'

/** What the control plane needs of the governance store. */
export interface ControlStore {
  readonly users: ReadonlyMap<string, User>
  readonly virtualKeys: ReadonlyMap<string, VirtualKey>
  readonly providers: ReadonlyMap<string, Provider>
  apply(changes: readonly Change[], now: number): void
}

/** What it needs of the ledger. */
export interface ControlLedger {
  /** The numbers of a limit; null for one that is not tracked. */
  read(limitId: string, now: number): Reading | null
  /** Takes everything that still counts against a limit back to zero, and gives what it took, window by window. */
  clear(limitId: string, now: number): readonly { readonly windowStart: number; readonly amount: bigint }[]
}

export interface Reading {
  readonly posted: bigint
  readonly held: bigint
  readonly remaining: bigint
  readonly windowStart: number
  readonly windowEnd: number
  readonly lifetime: bigint
}

export interface ControlParts {
  readonly db: Db
  readonly store: ControlStore
  readonly ledger: ControlLedger
  readonly facts: FactSink
  readonly secrets: ProviderSecrets
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
}

/** Who changes something. */
export interface Actor {
  /** The management key; null for the root key, the configuration file and the program itself. */
  readonly id: string | null
  readonly name: string
  readonly address: string | null
  readonly managedBy: ManagedBy
  /** Only what lies below this customer may be touched; null = everything. */
  readonly customerId: string | null
}

/** The configuration file, as it is applied at each start. */
export const FILE_ACTOR: Actor = { id: null, name: 'bursar.yaml', address: null, managedBy: 'file', customerId: null }
/** Jobs of the program. */
export const SYSTEM_ACTOR: Actor = { id: null, name: 'system', address: null, managedBy: 'api', customerId: null }

/** Somebody at the terminal of the machine where the books are. */
export const CLI_ACTOR: Actor = {
  id: null,
  name: 'root',
  address: 'command line',
  managedBy: 'api',
  customerId: null,
}

/** Whether an edit leaves everything as it was; then it is not written, and nobody's `updated_at` moves. */
export function sameContent<E extends { readonly updatedAt: number }>(a: E, b: E): boolean {
  return isDeepStrictEqual({ ...a, updatedAt: 0 }, { ...b, updatedAt: 0 })
}

/** A line of the audit log about the books as a whole, for what is no work of entities. */
export function auditOfBooks(actor: Actor, at: number, action: string, after: object): AuditEntry {
  return {
    id: newId(),
    at,
    actorId: actor.id,
    actorName: actor.name,
    action,
    entityKind: 'books',
    entityId: null,
    entityName: null,
    before: null,
    after,
    address: actor.address,
  }
}

export class Work {
  readonly parts: ControlParts
  /** The transaction. */
  readonly db: Db
  readonly now: number
  readonly actor: Actor
  readonly #changes: Change[] = []
  readonly #audit: AuditEntry[] = []
  readonly #afterwards: (() => void)[] = []

  constructor(parts: ControlParts, db: Db, actor: Actor) {
    this.parts = parts
    this.db = db
    this.now = parts.clock.now()
    this.actor = actor
  }

  /** What has been changed so far, as the audit log would have it. */
  get changes(): readonly AuditEntry[] {
    return this.#audit
  }

  /** What has been done so far, for people: `team.create research`. */
  get done(): readonly string[] {
    return this.#audit.map(({ action, entityName, entityId }) => `${action} ${entityName ?? entityId}`)
  }

  /** The fields every new entity starts with. */
  born(id: string = newId()) {
    return { id, managedBy: this.actor.managedBy, createdAt: this.now, updatedAt: this.now }
  }

  created<K extends EntityKind>(kind: K, entity: EntityByKind[K]): void {
    this.#put(kind, entity)
    this.audit(`${kind}.create`, kind, entity, null, fieldsOf(kind, entity))
  }

  /** `action` where it was more than an edit, such as `rotate`. */
  changed<K extends EntityKind>(kind: K, before: EntityByKind[K], after: EntityByKind[K], action = 'update'): void {
    this.#put(kind, after)
    this.audit(`${kind}.${action}`, kind, after, fieldsOf(kind, before), fieldsOf(kind, after))
  }

  deleted<K extends EntityKind>(kind: K, entity: EntityByKind[K]): void {
    this.#changes.push({ op: 'delete', kind, id: entity.id })
    this.audit(`${kind}.delete`, kind, entity, fieldsOf(kind, entity), null)
  }

  audit(
    action: string,
    kind: AuditKind,
    entity: { readonly id: string; readonly name?: string },
    before: object | null,
    after: object | null,
  ): void {
    this.#audit.push({
      id: newId(),
      at: this.now,
      actorId: this.actor.id,
      actorName: this.actor.name,
      action,
      entityKind: kind,
      entityId: entity.id,
      entityName: entity.name ?? null,
      before,
      after,
      address: this.actor.address,
    })
  }

  /** Runs once the transaction has been committed and the store has followed. */
  afterwards(action: () => void): void {
    this.#afterwards.push(action)
  }

  /** The last statements of the transaction. */
  async finish(): Promise<void> {
    if (this.actor.customerId !== null) await refuseOutside(this.db, this.#changes, this.actor.customerId)
    await insertAudit(this.db, this.#audit)
  }

  committed(): void {
    if (this.#changes.length > 0) this.parts.store.apply(this.#changes, this.now)
    for (const action of this.#afterwards) action()
  }

  #put<K extends EntityKind>(kind: K, entity: EntityByKind[K]): void {
    // The pair is one of the union's by construction, which the compiler cannot follow through a type parameter.
    this.#changes.push({ op: 'put', kind, entity } as Change)
  }
}
