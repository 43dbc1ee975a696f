/**
 * Budget resolver: the gate for cost, on every level of user → virtual key → team → customer and on provider and model. Admission holds
 * on the union of all gates in one step; without this plugin cost is counted, not enforced.
 */
import fp from 'fastify-plugin'
import { BUDGET_RESOLVER } from '../src/admission/gate.ts'

export default fp(
  async function budgetResolver(fastify) {
    fastify.governance.admission.enforce(BUDGET_RESOLVER)
  },
  { name: 'budget-resolver', fastify: '5.x', dependencies: ['governance'], decorators: { fastify: ['governance'] } },
)
