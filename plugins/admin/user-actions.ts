/** What can be done to a user of the admin API, beside editing it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { refreshUserQuota, resetUserUsage } from '../../src/control/corrections.ts'
import { disableUserNow } from '../../src/control/disable.ts'
import { only, presentUsers } from '../../src/control/present.ts'
import { enableUser } from '../../src/control/users.ts'
import { findUsers } from '../../src/persist/repositories/users.ts'
import { IdParams } from '../../src/schemas/lists.ts'
import { UserDisable, UserView } from '../../src/schemas/user.ts'
import { actorOf } from './authentication.ts'
import type { AdminApiOptions } from './options.ts'
import { NoBody, Pending, reads } from './responses.ts'

const tags = ['users']

const userActions: FastifyPluginAsyncTypebox<AdminApiOptions> = async function userActions(api, { control }) {
  const show = (id: string) =>
    control.read(async (db) => only(await presentUsers(control.parts, db, await findUsers(db, [id]))))

  api.post(
    '/users/:id/disable',
    {
      config: { bound: 'user' },
      schema: {
        tags,
        summary: 'Refuse all keys of a user',
        params: IdParams,
        body: UserDisable,
        response: { ...reads(UserView), 202: Pending },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { stored } = await disableUserNow(control, actorOf(request), id, request.body.reason)
      return stored ? show(id) : reply.code(202).send({ id, pending: true })
    },
  )

  const actions = {
    enable: ['Accept the keys of a user again', enableUser],
    'reset-usage': ['Set all limits of the user’s scope back to zero', resetUserUsage],
    'refresh-quota': ['Give the user’s token limits on model families their full amount again', refreshUserQuota],
  } as const
  for (const [name, [summary, action]] of Object.entries(actions)) {
    api.post(
      `/users/:id/${name}`,
      {
        config: { bound: 'user' },
        schema: { tags, summary, params: IdParams, body: NoBody, response: reads(UserView) },
      },
      async (request) => {
        await control.write(actorOf(request), (work): Promise<unknown> => action(work, request.params.id))
        return show(request.params.id)
      },
    )
  }
}

export default userActions
