/**
 * Bounds: a management key that is bound to a customer may touch only what lies below it. Looked at when the work is done and before it
 * is committed: whatever an operation has made or changed must lie below the customer then, and refer to nothing outside.
 */
import { BOUND_KINDS, type BoundKind, isBelow } from '../persist/repositories/bounds.ts'
import type { Db } from '../persist/repositories/db.ts'
import type { Change, Scope } from '../store/entities.ts'
import { ControlError } from './refused.ts'

/** Throws 403 when a change reaches beyond the customer. What was deleted was looked at before (see `plugins/admin/authentication.ts`). */
export async function refuseOutside(db: Db, changes: readonly Change[], customerId: string): Promise<void> {
  for (const change of changes) {
    if (!isBoundKind(change.kind)) throw outside()
    if (change.op === 'delete') continue
    await mustLieBelow(db, change.kind, change.entity.id, customerId)
    if (change.kind !== 'virtual_key') continue
    const { userId, teamId } = change.entity
    if (userId !== null) await mustLieBelow(db, 'user', userId, customerId)
    if (teamId !== null) await mustLieBelow(db, 'team', teamId, customerId)
  }
}

/** Asked before a limit is looked for there: that there is one already is news of somebody else's limits. */
export async function refuseScopeOutside(db: Db, { kind, id }: Scope, customerId: string): Promise<void> {
  if (id === null || !isBoundKind(kind)) throw outside()
  await mustLieBelow(db, kind, id, customerId)
}

async function mustLieBelow(db: Db, kind: BoundKind, id: string, customerId: string): Promise<void> {
  if (!(await isBelow(db, kind, id, customerId))) throw outside()
}

function isBoundKind(kind: string): kind is BoundKind {
  return BOUND_KINDS.some((bound) => bound === kind)
}

export function outside(): ControlError {
  return new ControlError({
    code: 'forbidden',
    message: 'This management key is bound to a customer and may touch only teams, users, keys and limits below it.',
  })
}
