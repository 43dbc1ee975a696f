/**
 * Pools: one pool of kept-alive connections per origin. Origins come from providers, which only admins make.
 */
import { type Dispatcher, Pool } from 'undici'

export interface PoolOptions {
  readonly connectTimeoutMs: number
  /** Most connections to one origin; null = as many as there are calls. */
  readonly connectionsMax: number | null
}

/**
 * What is read ahead of a provider's answer while a slow client holds it up: nothing. Even one byte would be the 64 KB of a whole read, for
 * every such client; asking for each read costs a stream of small pieces about 0.5 µs each.
 */
const READ_AHEAD_BYTES = 0

/** A pool keeps no connection object for longer than this after its last use. */
const CLIENT_TTL_MS = 300_000

export class Pools {
  readonly #options: PoolOptions
  readonly #pools = new Map<string, Pool>()
  #closing = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  of(origin: string): Dispatcher {
    let pool = this.#pools.get(origin)
    if (pool === undefined) {
      const { connectTimeoutMs, connectionsMax } = this.#options
      // Goes on to net.connect, which undici's types do not know.
      const connect = { timeout: connectTimeoutMs, highWaterMark: READ_AHEAD_BYTES }
      pool = new Pool(origin, {
        connections: connectionsMax,
        connect,
        clientTtl: CLIENT_TTL_MS,
        pipelining: 1,
        // One connection a call: a cut connection then is one cut call.
        allowH2: false,
      })
      this.#pools.set(origin, pool)
      if (this.#closing) void pool.close()
    }
    return pool
  }

  /** Takes no more calls; waits for those in flight, at most so long, then breaks them off. Resolves when all have ended. */
  async close(withinMs: number): Promise<void> {
    this.#closing = true
    const pools = [...this.#pools.values()]
    const closed = Promise.all(pools.map((pool) => (pool.closed ? undefined : pool.close())))
    const { promise: destroyed, resolve } = Promise.withResolvers<unknown>()
    const late = setTimeout(() => {
      resolve(Promise.all(pools.map((pool) => (pool.destroyed ? undefined : pool.destroy()))))
    }, withinMs)
    try {
      // A pool with a queued call forgets that it was closing once it is destroyed.
      await Promise.race([closed, destroyed])
    } finally {
      clearTimeout(late)
    }
  }
}
