/** Resource: the five routes every kind of entity has (CONTRACT section 8), once: what differs between them is given as data. */
import type { Static, TObject, TSchema } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Control } from '../../src/control/control.ts'
import { listed, type PageQuery } from '../../src/control/pages.ts'
import { only } from '../../src/control/present.ts'
import { notFound } from '../../src/control/refused.ts'
import type { Actor, Work } from '../../src/control/work.ts'
import type { BoundKind } from '../../src/persist/repositories/bounds.ts'
import type { Db, Page } from '../../src/persist/repositories/db.ts'
import { IdParams, List } from '../../src/schemas/lists.ts'
import { actorOf } from './authentication.ts'
import { creates, deletes, Pending, reads } from './responses.ts'

export interface Resource<Row, C extends TSchema, P extends TSchema, Q extends TObject, V extends TObject> {
  /** Below /api, such as `virtual-keys`; also the tag. */
  readonly path: string
  readonly noun: string
  /** Where management keys that are bound to a customer may use these routes. */
  readonly bound?: BoundKind
  /** `created` where the answer to a creation shows more than the entity. */
  readonly schemas: {
    readonly create: C
    readonly created?: TSchema
    readonly patch: P
    readonly query: Q
    readonly view: V
  }
  /** `below`: only what lies below this customer. */
  list(db: Db, page: Page, query: Static<Q> & { below?: string }): Promise<Row[]>
  find(db: Db, id: string): Promise<Row | null>
  idOf(row: Row): string
  /** A whole page at once. */
  present(db: Db, rows: Row[]): Static<V>[] | Promise<Static<V>[]>
  /** `once`: what is shown in the answer to the creation and never again. */
  create(work: Work, body: Static<C>): Promise<{ id: string; once?: () => Promise<object> }>
  patch(work: Work, id: string, body: Static<P>): Promise<unknown>
  /** In place of `patch`, where a change may have to work without the database. */
  patchNow?(actor: Actor, id: string, body: Static<P>): Promise<{ stored: boolean }>
  delete(work: Work, id: string): Promise<void>
}

/** Registers the routes and gives the function that reads one entity as they show it. */
export function resource<Row, C extends TSchema, P extends TSchema, Q extends TObject, V extends TObject>(
  api: FastifyInstance,
  control: Control,
  entity: Resource<Row, C, P, Q, V>,
): (id: string) => Promise<Static<V>> {
  const { path, noun, schemas, bound } = entity
  const show = (id: string) =>
    control.read(async (db) => {
      const row = await entity.find(db, id)
      if (row === null) throw notFound(noun, id)
      return only(await entity.present(db, [row]))
    })

  api.get(
    `/${path}`,
    schemaOf('List', { querystring: schemas.query, response: reads(List(schemas.view)) }),
    (request) => {
      const bounds = request.manager?.customerId == null ? {} : { below: request.manager.customerId }
      const query = { ...(request.query as Static<Q> & PageQuery), ...bounds }
      return control.read((db) => listed(query, listIn(db, query), entity.idOf, (rows) => entity.present(db, rows)))
    },
  )

  api.post(
    `/${path}`,
    schemaOf('Create', { body: schemas.create, response: creates(schemas.created ?? schemas.view) }),
    async (request, reply) => {
      const body = request.body as Static<C>
      const { id, once } = await control.write(actorOf(request), (work) => entity.create(work, body))
      return reply.code(201).send({ ...(await show(id)), ...(await once?.()) })
    },
  )

  api.get(`/${path}/:id`, schemaOf('Read', { params: IdParams, response: reads(schemas.view) }), (request) =>
    show(idOf(request)),
  )

  api.patch(
    `/${path}/:id`,
    schemaOf('Change', { params: IdParams, body: schemas.patch, response: { ...reads(schemas.view), 202: Pending } }),
    async (request, reply) => {
      const id = idOf(request)
      const body = request.body as Static<P>
      const actor = actorOf(request)
      if (entity.patchNow === undefined) await control.write(actor, (work) => entity.patch(work, id, body))
      else if (!(await entity.patchNow(actor, id, body)).stored) return reply.code(202).send({ id, pending: true })
      return show(id)
    },
  )

  api.delete(`/${path}/:id`, schemaOf('Delete', { params: IdParams, response: deletes }), async (request, reply) => {
    await control.write(actorOf(request), (work) => entity.delete(work, idOf(request)))
    return reply.code(204).send(null)
  })

  return show

  function listIn(db: Db, query: Static<Q> & { below?: string }) {
    return (page: Page) => entity.list(db, page, query)
  }

  function schemaOf(verb: string, parts: object) {
    return {
      config: bound === undefined ? {} : { bound },
      schema: {
        tags: [path],
        summary: verb === 'List' ? `List ${path.replace('-', ' ')}` : `${verb} a ${noun}`,
        ...parts,
      },
    }
  }
}

/** The path's id, which the route's schema has checked. */
const idOf = (request: FastifyRequest) => (request.params as Static<typeof IdParams>).id
