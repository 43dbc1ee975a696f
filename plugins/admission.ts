/**
 * Admission: holds what the request may use on every limit of its chain, in one step, or refuses it.
 *
 * Before it refuses a request that would fit with fewer input tokens than its bytes suggest, it has them counted and asks once more; from
 * that second check to its hold nothing is awaited either.
 *
 * Hooks: onClose, to end the counting thread; preHandler, because the model is in the body. After the gates have registered what they
 * enforce; before the proxy.
 * Leaves behind: `request.admitted`, whose hold the usage tracker resolves. A dry run is answered here and goes no further.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { AdmissionRequest, Admitted } from '../src/admission/admission.ts'
import type { Result } from '../src/admission/decision.ts'
import { limitHeaders } from '../src/admission/headers.ts'
import { traceIdOf } from '../src/admission/trace.ts'
import { explainCounted, recounted } from '../src/tokens/near-limit.ts'
import { answerDryRun } from './dry-run.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What is held for the attempt in flight; null before admission and on routes that are not governed. */
    admitted: Admitted | null
  }
}

export default fp(
  async function admission(fastify) {
    const { admission, clock, counter, ledger, store } = fastify.governance

    fastify.decorateRequest('admitted', null)

    fastify.addHook('onClose', () => counter.close())

    // Called back without a promise where the first decision stands, which is nearly always.
    fastify.addHook('preHandler', (request, reply, done) => {
      if (request.routeOptions.config.endpoint == null) return done()
      const { principal, facts, route } = request
      if (principal === null || facts === null || route === null) throw new AdmissionOutOfOrder('admission')

      const trace = { readAt: request.readAt, traceId: traceIdOf(request.headers) }
      const wanted: AdmissionRequest = { requestId: request.bursarId, principal, facts, route, trace }
      if (facts.dryRun) {
        explainCounted(fastify.governance, wanted).then((explained) => answerDryRun(request, reply, explained), done)
        return
      }
      const decision = admission.admit(wanted)
      if (decision.ok) {
        request.admitted = decision.value
        return done()
      }
      admitCounted(request, reply, wanted, decision).then(() => done(), done)
    })

    /** Asks once more with the input counted, where that may help. Throws the refusal. */
    async function admitCounted(
      request: FastifyRequest,
      reply: FastifyReply,
      wanted: AdmissionRequest,
      first: Result<Admitted>,
    ): Promise<void> {
      const counted = await recounted(fastify.governance, wanted)
      const decision = counted === null ? first : admission.admit(counted)
      if (decision.ok) {
        request.admitted = decision.value
        return
      }
      const { principal, route } = wanted
      const [{ provider, model }] = route
      const chain = admission.chains.of(store, principal, provider.name, model)
      reply.headers(limitHeaders(chain, ledger, clock.now()))
      throw new GatewayError(decision.refusal)
    }
  },
  {
    name: 'admission',
    fastify: '5.x',
    dependencies: ['governance', 'auth', 'request-facts'],
    decorators: { fastify: ['governance'], request: ['bursarId', 'principal', 'facts', 'route'] },
  },
)
