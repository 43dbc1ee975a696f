/**
 * Admin API: the control plane over HTTP (CONTRACT section 8). Not wrapped: its hooks, its validator and its key are its own.
 *
 * Register it after `error-handler`, which renders what is thrown here. Everything below `/api` needs a management key, except the
 * description of the API itself.
 */
import type { FastifyPluginAsync } from 'fastify'
import { refusalOfError } from '../../src/admission/error-refusal.ts'
import { ControlError, invalid } from '../../src/control/refused.ts'
import { projectedJson } from '../../src/schemas/projection.ts'
import { check, type RequestPart } from '../../src/schemas/validator.ts'
import { GatewayError } from '../errors.ts'
import authentication from './authentication.ts'
import customers from './customers.ts'
import documentation from './documentation.ts'
import limits from './limits.ts'
import managementKeys from './management-keys.ts'
import metrics from './metrics.ts'
import type { AdminApiOptions } from './options.ts'
import prices from './prices.ts'
import providers from './providers.ts'
import reports from './reports.ts'
import system from './system.ts'
import transfer from './transfer.ts'
import userActions from './user-actions.ts'
import users from './users.ts'
import virtualKeys from './virtual-keys.ts'

const adminApi: FastifyPluginAsync<AdminApiOptions> = async function adminApi(fastify, options) {
  fastify.setValidatorCompiler(({ schema, httpPart }) => (given: unknown) => {
    const checked = check(schema as never, (httpPart ?? 'body') as RequestPart, given)
    return checked.ok ? { value: checked.value } : { error: new GatewayError(invalid(checked.problems).refusal) }
  })

  // Many clients announce JSON for actions that carry none; where a body is needed the schema misses it.
  const parseJson = fastify.getDefaultJsonParser('error', 'error')
  // Text is no body of any route here: 415 says so better than a complaint about its fields.
  fastify.removeContentTypeParser(['application/json', 'text/plain'])
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) =>
    body === '' ? done(null, undefined) : parseJson(request, body.toString(), done),
  )
  fastify.setSerializerCompiler(
    ({ schema }) =>
      (value: unknown) =>
        projectedJson(schema as never, value),
  )

  // The core's refusals become the errors that the error handler above renders.
  fastify.setErrorHandler((error) => {
    if (error instanceof GatewayError) throw error
    if (error instanceof ControlError) throw new GatewayError(error.refusal)
    // A body that could not even be read has a list of problems like every other.
    const refusal = refusalOfError(error, '')
    if (refusal.code !== 'invalid_request') throw error
    throw new GatewayError({ ...refusal, details: [{ path: '', message: refusal.message }] })
  })

  fastify.register(documentation)
  fastify.register(metrics, options)
  fastify.register(
    async (api) => {
      api.register(authentication, options)
      const resources = [customers, users, userActions, virtualKeys, limits, providers, prices, managementKeys]
      for (const group of [...resources, reports, system, transfer]) api.register(group, options)
    },
    { prefix: '/api' },
  )
}

export default adminApi
