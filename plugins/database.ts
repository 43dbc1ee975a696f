/**
 * Database: shares the open database with the admin routes and the reports.
 *
 * Hook: onClose. It is opened before the server is built (nothing can be loaded without it) and shared by both listeners, so what closes
 * it is given by whoever opened it; registered first, it is closed last, after the persister's last dump.
 * Leaves behind: `fastify.database`.
 */
import fp from 'fastify-plugin'
import type { Database } from '../src/persist/database.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly database: Database
  }
}

export interface DatabaseOptions {
  readonly database: Database
  /** What to do when the server has closed; absent where another server that shares the database closes it. */
  readonly onClose?: () => Promise<void>
}

export default fp<DatabaseOptions>(
  async function database(fastify, { database: opened, onClose }) {
    fastify.decorate('database', opened)
    if (onClose !== undefined) fastify.addHook('onClose', () => onClose())
  },
  { name: 'database', fastify: '5.x' },
)
