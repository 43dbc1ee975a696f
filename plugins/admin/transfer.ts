/** Export and import of everything, as one document (U17). Both need role admin: the document holds the hashes of all keys. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@fastify/type-provider-typebox'
import { exported, imported } from '../../src/control/transfer.ts'
import { EXPORT_TYPE, ImportQuery, ImportView } from '../../src/schemas/transfer.ts'
import { GatewayError } from '../errors.ts'
import { actorOf } from './authentication.ts'
import type { AdminApiOptions } from './options.ts'
import { reads } from './responses.ts'

const tags = ['system']

const transfer: FastifyPluginAsyncTypebox<AdminApiOptions> = async function transfer(api, { control, secret, reload }) {
  api.get(
    '/export',
    {
      config: { needsAdmin: true },
      schema: {
        tags,
        summary: 'Everything that lasts, as one document',
        description:
          'Entities, keys by their hashes, what limits have used; not the single events. Credentials of providers stay encrypted with BURSAR_SECRET.',
        response: {
          ...reads(Type.Unknown()),
          200: { content: { [EXPORT_TYPE]: { schema: Type.String({ description: 'One row on each line.' }) } } },
        },
      },
      // The document has been written row by row; nothing is to be made of it here.
      serializerCompiler: () => (value: unknown) => String(value),
    },
    async (_request, reply) => reply.type(EXPORT_TYPE).send(Readable.from(exported(control.parts)) as never),
  )

  // Read as it comes: it may be larger than memory.
  api.addContentTypeParser(EXPORT_TYPE, (_request, payload, done) => done(null, payload))
  api.post(
    '/import',
    {
      config: { needsAdmin: true },
      schema: {
        tags,
        summary: 'Bring an exported document in',
        description: `The document as the body, of type ${EXPORT_TYPE}. All of it or nothing; what is there already takes the fields of the document, and keeps what it has used.`,
        querystring: ImportQuery,
        response: reads(ImportView),
      },
    },
    async (request) => {
      const { body } = request
      if (!(body instanceof Readable)) {
        const message = `This route takes a document of type ${EXPORT_TYPE}.`
        throw new GatewayError({ code: 'unsupported_media_type', message })
      }
      const { without_credentials: withoutCredentials = false } = request.query
      const counts = await imported(control, body, { actor: actorOf(request), secret, withoutCredentials })
      await reload()
      return counts
    },
  )
}

export default transfer
