/**
 * Management keys: who may use the admin API. Hashes are kept in memory, so that the API can be entered while the database is away.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { hashKey, keyStart } from '../auth/virtual-key.ts'
import {
  allManagementKeys,
  deleteManagementKey as deleteRow,
  findManagementKey,
  insertManagementKey,
  type ManagementKey,
  touchManagementKey,
  updateManagementKey,
} from '../persist/repositories/management-keys.ts'
import type { ManagementKeyCreate, ManagementKeyPatch, Role } from '../schemas/management-key.ts'
import { parseTime } from '../units/time.ts'
import type { Control } from './control.ts'
import { managementKeyFields } from './fields.ts'
import { guarded, mustExist } from './references.ts'
import { notFound, Problems } from './refused.ts'
import type { Work } from './work.ts'

/** Who a management key belongs to. */
export interface Manager {
  /** Null for the root key. */
  readonly id: string | null
  readonly name: string
  readonly role: Role
  /** Only what lies below this customer; null = everything. */
  readonly customerId: string | null
}

const ROOT: Manager = { id: null, name: 'root', role: 'admin', customerId: null }
/** How precise `last_used_at` is: a write per call would be a price nobody asked for. */
const TOUCH_INTERVAL_MS = 60_000

export class ManagementKeys {
  readonly #control: Control
  readonly #rootHash: Buffer
  readonly #byHash = new Map<string, ManagementKey>()

  /** `rootKey` is the one of BURSAR_ADMIN_KEY or of the data directory. */
  constructor(control: Control, rootKey: string) {
    this.#control = control
    this.#rootHash = Buffer.from(hashKey(rootKey), 'hex')
  }

  /** Reads them all: at the start, and after direct SQL. */
  async load(): Promise<void> {
    const keys = await this.#control.read(allManagementKeys)
    this.#byHash.clear()
    for (const key of keys) this.#byHash.set(key.hash, key)
  }

  /** Who presents this key at `now` (ms); null when it is not known or past its time. */
  authenticate(presented: string, now: number): Manager | null {
    const hash = hashKey(presented)
    if (timingSafeEqual(Buffer.from(hash, 'hex'), this.#rootHash)) return ROOT
    const key = this.#byHash.get(hash)
    if (key === undefined || (key.expiresAt ?? Number.POSITIVE_INFINITY) <= now) return null
    this.#touch(key, now)
    return { id: key.id, name: key.name, role: key.role, customerId: key.customerId }
  }

  /** Follows a committed change; null: the key of this id is gone. */
  follow(id: string, key: ManagementKey | null): void {
    for (const [hash, known] of this.#byHash) if (known.id === id) this.#byHash.delete(hash)
    if (key !== null) this.#byHash.set(key.hash, key)
  }

  #touch(key: ManagementKey, now: number): void {
    if (now - (key.lastUsedAt ?? 0) < TOUCH_INTERVAL_MS) return
    this.#byHash.set(key.hash, { ...key, lastUsedAt: now })
    // For people only: when the database is away it is not worth a word.
    this.#control.read((db) => touchManagementKey(db, key.id, now)).catch(() => {})
  }
}

const taken = (name: string) => ({
  management_keys_name_key: { path: 'name', message: `There is already a management key named "${name}".` },
})

export async function createManagementKey(
  work: Work,
  keys: ManagementKeys,
  body: ManagementKeyCreate,
): Promise<{ key: ManagementKey; value: string }> {
  const value = `bursar-mgmt-${randomBytes(32).toString('base64url')}`
  const problems = new Problems()
  const key: ManagementKey = {
    ...work.born(),
    name: body.name,
    hash: hashKey(value),
    keyStart: keyStart(value),
    role: body.role,
    customerId: body.customer_id ?? null,
    expiresAt: readExpiry(body.expires_at, null, work.now, problems),
    lastUsedAt: null,
  }
  await mustExist(work, 'customer', key.customerId, 'customer_id', problems)
  problems.check()
  await guarded(insertManagementKey(work.db, key), taken(key.name))
  work.audit('management_key.create', 'management_key', key, null, managementKeyFields(key))
  work.afterwards(() => keys.follow(key.id, key))
  return { key, value }
}

export async function patchManagementKey(
  work: Work,
  keys: ManagementKeys,
  id: string,
  patch: ManagementKeyPatch,
): Promise<ManagementKey> {
  const key = await findManagementKey(work.db, id)
  if (key === null) throw notFound('management key', id)
  const problems = new Problems()
  const changed: ManagementKey = {
    ...key,
    name: patch.name ?? key.name,
    role: patch.role ?? key.role,
    customerId: patch.customer_id === undefined ? key.customerId : patch.customer_id,
    expiresAt: readExpiry(patch.expires_at, key.expiresAt, work.now, problems),
    updatedAt: work.now,
  }
  await mustExist(work, 'customer', changed.customerId, 'customer_id', problems)
  problems.check()
  await guarded(updateManagementKey(work.db, changed), taken(changed.name))
  work.audit('management_key.update', 'management_key', changed, managementKeyFields(key), managementKeyFields(changed))
  work.afterwards(() => keys.follow(id, changed))
  return changed
}

export async function deleteManagementKey(work: Work, keys: ManagementKeys, id: string): Promise<void> {
  const key = await findManagementKey(work.db, id)
  if (key === null) throw notFound('management key', id)
  await deleteRow(work.db, id)
  work.audit('management_key.delete', 'management_key', key, managementKeyFields(key), null)
  work.afterwards(() => keys.follow(id, null))
}

function readExpiry(
  text: string | null | undefined,
  kept: number | null,
  now: number,
  problems: Problems,
): number | null {
  if (text === undefined) return kept
  const expiresAt = text === null ? null : parseTime(text)
  if (expiresAt !== null && expiresAt !== kept && expiresAt <= now) problems.add('expires_at', 'must be in the future')
  return expiresAt
}
