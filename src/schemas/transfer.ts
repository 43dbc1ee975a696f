/** Export and import on the outside. */
import { type Static, Type } from '@sinclair/typebox'

/** The document is JSON; the type of its own says that it is read row by row, whatever its length. */
export const EXPORT_TYPE = 'application/vnd.bursar.export+json'

export const ImportQuery = Type.Object(
  {
    without_credentials: Type.Optional(
      Type.Boolean({ description: 'Leave the credentials of providers out.', default: false }),
    ),
  },
  { additionalProperties: false },
)

export const ImportView = Type.Record(Type.String(), Type.Integer(), {
  description: 'Rows of each table that were in the document.',
  examples: [{ customers: 1, teams: 2, users: 30, virtual_keys: 34, limits: 60 }],
})
export type ImportView = Static<typeof ImportView>
