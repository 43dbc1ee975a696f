/**
 * Authentication: who is at the admin API, and whether they may do this. Wrapped: its hook holds for every route of its scope.
 *
 * Hook: onRequest, so that a stranger's body is never read.
 * Leaves behind: `request.manager`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { FailedAttempts } from '../../src/auth/failed-attempts.ts'
import { outside } from '../../src/control/bounds.ts'
import type { Control } from '../../src/control/control.ts'
import type { Manager } from '../../src/control/management-keys.ts'
import { notFound } from '../../src/control/refused.ts'
import type { Actor } from '../../src/control/work.ts'
import { type BoundKind, isBelow } from '../../src/persist/repositories/bounds.ts'
import type { Access } from '../../src/schemas/open-api.ts'
import { isId } from '../../src/units/id.ts'
import { GatewayError } from '../errors.ts'
import type { AdminApiOptions } from './options.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who presented the management key; null before authentication. */
    manager: Manager | null
  }
  interface FastifyContextConfig {
    /** A route that changes nothing although its method says so: viewers may use it. */
    readOnly?: boolean
    /** A route that shows what viewers may not see although it only reads. */
    needsAdmin?: boolean
    /** What the route's `:id` is, where management keys that are bound to a customer may use it; absent = they may not. */
    bound?: BoundKind
  }
}

const READING = new Set(['GET', 'HEAD', 'OPTIONS'])

export default fp<AdminApiOptions>(
  async function authentication(fastify, { managementKeys, control }) {
    const { clock } = control.parts
    const failures = new FailedAttempts()
    fastify.decorateRequest('manager', null)

    fastify.addHook('onRequest', async (request) => {
      const presented = bearerOf(request)
      const manager = presented === null ? null : managementKeys.authenticate(presented, clock.now())
      if (manager === null) {
        // Who presents nothing guesses nothing.
        if (presented !== null) await pause(failures.delayAfter(request.ip, clock.now()))
        throw new GatewayError({
          code: 'unauthorized',
          message: 'Send a valid management key: Authorization: Bearer <key>.',
        })
      }
      if (manager.role === 'viewer' && accessOf(request.method, request.routeOptions.config).role !== 'viewer') {
        throw new GatewayError({ code: 'forbidden', message: 'This management key may only read.' })
      }
      request.manager = manager
      if (manager.customerId !== null) await refuseUnbound(control, request, manager.customerId)
    })
  },
  { name: 'admin-authentication', fastify: '5.x' },
)

/** What a route asks of a management key. */
export function accessOf(method: string, config: FastifyContextConfig = {}): Access {
  const reads = (READING.has(method) && config.needsAdmin !== true) || config.readOnly === true
  return { role: reads ? 'viewer' : 'admin', bound: config.bound !== undefined }
}

/** What lies elsewhere does not exist for a key that is bound to a customer. What is written is looked at again by the work itself. */
async function refuseUnbound(control: Control, request: FastifyRequest, customerId: string): Promise<void> {
  const { bound } = request.routeOptions.config
  if (bound === undefined) throw outside()
  const { id } = request.params as { id?: string }
  if (id === undefined || !isId(id)) return
  if (!(await control.read((db) => isBelow(db, bound, id, customerId)))) throw notFound(bound.replace('_', ' '), id)
}

function bearerOf({ headers }: FastifyRequest): string | null {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null
}

/** Who makes a change, for the audit log. */
export function actorOf({ manager, ip }: FastifyRequest): Actor {
  return {
    id: manager?.id ?? null,
    name: manager?.name ?? 'unknown',
    address: ip,
    managedBy: 'api',
    customerId: manager?.customerId ?? null,
  }
}
