/**
 * References: whether what one entity names exists. Looked up inside the transaction, so that what the same work has just made counts.
 */
import { findCustomer } from '../persist/repositories/customers.ts'
import { violationOf } from '../persist/repositories/db.ts'
import { findProviderByName } from '../persist/repositories/providers.ts'
import { findTeam } from '../persist/repositories/teams.ts'
import { findUser } from '../persist/repositories/users.ts'
import { findVirtualKey } from '../persist/repositories/virtual-keys.ts'
import type { Provider, ScopeKind } from '../store/entities.ts'
import { conflict, type Problems } from './refused.ts'
import type { Work } from './work.ts'

const FINDERS = {
  customer: findCustomer,
  team: findTeam,
  user: findUser,
  virtual_key: findVirtualKey,
} as const

/** How a kind of entity is called in messages. */
const NOUNS: Readonly<Record<Exclude<ScopeKind, 'global'>, string>> = {
  customer: 'customer',
  team: 'team',
  user: 'user',
  virtual_key: 'virtual key',
}

/** Adds a problem when `id` is given and there is no such entity. */
export async function mustExist(
  work: Work,
  kind: keyof typeof FINDERS,
  id: string | null,
  path: string,
  problems: Problems,
): Promise<void> {
  if (id === null || (await FINDERS[kind](work.db, id)) !== null) return
  problems.add(path, `names a ${NOUNS[kind]} that does not exist`)
}

/** The provider of this name, in any case. Adds a problem when there is none. */
export async function mustBeProvider(
  work: Work,
  name: string,
  path: string,
  problems: Problems,
): Promise<Provider | null> {
  const provider = await findProviderByName(work.db, name, work.parts.secrets)
  if (provider === null) problems.add(path, `names the provider "${name}", which does not exist`)
  return provider
}

/**
 * Runs a statement whose constraints say what is taken: a unique constraint becomes a conflict in the words given for it.
 */
export async function guarded<T>(
  statement: Promise<T>,
  taken: Readonly<Record<string, { readonly path?: string; readonly message: string }>>,
): Promise<T> {
  try {
    return await statement
  } catch (error) {
    const known = taken[violationOf(error)?.constraint ?? '']
    if (known === undefined) throw error
    throw conflict(known.message, known.path)
  }
}

const REFERRING: Readonly<Record<string, string>> = {
  teams: 'teams',
  virtual_keys: 'virtual keys',
  management_keys: 'management keys',
}

/** Runs a deletion; what is still referenced becomes a conflict that says by what. */
export async function unreferenced(deletion: Promise<void>, what: string): Promise<void> {
  try {
    await deletion
  } catch (error) {
    const violation = violationOf(error)
    if (violation?.kind !== 'reference') throw error
    throw conflict(
      `The ${what} is still referenced by ${REFERRING[violation.table] ?? violation.table}; delete or move these first.`,
    )
  }
}
