/**
 * Waiting room: who answers at the gateway's address while a start waits for its database, for as long as that takes. The process is up, it is
 * not ready, and whoever comes is asked to come back.
 */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import errorHandler from '../plugins/error-handler.ts'
import { GatewayError } from '../plugins/errors.ts'
import health from '../plugins/health.ts'
import type { Listener } from './config.ts'
import { serverOptions } from './listeners.ts'

const RETRY_AFTER_S = 1

export interface WaitingRoom {
  /** Where it listens: a port that was left open has been chosen. */
  readonly address: Listener
  /** Lets go of the address. Harmless when called twice. */
  close(): Promise<void>
}

export async function openWaitingRoom({ host, port }: Listener): Promise<WaitingRoom> {
  // Nobody is waited for: what is asked here has its answer at once.
  const app = Fastify({ ...serverOptions, forceCloseConnections: true })
  app.register(errorHandler)
  app.register(health, { state: { phase: 'starting', reasons: [] } })
  app.addHook('onRequest', async (_request, reply) => void reply.header('connection', 'close'))
  app.all('/*', {
    onRequest() {
      const message = 'This gateway is starting. Try again shortly.'
      throw new GatewayError({ code: 'overloaded', message, retryAfterS: RETRY_AFTER_S })
    },
    async handler() {},
  })
  await app.listen({ host, port })
  return {
    address: { host, port: (app.server.address() as AddressInfo).port },
    close: async () => void (await app.close()),
  }
}
