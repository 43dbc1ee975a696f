/** What the routes of the admin API answer with. */
import { type TSchema, Type } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../src/schemas/lists.ts'

const errors = { default: ErrorBody }

/** Its own body on success, the one form of errors otherwise. */
export const reads = <S extends TSchema>(body: S) => ({ 200: body, ...errors })
export const creates = <S extends TSchema>(body: S) => ({ 201: body, ...errors })
export const deletes = { 204: Type.Null({ description: 'It is gone.' }), ...errors }

/** In force, and not yet in the database, which is away. */
export const Pending = Type.Object(
  { id: Type.String(), pending: Type.Literal(true) },
  { additionalProperties: false, description: 'In force; it reaches the database when that is back.' },
)

/** Actions that take nothing. */
export const NoBody = Type.Object({}, { additionalProperties: false })
