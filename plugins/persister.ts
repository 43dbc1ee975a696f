/**
 * Persister: starts the worker with the server and ends it, with a last dump, when the server has closed.
 *
 * Hooks: onReady, when everything is loaded; onClose, before the database's, since it depends on that plugin.
 * Leaves behind: `fastify.persister`, whose state `/readyz` and `/api/status` show.
 */
import fp from 'fastify-plugin'
import type { Persister } from '../src/persist/persister.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly persister: Persister
  }
}

export interface PersisterPluginOptions {
  /** Made of the open books; two servers may share one. */
  readonly persister: Persister
}

export default fp<PersisterPluginOptions>(
  async function persister(fastify, { persister: worker }) {
    fastify.decorate('persister', worker)
    fastify.addHook('onReady', async () => worker.start())
    fastify.addHook('onClose', () => worker.close())
  },
  { name: 'persister', fastify: '5.x', dependencies: ['database', 'governance'] },
)
