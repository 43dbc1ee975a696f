/** The name of what a limit is on, for people; null for a global limit and for what has been deleted since. */
import type { Scope } from './entities.ts'
import type { GovernanceStore } from './governance-store.ts'

export type Names = Pick<GovernanceStore, 'users' | 'teams' | 'customers' | 'virtualKeys'>

export function nameOfScope({ kind, id }: Scope, { users, virtualKeys, teams, customers }: Names): string | null {
  if (kind === 'global') return null
  const entities = { user: users, virtual_key: virtualKeys, team: teams, customer: customers }[kind]
  return entities.get(id)?.name ?? null
}
