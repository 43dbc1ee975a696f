/**
 * After settlement: tells the plugins of platform teams of every attempt that is in the books.
 *
 * Hook: onClose, to let them hear the last ones. After usage-tracker, before proxy, whose close makes those.
 */
import fp from 'fastify-plugin'
import type { Extensions } from '../src/extension/extensions.ts'

export interface AfterSettlementOptions {
  readonly extensions: Extensions
}

export default fp<AfterSettlementOptions>(
  async function afterSettlement(fastify, { extensions }) {
    if (!extensions.tells) return
    fastify.usageTracker.onEvent((event) => extensions.tell(event))
    fastify.addHook('onClose', () => extensions.settled())
  },
  {
    name: 'after-settlement',
    fastify: '5.x',
    dependencies: ['usage-tracker'],
    decorators: { fastify: ['usageTracker'] },
  },
)
