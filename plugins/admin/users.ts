/** Users of the admin API. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@fastify/type-provider-typebox'
import { only, presentUsers, presentVirtualKeys } from '../../src/control/present.ts'
import type { CreatedUser } from '../../src/control/users.ts'
import * as operations from '../../src/control/users.ts'
import { findUser, findUsers, pageOfUsers } from '../../src/persist/repositories/users.ts'
import { IdParams } from '../../src/schemas/lists.ts'
import * as schemas from '../../src/schemas/user.ts'
import { actorOf } from './authentication.ts'
import type { AdminApiOptions } from './options.ts'
import { resource } from './resource.ts'
import { creates, reads } from './responses.ts'

const tags = ['users']

const users: FastifyPluginAsyncTypebox<AdminApiOptions> = async function users(api, { control }) {
  /** The personal key, once. */
  const onceOf = async ({ issued }: CreatedUser) => {
    if (issued === null) return {}
    const stored = [{ key: issued.virtualKey, lastUsedAt: null }]
    const view = only(await control.read((db) => presentVirtualKeys(control.parts, db, stored)))
    return { key: issued.value, virtual_key: view }
  }
  const show = resource(api, control, {
    path: 'users',
    noun: 'user',
    bound: 'user',
    schemas: {
      create: schemas.UserCreate,
      created: schemas.UserWithKey,
      patch: schemas.UserPatch,
      query: schemas.UserQuery,
      view: schemas.UserView,
    },
    list: pageOfUsers,
    find: findUser,
    idOf: ({ user }) => user.id,
    present: (db, rows) => presentUsers(control.parts, db, rows),
    async create(work, body) {
      const made = await operations.createUser(work, body)
      return { id: made.user.id, once: () => onceOf(made) }
    },
    patch: operations.patchUser,
    delete: operations.deleteUser,
  })

  api.put(
    '/users/:id',
    {
      config: { bound: 'user' },
      schema: {
        tags,
        summary: 'Create or change a user of this id',
        params: IdParams,
        body: schemas.UserPut,
        response: { ...reads(schemas.UserView), ...creates(schemas.UserWithKey) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const put = await control.write(actorOf(request), (work) => operations.putUser(work, id, request.body))
      const view = await show(id)
      return put.created ? reply.code(201).send({ ...view, ...(await onceOf(put)) }) : view
    },
  )

  api.post(
    '/users/bulk',
    {
      config: { bound: 'user' },
      schema: {
        tags,
        summary: 'Create or change many users',
        body: schemas.UserBulk,
        response: reads(Type.Object({ data: Type.Array(schemas.UserWithKey) })),
      },
    },
    async (request) => {
      const put = await control.write(actorOf(request), (work) => operations.putUsers(work, request.body.users))
      const ids = put.map(({ user }) => user.id)
      const views = await control.read(async (db) => presentUsers(control.parts, db, await findUsers(db, ids)))
      const once = await Promise.all(put.map(onceOf))
      return { data: views.map((view, index) => ({ ...view, ...once[index] })) }
    },
  )
}

export default users
