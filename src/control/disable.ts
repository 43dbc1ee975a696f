/**
 * Disabling a key or a user: the one thing that works while the database is away, because it cannot wait. It goes through the journal
 * then, like what the gateway itself finds out, and reaches the database later.
 */

import type { VirtualKeyPatch } from '../schemas/virtual-key.ts'
import type { User, VirtualKey } from '../store/entities.ts'
import type { Control } from './control.ts'
import { ControlError } from './refused.ts'
import { DISABLED_BY_ADMIN, disableUser } from './users.ts'
import { patchVirtualKey } from './virtual-keys.ts'
import type { Actor } from './work.ts'

/** `stored: false`: in force and in the journal, not yet in the database. */
export type Disabled<T> = { readonly entity: T; readonly stored: boolean }

export async function disableUserNow(
  control: Control,
  actor: Actor,
  id: string,
  reason?: string,
): Promise<Disabled<User>> {
  try {
    return { entity: await control.write(actor, (work) => disableUser(work, id, reason)), stored: true }
  } catch (error) {
    const user = control.parts.store.users.get(id)
    if (!isAway(error) || user === undefined) throw error
    const { store, clock, facts } = control.parts
    const now = clock.now()
    const disabledReason = reason ?? DISABLED_BY_ADMIN
    facts.append({ t: 'disable', at: now, kind: 'user', id, reason: disabledReason, actor: whoOf(actor) })
    const entity: User = { ...user, disabledAt: user.disabledAt ?? now, disabledReason }
    store.apply([{ op: 'put', kind: 'user', entity }], now)
    control.parts.log.warn({ userId: id, actor: actor.name }, 'user disabled while the database is away')
    return { entity, stored: false }
  }
}

/** A change of a key, which may be no more than `active: false`. */
export async function patchVirtualKeyNow(
  control: Control,
  actor: Actor,
  id: string,
  patch: VirtualKeyPatch,
): Promise<Disabled<VirtualKey>> {
  try {
    return { entity: await control.write(actor, (work) => patchVirtualKey(work, id, patch)), stored: true }
  } catch (error) {
    const key = control.parts.store.virtualKeys.get(id)
    const disables = patch.active === false && Object.keys(patch).length === 1
    if (!isAway(error) || !disables || key === undefined) throw error
    const { store, clock, facts } = control.parts
    const now = clock.now()
    facts.append({ t: 'disable', at: now, kind: 'virtual_key', id, reason: DISABLED_BY_ADMIN, actor: whoOf(actor) })
    const entity: VirtualKey = { ...key, active: false }
    store.apply([{ op: 'put', kind: 'virtual_key', entity }], now)
    control.parts.log.warn({ virtualKeyId: id, actor: actor.name }, 'key disabled while the database is away')
    return { entity, stored: false }
  }
}

function whoOf({ id, name, address }: Actor) {
  return { id, name, address }
}

function isAway(error: unknown): boolean {
  return error instanceof ControlError && error.refusal.code === 'database_unavailable'
}
