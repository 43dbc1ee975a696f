/** Limits of the admin API. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { resetLimit } from '../../src/control/corrections.ts'
import * as operations from '../../src/control/limits.ts'
import { presentLimit } from '../../src/control/present.ts'
import { findLimit, pageOfLimits } from '../../src/persist/repositories/limits.ts'
import * as schemas from '../../src/schemas/limit.ts'
import { IdParams } from '../../src/schemas/lists.ts'
import { actorOf } from './authentication.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'
import { deletes, NoBody, reads } from './responses.ts'

const tags = ['limits']

const limits: FastifyPluginAsyncTypebox<AdminApiOptions> = async function limits(api, { control }) {
  const show = resource(api, control, {
    path: 'limits',
    noun: 'limit',
    bound: 'limit',
    schemas: {
      create: schemas.LimitCreate,
      patch: schemas.LimitPatch,
      query: schemas.LimitQuery,
      view: schemas.LimitView,
    },
    list: pageOfLimits,
    find: findLimit,
    idOf: ({ id }) => id,
    present: (_db, rows) => rows.map((limit) => presentLimit(control.parts, limit)),
    create: operations.createLimit,
    patch: operations.patchLimit,
    delete: operations.deleteLimit,
  })

  api.post(
    '/limits/:id/reset',
    {
      config: { bound: 'limit' },
      schema: {
        tags,
        summary: 'Set the count of a limit back to zero',
        description: 'A correction entry: the window, holds in flight and the lifetime total stay.',
        params: IdParams,
        body: NoBody,
        response: reads(schemas.LimitView),
      },
    },
    async (request) => {
      await control.write(actorOf(request), (work) => resetLimit(work, request.params.id))
      return show(request.params.id)
    },
  )

  api.put(
    '/limits/:id/override',
    {
      config: { bound: 'limit' },
      schema: {
        tags,
        summary: 'Give a limit another max for a time',
        params: IdParams,
        body: schemas.LimitOverridePut,
        response: reads(schemas.LimitView),
      },
    },
    async (request) => {
      await control.write(actorOf(request), (work) => operations.overrideLimit(work, request.params.id, request.body))
      return show(request.params.id)
    },
  )

  api.delete(
    '/limits/:id/override',
    {
      config: { bound: 'limit' },
      schema: { tags, summary: 'End an override', params: IdParams, response: deletes },
    },
    async (request, reply) => {
      await control.write(actorOf(request), (work) => operations.endOverride(work, request.params.id))
      return reply.code(204).send(null)
    },
  )
}

export default limits
