/** Virtual keys: issuing, importing, changing, rotating. A key is in memory only until it has been handed out. */
import { parseCidr } from '../auth/address.ts'
import { generateVirtualKey, hashKey, keyStart } from '../auth/virtual-key.ts'
import {
  deleteVirtualKey as deleteRow,
  findVirtualKeyByHash,
  insertVirtualKey,
  lockVirtualKey,
  updateVirtualKey,
} from '../persist/repositories/virtual-keys.ts'
import type { VirtualKeyCreate, VirtualKeyPatch } from '../schemas/virtual-key.ts'
import type { VirtualKey } from '../store/entities.ts'
import type { Duration } from '../units/duration.ts'
import { parseTime } from '../units/time.ts'
import { endOf } from '../units/window.ts'
import { readAccess } from './access-text.ts'
import { createLimits, deleteLimitsOf } from './limits.ts'
import { guarded, mustExist } from './references.ts'
import { at, conflict, notFound, Problems } from './refused.ts'
import { sameContent, type Work } from './work.ts'

/** A key as it was made, with what its owner must be told once. */
export interface IssuedKey {
  readonly virtualKey: VirtualKey
  /** The key itself. */
  readonly value: string
}

const taken = (name: string, path: string) => ({
  virtual_keys_name_key: { path: at(path, 'name'), message: `There is already a virtual key named "${name}".` },
  virtual_keys_hash_key: { path: at(path, 'value'), message: 'This key is in use already.' },
})

export async function createVirtualKey(work: Work, body: VirtualKeyCreate, path = ''): Promise<IssuedKey> {
  const value = body.value ?? generateVirtualKey()
  const blank: VirtualKey = {
    ...work.born(),
    name: body.name,
    hash: hashKey(value),
    keyStart: keyStart(value),
    userId: null,
    teamId: null,
    customerId: null,
    active: true,
    expiresAt: null,
    access: null,
    allowedIps: null,
    passthrough: false,
    metadata: {},
    rotatedAt: null,
    previousHash: null,
    previousUntil: null,
  }
  const virtualKey = await withChanges(work, blank, body, path)
  if (body.value !== undefined) await takeHash(work, virtualKey.hash, path)
  await guarded(insertVirtualKey(work.db, virtualKey), taken(virtualKey.name, path))
  work.created('virtual_key', virtualKey)
  await createLimits(work, { kind: 'virtual_key', id: virtualKey.id }, body.limits ?? [], at(path, 'limits'))
  return { virtualKey, value }
}

export async function patchVirtualKey(work: Work, id: string, patch: VirtualKeyPatch, path = ''): Promise<VirtualKey> {
  const key = inForce(work, await lockVirtualKey(work.db, id))
  if (key === null) throw notFound('virtual key', id)
  const changed = await withChanges(work, key, patch, path)
  if (sameContent(key, changed)) return key
  await guarded(updateVirtualKey(work.db, changed), taken(changed.name, path))
  work.changed('virtual_key', key, changed)
  return changed
}

export async function deleteVirtualKey(work: Work, id: string): Promise<void> {
  const key = await lockVirtualKey(work.db, id)
  if (key === null) throw notFound('virtual key', id)
  await removeVirtualKey(work, key)
}

export async function removeVirtualKey(work: Work, key: VirtualKey): Promise<void> {
  await deleteRow(work.db, key.id)
  await deleteLimitsOf(work, { kind: 'virtual_key', id: key.id })
  work.deleted('virtual_key', key)
}

/** A new key for the same identity, usage and settings. The old one works until `grace` is over; null = no longer. */
export async function rotateVirtualKey(work: Work, id: string, grace: Duration | null): Promise<IssuedKey> {
  const key = inForce(work, await lockVirtualKey(work.db, id))
  if (key === null) throw notFound('virtual key', id)
  const value = generateVirtualKey()
  const virtualKey: VirtualKey = {
    ...key,
    hash: hashKey(value),
    keyStart: keyStart(value),
    rotatedAt: work.now,
    previousHash: grace === null ? null : key.hash,
    previousUntil: grace === null ? null : endOf(grace, work.now),
    updatedAt: work.now,
  }
  await updateVirtualKey(work.db, virtualKey)
  work.changed('virtual_key', key, virtualKey, 'rotate')
  return { virtualKey, value }
}

