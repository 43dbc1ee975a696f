/** Reports of the admin API: usage, events, the audit log, alerts. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@fastify/type-provider-typebox'
import { listed } from '../../src/control/pages.ts'
import { conflict } from '../../src/control/refused.ts'
import { alertView, auditView, listedEvents, spanOf, usageCsv, usageOf } from '../../src/control/reports.ts'
import { pageOfAlerts } from '../../src/persist/repositories/alerts.ts'
import { pageOfAudit } from '../../src/persist/repositories/audit.ts'
import { EventQuery, EventView, UsageQuery, UsageReportView } from '../../src/schemas/events.ts'
import { List } from '../../src/schemas/lists.ts'
import * as schemas from '../../src/schemas/reports.ts'
import type { AdminApiOptions } from './options.ts'
import { NoBody, reads } from './responses.ts'

const tags = ['reports']

const reports: FastifyPluginAsyncTypebox<AdminApiOptions> = async function reports(api, { control, testAlert }) {
  const { clock } = control.parts

  api.get(
    '/usage',
    {
      schema: {
        tags,
        summary: 'What has been used, in periods',
        description: 'JSON, or a table with `Accept: text/csv`. Without `from` the last thirty days.',
        querystring: UsageQuery,
        response: {
          ...reads(UsageReportView),
          200: {
            content: {
              'application/json': { schema: UsageReportView },
              'text/csv': { schema: Type.String({ description: 'The same lines with a head line.' }) },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const data = await control.read((db) => usageOf(db, request.query, clock.now()))
      if (!prefersCsv(request.headers.accept)) return reply.send({ data })
      return reply.type('text/csv; charset=utf-8').send(usageCsv(data, request.query))
    },
  )

  api.get(
    '/events',
    {
      schema: {
        tags,
        summary: 'Single events, newest first',
        description: 'One row for each attempt at a provider; refusals have attempt 0.',
        querystring: EventQuery,
        response: reads(List(EventView)),
      },
    },
    ({ query }) => control.read((db) => listedEvents(db, query)),
  )

  api.get(
    '/audit',
    {
      schema: {
        tags,
        summary: 'Who changed what, newest first',
        querystring: schemas.AuditQuery,
        response: reads(List(schemas.AuditView)),
      },
    },
    ({ query }) => {
      const { entity_kind: entityKind, entity_id: entityId, actor_id: actorId, actor: actorName, action } = query
      const filter = { ...spanOf(query), ...given({ entityKind, entityId, actorId, actorName, action }) }
      return control.read((db) =>
        listed(
          query,
          (page) => pageOfAudit(db, page, filter),
          ({ id }) => id,
          (rows) => rows.map(auditView),
        ),
      )
    },
  )

  api.get(
    '/alerts',
    {
      schema: {
        tags,
        summary: 'Shares of limits that were reached, newest first',
        querystring: schemas.AlertQuery,
        response: reads(List(schemas.AlertView)),
      },
    },
    ({ query }) => {
      const filter = { ...spanOf(query), ...given({ limitId: query.limit_id }) }
      return control.read((db) =>
        listed(
          query,
          (page) => pageOfAlerts(db, page, filter),
          ({ id }) => id,
          (rows) => rows.map(alertView),
        ),
      )
    },
  )

  api.post(
    '/alerts/test',
    {
      schema: {
        tags,
        summary: 'Send a test alert to the webhook',
        description: 'Says whether it was taken. 409 when bursar.yaml names no webhook.',
        body: NoBody,
        response: reads(schemas.TestAlertView),
      },
    },
    async () => {
      const sent = await testAlert()
      if (sent === null) throw conflict('There is no webhook: name one under alerts in bursar.yaml.')
      return { id: sent.id, delivered: sent.error === null, error: sent.error }
    },
  )
}

/** Whether `text/csv` is named, and not after JSON (RFC 9110, section 12.5.1). */
function prefersCsv(accept = ''): boolean {
  const weights = new Map(accept.toLowerCase().split(',').map(weightOf))
  const csv = weights.get('text/csv') ?? 0
  return csv > 0 && csv >= (weights.get('application/json') ?? 0)
}

/** A media range such as `text/csv;q=0.5` and how much it is wanted. */
function weightOf(range: string): [string, number] {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  return [type, weight === undefined ? 1 : Number(weight.slice(2))]
}

/** Without what is undefined. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}

export default reports
