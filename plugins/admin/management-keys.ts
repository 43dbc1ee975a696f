/** Management keys of the admin API. */
import type { FastifyPluginAsync } from 'fastify'
import { managementKeyFields } from '../../src/control/fields.ts'
import * as operations from '../../src/control/management-keys.ts'
import { findManagementKey, pageOfManagementKeys } from '../../src/persist/repositories/management-keys.ts'
import * as schemas from '../../src/schemas/management-key.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'

const managementKeys: FastifyPluginAsync<AdminApiOptions> = async function managementKeys(
  api,
  { control, managementKeys: known },
) {
  resource(api, control, {
    path: 'management-keys',
    noun: 'management key',
    schemas: {
      create: schemas.ManagementKeyCreate,
      created: schemas.ManagementKeyWithKey,
      patch: schemas.ManagementKeyPatch,
      query: schemas.ManagementKeyQuery,
      view: schemas.ManagementKeyView,
    },
    list: pageOfManagementKeys,
    find: findManagementKey,
    idOf: ({ id }) => id,
    present: (_db, rows) => rows.map(managementKeyFields),
    async create(work, body) {
      const { key, value } = await operations.createManagementKey(work, known, body)
      return { id: key.id, once: async () => ({ key: value }) }
    },
    patch: (work, id, body) => operations.patchManagementKey(work, known, id, body),
    delete: (work, id) => operations.deleteManagementKey(work, known, id),
  })
}

export default managementKeys
