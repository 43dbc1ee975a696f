/**
 * The simulated provider: a bare HTTP server that speaks three providers' formats, costs no money, and fails on request.
 *
 * It is what a first run talks to, what tests hold the gateway's books against, and the upstream of the benchmarks: hence no
 * framework, and no work per call that its answer does not need.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type Clock, systemClock } from '../units/clock.ts'
import type { SimServed, SimTotals } from './ledger.ts'
import type { SimSettings } from './settings.ts'
import { Simulation } from './simulation.ts'

export interface SimOptions extends Partial<SimSettings> {
  /** Address to listen on. Default `127.0.0.1`; the ledger is open to whoever can reach it. */
  host?: string
  /** Port; 0, the default, takes any free one. */
  port?: number
  /** How many calls the ledger lists, the newest; its sums go on. Default 10,000. */
  ledgerMax?: number
  /** Where times come from. Default: the system's clock. */
  clock?: Clock
}

export interface Sim {
  /** Such as `http://127.0.0.1:40123`; SDKs of OpenAI's format want `/v1` behind it. */
  readonly url: string
  readonly port: number
  /** The calls so far, oldest first; those still open go on changing. */
  ledger(): readonly SimServed[]
  /** Sums over all calls, also those the ledger no longer lists. */
  totals(): SimTotals
  /** Forgets all calls so far. */
  clear(): void
  /** Changes settings for the calls to come; throws on a bad value and changes nothing then. */
  configure(changes: Partial<SimSettings>): void
  /** Stops listening and breaks off what is being served. Calling it again does nothing. */
  close(): Promise<void>
}

/** Starts the simulated provider; rejects when it cannot listen or a setting is bad. */
export async function startSim(options: SimOptions = {}): Promise<Sim> {
  const { host = '127.0.0.1', port = 0, ledgerMax = 10_000, clock = systemClock, ...settings } = options
  const simulation = new Simulation(ledgerMax, clock)
  simulation.configure(settings)
  const server = createServer((request, response) => simulation.receive(request, response))
  // The gateway's pools keep their connections for minutes: closing one earlier would look like a failing provider.
  server.keepAliveTimeout = 120_000
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The simulated provider got no port.')

  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    port: address.port,
    ledger: () => simulation.ledger.list(),
    totals: () => simulation.ledger.totals(),
    clear: () => simulation.ledger.clear(),
    configure: (changes) => simulation.configure(changes),
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
