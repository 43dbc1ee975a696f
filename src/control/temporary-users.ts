/**
 * Temporary users: disabled when their time is over, deleted three days later (U13). The check at the gateway never waits for this;
 * it makes lists and reports right.
 */
import { TIME_OVER_REASON } from '../auth/authenticate.ts'
import { usersPastTheirTime, usersToPurge } from '../persist/repositories/users.ts'
import { virtualKeysOfUser } from '../persist/repositories/virtual-keys.ts'
import type { User } from '../store/entities.ts'
import type { Control } from './control.ts'
import { disableUser, removeUser } from './users.ts'
import { removeVirtualKey } from './virtual-keys.ts'
import { SYSTEM_ACTOR } from './work.ts'

const KEPT_MS = 72 * 3_600_000

/**
 * Every minute: disables those whose time is over and deletes those disabled for three days, with their keys and limits.
 *
 * @param disabled told of every user that has been disabled, once that is in the books
 */
export async function tidyTemporaryUsers(
  control: Control,
  disabled: (user: User, reason: string) => void = () => {},
): Promise<{ disabled: number; deleted: number }> {
  const { expired, deleted } = await control.write(SYSTEM_ACTOR, async (work) => {
    const expired = await usersPastTheirTime(work.db, work.now)
    for (const { id } of expired) await disableUser(work, id, TIME_OVER_REASON)
    const old = await usersToPurge(work.db, work.now, work.now - KEPT_MS)
    for (const user of old) {
      for (const key of await virtualKeysOfUser(work.db, user.id)) await removeVirtualKey(work, key)
      await removeUser(work, user)
    }
    return { expired, deleted: old.length }
  })
  for (const user of expired) disabled(user, TIME_OVER_REASON)
  const counts = { disabled: expired.length, deleted }
  if (counts.disabled + counts.deleted > 0) control.parts.log.info(counts, 'temporary users tidied')
  return counts
}
