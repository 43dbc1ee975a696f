/**
 * Before admission: asks the plugins of platform teams whether a request may go on, and registers whatever else they bring.
 *
 * Hook: preHandler, which admission's follows: from its check to its hold nothing is awaited. Without plugins there is no hook.
 * Leaves behind: their tags in `request.facts`. A dry run that is refused is answered here.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { explainRefusal } from '../src/admission/explanation.ts'
import type { PluginDefinition } from '../src/define-plugin.ts'
import type { Extensions } from '../src/extension/extensions.ts'
import { answerDryRun } from './dry-run.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

export interface BeforeAdmissionOptions {
  readonly extensions: Extensions
  /** What they bring besides hooks, and under which name. */
  readonly plugins?: readonly Registered[]
}

interface Registered {
  readonly hooks: { readonly name: string }
  readonly options: Readonly<Record<string, unknown>>
  readonly register: NonNullable<PluginDefinition['register']> | null
}

export default fp<BeforeAdmissionOptions>(
  async function beforeAdmission(fastify, { extensions, plugins = [] }) {
    const { clock } = fastify.governance

    for (const { hooks, options, register } of plugins) {
      if (register === null) continue
      try {
        await fastify.register(register, options)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        throw new Error(`plugin "${hooks.name}" could not be registered: ${message}`, { cause: error })
      }
    }

    if (!extensions.asks) return
    fastify.addHook('preHandler', async (request: FastifyRequest, reply: FastifyReply) => {
      const { endpoint } = request.routeOptions.config
      if (endpoint == null) return
      const { principal, facts, route, bursarId: requestId } = request
      if (principal === null || facts === null || route === null) throw new AdmissionOutOfOrder('before-admission')
      const { key, user, team, customer } = principal
      const answer = await extensions.ask({
        requestId,
        endpoint,
        format: facts.format,
        model: facts.requestedModel,
        providers: [...new Set(route.map(({ provider }) => provider.name))],
        stream: facts.stream,
        dryRun: facts.dryRun,
        tags: facts.tags,
        virtualKey: known(key),
        user: known(user),
        team: known(team),
        customer: known(customer),
        now: clock.now(),
      })
      if (answer.ok) {
        if (answer.value !== facts.tags) request.facts = { ...facts, tags: answer.value }
        return
      }
      if (facts.dryRun) return answerDryRun(request, reply, explainRefusal(answer.refusal))
      throw new GatewayError(answer.refusal)
    })
  },
  {
    name: 'before-admission',
    fastify: '5.x',
    dependencies: ['governance', 'auth', 'request-facts'],
    decorators: { fastify: ['governance'], request: ['bursarId', 'principal', 'facts', 'route'] },
  },
)

/** What a plugin may know of an entity: no hash of a key, no limits. */
function known<T extends { id: string; name: string; metadata: unknown }>(
  entity: T | null,
): Pick<T, 'id' | 'name' | 'metadata'> | null {
  return entity === null ? null : { id: entity.id, name: entity.name, metadata: entity.metadata }
}