/** Gives an existing key another value, as bursar.yaml does when it names one. */
export async function importValue(work: Work, key: VirtualKey, value: string, path: string): Promise<VirtualKey> {
  const hash = hashKey(value)
  if (key.hash === hash) return key
  if (key.previousHash !== hash) await takeHash(work, hash, path)
  const changed: VirtualKey = {
    ...key,
    hash,
    keyStart: keyStart(value),
    rotatedAt: work.now,
    previousHash: null,
    previousUntil: null,
    updatedAt: work.now,
  }
  await guarded(updateVirtualKey(work.db, changed), taken(key.name, path))
  work.changed('virtual_key', key, changed, 'rotate')
  return changed
}

/** A value may be imported unless a key has it, or had it and is in its grace. A former owner whose grace is over lets go of it. */
async function takeHash(work: Work, hash: string, path: string): Promise<void> {
  const owner = inForce(work, await findVirtualKeyByHash(work.db, hash))
  if (owner === null) return
  if (owner.hash === hash || (owner.previousUntil ?? 0) > work.now) {
    throw conflict('This key is in use already.', at(path, 'value'))
  }
  const released = { ...owner, previousHash: null, previousUntil: null }
  await updateVirtualKey(work.db, released)
  work.changed('virtual_key', owner, released, 'end_grace')
}

/** The key as it is in force: one that was disabled while the database was away may not have reached it yet. */
function inForce(work: Work, key: VirtualKey | null): VirtualKey | null {
  if (key === null || work.parts.store.virtualKeys.get(key.id)?.active !== false) return key
  return { ...key, active: false }
}

/** The key with a patch over it; throws when the two together make no sense. */
async function withChanges(work: Work, key: VirtualKey, patch: VirtualKeyPatch, path: string): Promise<VirtualKey> {
  const problems = new Problems()
  const changed: VirtualKey = {
    ...key,
    name: patch.name ?? key.name,
    userId: patch.user_id === undefined ? key.userId : patch.user_id,
    teamId: patch.team_id === undefined ? key.teamId : patch.team_id,
    customerId: patch.customer_id === undefined ? key.customerId : patch.customer_id,
    active: patch.active ?? key.active,
    expiresAt: patch.expires_at === undefined ? key.expiresAt : parseTime(patch.expires_at ?? ''),
    access:
      patch.access === undefined ? key.access : await readAccess(work, patch.access, at(path, 'access'), problems),
    allowedIps: patch.allowed_ips === undefined ? key.allowedIps : patch.allowed_ips,
    passthrough: patch.passthrough ?? key.passthrough,
    metadata: patch.metadata === undefined ? key.metadata : (patch.metadata ?? {}),
    updatedAt: work.now,
  }
  await mustExist(work, 'user', changed.userId, at(path, 'user_id'), problems)
  await mustExist(work, 'team', changed.teamId, at(path, 'team_id'), problems)
  await mustExist(work, 'customer', changed.customerId, at(path, 'customer_id'), problems)
  for (const [index, range] of (patch.allowed_ips ?? []).entries()) {
    if (parseCidr(range) === null) {
      problems.add(
        `${at(path, 'allowed_ips')}[${index}]`,
        `must be an address or a CIDR range such as 10.0.0.0/8, not "${range}"`,
      )
    }
  }
  if (
    work.actor.managedBy === 'api' &&
    changed.expiresAt !== key.expiresAt &&
    (changed.expiresAt ?? Infinity) <= work.now
  ) {
    problems.add(at(path, 'expires_at'), 'must be in the future')
  }
  problems.check()
  return changed
}
