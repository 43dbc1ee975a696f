/** The process as the admin API shows it: its state, a reload after direct SQL, explanations, and whether the books add up. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@fastify/type-provider-typebox'
import { rehearseConfig } from '../../src/control/apply-config.ts'
import { consistencyOf } from '../../src/control/reports.ts'
import { migrationStatus } from '../../src/persist/migrator.ts'
import { ConfigDifferences, ConfigFile } from '../../src/schemas/config-file.ts'
import * as schemas from '../../src/schemas/reports.ts'
import { formatTimeOrNull } from '../../src/units/time.ts'
import type { AdminApiOptions } from './options.ts'
import { NoBody, reads } from './responses.ts'

const tags = ['system']

const system: FastifyPluginAsyncTypebox<AdminApiOptions> = async function system(
  api,
  { control, status, reload, explain },
) {
  api.get(
    '/status',
    { schema: { tags, summary: 'How the process is doing', response: reads(schemas.StatusView) } },
    async () => status(),
  )

  api.get(
    '/migrations',
    { schema: { tags, summary: 'How far the database is migrated', response: reads(schemas.MigrationsView) } },
    async () => {
      const statuses = await control.read((db) => migrationStatus(db))
      return {
        data: statuses.map(({ name, state, appliedAt }) => ({ name, state, applied_at: formatTimeOrNull(appliedAt) })),
      }
    },
  )

  api.get(
    '/consistency',
    {
      schema: {
        tags,
        summary: 'Recompute what has been used',
        description:
          'Adds up events and corrections, limit by limit, and compares with the books. Windows older than the events are left out.',
        response: reads(schemas.ConsistencyView),
      },
    },
    () => control.read((db) => consistencyOf(db, control.parts.settings, control.parts.clock.now())),
  )

  api.post(
    '/reload',
    {
      schema: {
        tags,
        summary: 'Read everything from the database again',
        description: 'After changes by direct SQL.',
        body: NoBody,
        response: reads(Type.Object({ reloaded: Type.Literal(true) })),
      },
    },
    async () => {
      await reload()
      return { reloaded: true as const }
    },
  )

  api.post(
    '/config/dry-run',
    {
      schema: {
        tags,
        summary: 'What a bursar.yaml would change',
        description: 'The file as JSON, its variables filled in. Nothing is changed.',
        body: ConfigFile,
        response: reads(ConfigDifferences),
      },
    },
    (request) => rehearseConfig(control, request.body),
  )

  api.post(
    '/explain',
    {
      config: { readOnly: true },
      schema: {
        tags,
        summary: 'What would happen to a request',
        description: 'Nothing is forwarded and nothing is charged.',
        body: schemas.ExplainRequest,
        response: reads(schemas.ExplanationView),
      },
    },
    async (request, reply) => reply.send((await explain(request.body)) as never),
  )
}

export default system
