/**
 * Admin: the control plane's listener. API, its reference, health.
 */
import type { FastifyPluginAsync } from 'fastify'
import adminApi from '../plugins/admin/index.ts'
import type { AdminApiOptions } from '../plugins/admin/options.ts'
import errorHandler from '../plugins/error-handler.ts'
import health, { type HealthState } from '../plugins/health.ts'

export interface AdminOptions extends AdminApiOptions {
  readonly health: HealthState
}

const admin: FastifyPluginAsync<AdminOptions> = async function admin(app, { health: state, ...options }) {
  app.register(errorHandler)
  app.register(health, { state })
  app.register(adminApi, options)
}

export default admin
