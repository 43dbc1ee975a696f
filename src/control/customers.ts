/** Customers and teams. */
import {
  deleteCustomer as deleteCustomerRow,
  findCustomer,
  insertCustomer,
  updateCustomer,
} from '../persist/repositories/customers.ts'
import { deleteTeam as deleteTeamRow, findTeam, insertTeam, updateTeam } from '../persist/repositories/teams.ts'
import type { CustomerCreate, CustomerPatch, TeamCreate, TeamPatch } from '../schemas/customer.ts'
import type { Customer, Team } from '../store/entities.ts'
import { createLimits, deleteLimitsOf } from './limits.ts'
import { guarded, mustExist, unreferenced } from './references.ts'
import { at, notFound, Problems } from './refused.ts'
import { sameContent, type Work } from './work.ts'

const nameTaken = (kind: 'customer' | 'team', name: string, path: string) => ({
  [`${kind}s_name_key`]: { path: at(path, 'name'), message: `There is already a ${kind} named "${name}".` },
})

export async function createCustomer(work: Work, body: CustomerCreate, path = ''): Promise<Customer> {
  const customer: Customer = { ...work.born(), name: body.name, metadata: body.metadata ?? {} }
  await guarded(insertCustomer(work.db, customer), nameTaken('customer', customer.name, path))
  work.created('customer', customer)
  await createLimits(work, { kind: 'customer', id: customer.id }, body.limits ?? [], at(path, 'limits'))
  return customer
}

export async function patchCustomer(work: Work, id: string, patch: CustomerPatch, path = ''): Promise<Customer> {
  const customer = await findCustomer(work.db, id)
  if (customer === null) throw notFound('customer', id)
  const changed: Customer = {
    ...customer,
    name: patch.name ?? customer.name,
    metadata: patch.metadata === undefined ? customer.metadata : (patch.metadata ?? {}),
    updatedAt: work.now,
  }
  if (sameContent(customer, changed)) return customer
  await guarded(updateCustomer(work.db, changed), nameTaken('customer', changed.name, path))
  work.changed('customer', customer, changed)
  return changed
}

export async function deleteCustomer(work: Work, id: string): Promise<void> {
  const customer = await findCustomer(work.db, id)
  if (customer === null) throw notFound('customer', id)
  await unreferenced(deleteCustomerRow(work.db, id), 'customer')
  await deleteLimitsOf(work, { kind: 'customer', id })
  work.deleted('customer', customer)
}

export async function createTeam(work: Work, body: TeamCreate, path = ''): Promise<Team> {
  const problems = new Problems()
  await mustExist(work, 'customer', body.customer_id ?? null, at(path, 'customer_id'), problems)
  problems.check()
  const team: Team = {
    ...work.born(),
    name: body.name,
    customerId: body.customer_id ?? null,
    metadata: body.metadata ?? {},
  }
  await guarded(insertTeam(work.db, team), nameTaken('team', team.name, path))
  work.created('team', team)
  await createLimits(work, { kind: 'team', id: team.id }, body.limits ?? [], at(path, 'limits'))
  return team
}

export async function patchTeam(work: Work, id: string, patch: TeamPatch, path = ''): Promise<Team> {
  const team = await findTeam(work.db, id)
  if (team === null) throw notFound('team', id)
  const problems = new Problems()
  await mustExist(work, 'customer', patch.customer_id ?? null, at(path, 'customer_id'), problems)
  problems.check()
  const changed: Team = {
    ...team,
    name: patch.name ?? team.name,
    customerId: patch.customer_id === undefined ? team.customerId : patch.customer_id,
    metadata: patch.metadata === undefined ? team.metadata : (patch.metadata ?? {}),
    updatedAt: work.now,
  }
  if (sameContent(team, changed)) return team
  await guarded(updateTeam(work.db, changed), nameTaken('team', changed.name, path))
  work.changed('team', team, changed)
  return changed
}

export async function deleteTeam(work: Work, id: string): Promise<void> {
  const team = await findTeam(work.db, id)
  if (team === null) throw notFound('team', id)
  await unreferenced(deleteTeamRow(work.db, id), 'team')
  await deleteLimitsOf(work, { kind: 'team', id })
  work.deleted('team', team)
}
