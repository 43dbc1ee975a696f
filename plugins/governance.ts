/**
 * Governance: gives every plugin of the flow the one store, ledger and admission they share. First in the flow, no hook of its own.
 *
 * Leaves behind: `fastify.governance`.
 */
import fp from 'fastify-plugin'
import type { Governance } from '../src/governance.ts'

declare module 'fastify' {
  interface FastifyInstance {
    governance: Governance
  }
}

export interface GovernanceOptions {
  /** Made by `createGovernance`; the control plane and several gateways may share it. */
  governance: Governance
}

export default fp<GovernanceOptions>(
  async function governance(fastify, options) {
    fastify.decorate('governance', options.governance)
  },
  { name: 'governance', fastify: '5.x' },
)
