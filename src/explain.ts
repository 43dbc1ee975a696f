/** Explain: what an admin asks about a key's request, answered as the key's own dry run would be (CONTRACT sections 6 and 8). */
import { GatewayError } from '../plugins/errors.ts'
import { endpointOfNativePath, endpointOfPath } from './admission/endpoints.ts'
import { type Explanation, explainRefusal } from './admission/explanation.ts'
import { readFacts } from './admission/read-facts.ts'
import { firstPartOf } from './admission/target.ts'
import { refusalOfPrincipal } from './auth/authenticate.ts'
import type { Governance } from './governance.ts'
import { route } from './providers/routing.ts'
import type { ExplainRequest } from './schemas/reports.ts'
import { explainCounted } from './tokens/near-limit.ts'
import { newId } from './units/id.ts'

/** Throws `GatewayError` for a key or a path that does not exist. */
export async function explainFor(governance: Governance, asked: ExplainRequest): Promise<Explanation> {
  const { store, settings, prices, resting, clock } = governance
  const principal = store.principalOfKey(asked.virtual_key_id)
  if (principal === null) throw new GatewayError({ code: 'not_found', message: 'There is no such virtual key.' })
  const now = clock.now()
  const refused = refusalOfPrincipal(principal, now)
  if (refused !== null && !refused.ok) return explainRefusal(refused.refusal)
  const provider = firstPartOf(asked.path)
  const underName = store.providerByName(provider) !== null
  const native = underName ? endpointOfNativePath(asked.path.slice(1 + provider.length)) : null
  const target = endpointOfPath(asked.path) ?? native
  if (target === null)
    throw new GatewayError({ code: 'invalid_request', message: 'This path is not governed.', param: 'path' })
  const body = Buffer.from(JSON.stringify(asked.body))
  const named = target === native && native !== null ? { native: { provider, classic: native.classic } } : {}
  const facts = readFacts({ ...target, ...named, query: '', headers: {}, body })
  if (!facts.ok) return explainRefusal(facts.refusal)
  const routed = route(principal, facts.value, store, {
    aliases: settings.aliases,
    random: Math.random,
    prices,
    resting,
    now,
  })
  if (!routed.ok) return explainRefusal(routed.refusal)
  const request = { requestId: newId(), principal, facts: facts.value, route: routed.value }
  return explainCounted(governance, request)
}
