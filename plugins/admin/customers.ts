/** Customers and teams of the admin API. */
import type { FastifyPluginAsync } from 'fastify'
import * as operations from '../../src/control/customers.ts'
import { presentCustomers, presentTeams } from '../../src/control/present.ts'
import { findCustomer, pageOfCustomers } from '../../src/persist/repositories/customers.ts'
import { findTeam, pageOfTeams } from '../../src/persist/repositories/teams.ts'
import * as schemas from '../../src/schemas/customer.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'

const customers: FastifyPluginAsync<AdminApiOptions> = async function customers(api, { control }) {
  resource(api, control, {
    path: 'customers',
    noun: 'customer',
    schemas: {
      create: schemas.CustomerCreate,
      patch: schemas.CustomerPatch,
      query: schemas.CustomerQuery,
      view: schemas.CustomerView,
    },
    list: pageOfCustomers,
    find: findCustomer,
    idOf: ({ id }) => id,
    present: (db, rows) => presentCustomers(control.parts, db, rows),
    create: operations.createCustomer,
    patch: operations.patchCustomer,
    delete: operations.deleteCustomer,
  })

  resource(api, control, {
    path: 'teams',
    noun: 'team',
    bound: 'team',
    schemas: {
      create: schemas.TeamCreate,
      patch: schemas.TeamPatch,
      query: schemas.TeamQuery,
      view: schemas.TeamView,
    },
    list: pageOfTeams,
    find: findTeam,
    idOf: ({ id }) => id,
    present: (db, rows) => presentTeams(control.parts, db, rows),
    create: operations.createTeam,
    patch: operations.patchTeam,
    delete: operations.deleteTeam,
  })
}

export default customers
