/**
 * Self-service: what a caller may ask about itself. Free of charge and open to a key that is over its limits.
 *
 * Routes in the gateway's scope, so auth has run; no endpoint, so nothing is held. Not wrapped: routes, and a hook (onResponse) of their own.
 */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { formatOfPath } from '../src/admission/error-body.ts'
import { presentOwnKey } from '../src/admission/own-key.ts'
import type { ApiFormat } from '../src/admission/request-facts.ts'
import { traceIdOf } from '../src/admission/trace.ts'
import type { Principal } from '../src/auth/principal.ts'
import { listModels } from '../src/providers/catalogue.ts'
import { findModel, listedModels, presentModel, presentModels } from '../src/providers/model-list.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

const selfService: FastifyPluginAsync = async function selfService(fastify) {
  const { store, ledger, clock, prices } = fastify.governance
  const readAll = ledger.readAll.bind(ledger)
  const priceOf = (name: string, model: string) => {
    const provider = store.providerByName(name)
    return provider === null ? null : (prices.priceOf(provider, model, clock.now())?.shown ?? null)
  }
  const modelsOf = (principal: Principal) =>
    listedModels(listModels(store, principal), (name) => store.providerByName(name) !== null, priceOf)

  // Their one log line; refusals have the error handler's.
  fastify.addHook('onResponse', (request, { statusCode: status }, done) => {
    const { principal, headers, routeOptions } = request
    const line = {
      decision: 'answered',
      status,
      ...principal?.ids,
      path: routeOptions.url,
      traceId: traceIdOf(headers),
    }
    if (status < 400) request.log.info(line, 'request answered')
    done()
  })

  fastify.get('/v1/key', async (request, reply) => {
    const own = presentOwnKey(principalOf(request), store, readAll, clock.now())
    if (own === null) throw new GatewayError({ code: 'key_missing', message: 'Send the key you are asking about.' })
    reply.header('cache-control', 'no-store')
    return own
  })

  fastify.get('/v1/models', async (request) =>
    presentModels([...modelsOf(principalOf(request)).values()], formatOf(request)),
  )

  // A wildcard, because names such as `openai/gpt-4o` have parts.
  const oneModel = (principal: Principal, name: string, format: ApiFormat): object => {
    const model = findModel(modelsOf(principal), name)
    if (model !== null) return presentModel(model, format)
    const message = 'There is no such model, or this key may not use it.'
    throw new GatewayError({ code: 'model_not_found', message, param: 'model' })
  }
  fastify.get<{ Params: { '*': string } }>('/v1/models/*', async (request) =>
    oneModel(principalOf(request), request.params['*'], formatOf(request)),
  )
  fastify.get('/v1beta/models', { config: { format: 'google' } }, async (request) =>
    presentModels([...modelsOf(principalOf(request)).values()], 'google'),
  )

  // A colon begins a method, which is another path.
  const google = { config: { format: 'google' } } as const
  fastify.get<{ Params: { name: string } }>('/v1beta/models/:name(^[^:]+$)', google, async (request) =>
    oneModel(principalOf(request), request.params.name, 'google'),
  )
}

export default selfService

/** One path serves three SDKs. */
function formatOf({ headers }: FastifyRequest): ApiFormat {
  return formatOfPath('/v1/models', headers)
}

function principalOf({ principal }: FastifyRequest): Principal {
  if (principal === null) throw new AdmissionOutOfOrder('self-service')
  return principal
}
