/**
 * Prune: deletes what an earlier bursar.yaml made and this one no longer names. What an admin has made, or what something of an admin's
 * still refers to, stays.
 */
import { customersOfFile } from '../persist/repositories/customers.ts'
import { recoverable } from '../persist/repositories/db.ts'
import { limitsOfFile } from '../persist/repositories/limits.ts'
import { pricesOfFile } from '../persist/repositories/prices.ts'
import { providersOfFile } from '../persist/repositories/providers.ts'
import { teamsOfFile } from '../persist/repositories/teams.ts'
import { usersOfFile } from '../persist/repositories/users.ts'
import { virtualKeysOfFile } from '../persist/repositories/virtual-keys.ts'
import { deleteCustomer, deleteTeam } from './customers.ts'
import { removeLimit } from './limits.ts'
import { removePrice } from './prices.ts'
import { deleteProvider } from './providers.ts'
import { ControlError } from './refused.ts'
import { removeUser } from './users.ts'
import { removeVirtualKey } from './virtual-keys.ts'
import type { Work } from './work.ts'

/** The ids of what the present file names. */
export interface Named {
  readonly limits: Set<string>
  readonly entities: Set<string>
}

/** From the leaves to the root. Gives what stays because it is still referenced, in words. */
export async function prune(work: Work, named: Named): Promise<string[]> {
  const kept: string[] = []
  const { db } = work
  for (const limit of await limitsOfFile(db)) if (!named.limits.has(limit.id)) await removeLimit(work, limit)
  await each('virtual key', await virtualKeysOfFile(db), (key) => removeVirtualKey(work, key))
  await each('user', await usersOfFile(db), (user) => removeUser(work, user))
  await each('team', await teamsOfFile(db), (team) => deleteTeam(work, team.id))
  await each('customer', await customersOfFile(db), (customer) => deleteCustomer(work, customer.id))
  for (const price of await pricesOfFile(db)) if (!named.entities.has(price.id)) await removePrice(work, price)
  await each('provider', await providersOfFile(db, work.parts.secrets), (provider) => deleteProvider(work, provider.id))
  return kept

  async function each<E extends { id: string; name: string }>(
    noun: string,
    entities: E[],
    remove: (entity: E) => Promise<void>,
  ) {
    for (const entity of entities) {
      if (named.entities.has(entity.id)) continue
      try {
        await recoverable(db, () => remove(entity))
      } catch (error) {
        if (!(error instanceof ControlError && error.refusal.code === 'conflict')) throw error
        kept.push(`${noun} ${entity.name}: ${error.message}`)
      }
    }
  }
}
