/** Virtual keys of the admin API. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { patchVirtualKeyNow } from '../../src/control/disable.ts'
import { presentVirtualKeys } from '../../src/control/present.ts'
import * as operations from '../../src/control/virtual-keys.ts'
import { findVirtualKey, pageOfVirtualKeys } from '../../src/persist/repositories/virtual-keys.ts'
import { IdParams } from '../../src/schemas/lists.ts'
import * as schemas from '../../src/schemas/virtual-key.ts'
import { parseDuration } from '../../src/units/duration.ts'
import { actorOf } from './authentication.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'
import { reads } from './responses.ts'

const virtualKeys: FastifyPluginAsyncTypebox<AdminApiOptions> = async function virtualKeys(api, { control }) {
  const show = resource(api, control, {
    path: 'virtual-keys',
    noun: 'virtual key',
    bound: 'virtual_key',
    schemas: {
      create: schemas.VirtualKeyCreate,
      created: schemas.VirtualKeyWithKey,
      patch: schemas.VirtualKeyPatch,
      query: schemas.VirtualKeyQuery,
      view: schemas.VirtualKeyView,
    },
    list: pageOfVirtualKeys,
    find: findVirtualKey,
    idOf: ({ key }) => key.id,
    present: (db, rows) => presentVirtualKeys(control.parts, db, rows),
    async create(work, body) {
      const { virtualKey, value } = await operations.createVirtualKey(work, body)
      return { id: virtualKey.id, once: async () => ({ key: value }) }
    },
    patch: operations.patchVirtualKey,
    patchNow: (actor, id, body) => patchVirtualKeyNow(control, actor, id, body),
    delete: operations.deleteVirtualKey,
  })

  api.post(
    '/virtual-keys/:id/rotate',
    {
      config: { bound: 'virtual_key' },
      schema: {
        tags: ['virtual-keys'],
        summary: 'Give the same identity a new key',
        description: 'Usage and settings stay. The old key works until the grace ends; without one it stops at once.',
        params: IdParams,
        body: schemas.VirtualKeyRotate,
        response: reads(schemas.VirtualKeyWithKey),
      },
    },
    async (request) => {
      const { id } = request.params
      const grace = parseDuration(request.body.grace ?? '')
      const { value } = await control.write(actorOf(request), (work) => operations.rotateVirtualKey(work, id, grace))
      return { ...(await show(id)), key: value }
    },
  )
}

export default virtualKeys
