/** Providers of the admin API. They are few, and all in memory with their credentials decrypted: so they are read from there. */
import type { FastifyPluginAsync } from 'fastify'
import { providerFields } from '../../src/control/fields.ts'
import { pageOfLiveProviders } from '../../src/control/pages.ts'
import * as operations from '../../src/control/providers.ts'
import * as schemas from '../../src/schemas/provider.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'

const providers: FastifyPluginAsync<AdminApiOptions> = async function providers(api, { control }) {
  const { store } = control.parts
  resource(api, control, {
    path: 'providers',
    noun: 'provider',
    schemas: {
      create: schemas.ProviderCreate,
      patch: schemas.ProviderPatch,
      query: schemas.ProviderQuery,
      view: schemas.ProviderView,
    },
    list: async (_db, page, query) => pageOfLiveProviders(store.providers, page, query),
    find: async (_db, id) => store.providers.get(id) ?? null,
    idOf: ({ id }) => id,
    present: (_db, rows) => rows.map(providerFields),
    create: operations.createProvider,
    patch: operations.patchProvider,
    delete: operations.deleteProvider,
  })
}

export default providers
