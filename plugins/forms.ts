/**
 * Forms: takes in recordings and pictures (`multipart/form-data`), checked on their way into a file that nobody else can reach.
 *
 * Hooks: a content-type parser; onRequest and preValidation, so that the file goes with the connection, whatever happens. After auth: a
 * stranger fills no disk.
 * Leaves behind: `request.form`, on routes whose `config.form` says that they take one; everywhere else forms are refused.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { boundaryOf } from '../src/admission/multipart.ts'
import { Spool, type SpooledForm, TOO_LARGE } from '../src/uploads/spool.ts'
import { GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The form that was sent; null where none was. */
    form: SpooledForm | null
  }
  interface FastifyContextConfig {
    /** The route takes a form with files in it, and no JSON. */
    form?: boolean
  }
}

export interface FormsOptions {
  /** Where forms wait. Absent = one of its own, in the system's folder for temporary files. */
  spool?: Spool
}

export default fp<FormsOptions>(
  async function forms(fastify, options) {
    const { bodyLimitBytes } = fastify.governance.settings.server
    const spool = options.spool ?? new Spool({ bodyMaxBytes: bodyLimitBytes, log: fastify.log })

    fastify.decorateRequest('form', null)

    fastify.addHook('onRequest', (request, reply, done) => {
      if (request.routeOptions.config.form === true) reply.raw.once('close', () => request.form?.release())
      done()
    })

    fastify.addContentTypeParser('multipart/form-data', async (request: FastifyRequest, payload: IncomingMessage) => {
      if (request.routeOptions.config.form !== true) {
        const message = 'This route takes a body of type application/json.'
        throw new GatewayError({ code: 'unsupported_media_type', message })
      }
      // One that says itself that it is too large need not be taken in first.
      if (Number(request.headers['content-length']) > bodyLimitBytes) throw new GatewayError(TOO_LARGE)
      const boundary = boundaryOf(request.headers['content-type'] ?? '')
      const form = boundary.ok ? await taken(spool, payload, boundary.value) : boundary
      // The rest of a refused form is let run off, so that its sender gets to read why.
      if (!form.ok) payload.resume()
      if (!form.ok) throw new GatewayError(form.refusal)
      request.form = form.value
    })

    // A client may have left while its form was taken in: then 'close' is over.
    fastify.addHook('preValidation', (request, reply, done) => {
      if (reply.raw.destroyed) request.form?.release()
      done()
    })
  },
  {
    name: 'forms',
    fastify: '5.x',
    dependencies: ['governance', 'auth'],
    decorators: { fastify: ['governance'] },
  },
)

async function taken(spool: Spool, payload: IncomingMessage, boundary: string): ReturnType<Spool['take']> {
  try {
    return await spool.take(payload.iterator({ destroyOnReturn: false }), boundary)
  } catch (error) {
    if (payload.errored !== error) throw error
    return { ok: false, refusal: { code: 'invalid_request', message: 'The form was not sent to its end.' } }
  }
}
