/**
 * What every resource of the admin API shares: the fields of each entity, the form of lists, and the form of errors.
 */
import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { accepting, Id, OneOf, Timestamp } from './fields.ts'

export const EntityFields = {
  id: Id({ description: 'UUIDv7.' }),
  created_at: Timestamp({ description: 'When it was created.' }),
  updated_at: Timestamp({ description: 'When it was last changed.' }),
  managed_by: OneOf(['api', 'file'], { description: 'Who made it: an admin, or bursar.yaml.' }),
}

export const IdParams = Type.Object({ id: Id() }, { additionalProperties: false })

export const LIST_LIMIT_DEFAULT = 50
const LIST_LIMIT_MAX = 1_000

const PageFields = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIST_LIMIT_MAX,
      default: LIST_LIMIT_DEFAULT,
      description: 'Rows of one page.',
      examples: [50],
    }),
  ),
  cursor: Type.Optional(
    accepting(
      Type.String({ minLength: 1, maxLength: 300, description: 'next_cursor of the page before.' }),
      'the next_cursor of the page before',
    ),
  ),
}

export const Search = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'Only names that contain this, in any case.',
    examples: ['ada'],
  }),
)

/** A time to report on. */
export const Span = {
  from: Type.Optional(Timestamp({ description: 'From then on, inclusive.' })),
  to: Type.Optional(Timestamp({ description: 'Until then, exclusive.' })),
}

/** The query of a list: a page, and the filters of the resource. */
export const ListQuery = <P extends TProperties>(filters: P) =>
  Type.Object({ ...PageFields, ...filters }, { additionalProperties: false })

export const List = <S extends TSchema>(item: S) =>
  Type.Object(
    {
      data: Type.Array(item),
      next_cursor: Type.Union([Type.String(), Type.Null()], {
        description: 'null on the last page.',
        examples: [null],
      }),
    },
    { additionalProperties: false },
  )

export const Problem = Type.Object(
  {
    path: Type.String({ description: 'The field, such as limits[0].max.', examples: ['limits[0].max'] }),
    message: Type.String({ examples: ['must be at least 1'] }),
  },
  { additionalProperties: false },
)
export type Problem = Static<typeof Problem>

/** Every error of the admin API (CONTRACT section 4). */
export const ErrorBody = Type.Object(
  {
    error: Type.Object({
      message: Type.String({ examples: ['name is missing'] }),
      type: Type.String({ examples: ['invalid_request_error'] }),
      code: Type.String({ examples: ['invalid_request'] }),
      param: Type.Union([Type.String(), Type.Null()], { examples: ['name'] }),
      details: Type.Optional(Type.Unknown({ description: 'For invalid_request: a list of { path, message }.' })),
    }),
  },
  { description: 'Why the request was refused.' },
)
