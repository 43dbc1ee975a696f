/** Price overrides of the admin API. */
import type { FastifyPluginAsync } from 'fastify'
import { priceFields } from '../../src/control/fields.ts'
import * as operations from '../../src/control/prices.ts'
import { findPrice, pageOfPrices } from '../../src/persist/repositories/prices.ts'
import * as schemas from '../../src/schemas/price.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'

const prices: FastifyPluginAsync<AdminApiOptions> = async function prices(api, { control }) {
  resource(api, control, {
    path: 'prices',
    noun: 'price',
    schemas: {
      create: schemas.PriceCreate,
      patch: schemas.PricePatch,
      query: schemas.PriceQuery,
      view: schemas.PriceView,
    },
    list: pageOfPrices,
    find: findPrice,
    idOf: ({ id }) => id,
    present: (_db, rows) => rows.map(priceFields),
    create: operations.createPrice,
    patch: operations.patchPrice,
    delete: operations.deletePrice,
  })
}

export default prices
