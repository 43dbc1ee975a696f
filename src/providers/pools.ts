/**
 * Pools: one pool of kept-alive connections per origin. Origins come from providers, which only admins make.
 */
import { type Dispatcher, Pool } from 'undici'

export interface PoolOptions {
  readonly connectTimeoutMs: number
  /** Most connections to one origin; null = as many as there are calls. */
  readonly connectionsMax: number | null
  /** For tests. */
  readonly renewEveryMs?: number
}

/**
 * What is read ahead of a provider's answer while a slow client holds it up: nothing. Even one byte would be the 64 KB of a whole read, for
 * every such client; asking for each read costs a stream of small pieces about 0.5 µs each.
 */
const READ_AHEAD_BYTES = 0

/**
 * A pool keeps an object for each connection that it has ever needed at once, so after a rush it is replaced. (undici's `clientTtl` does that
 * too, and asks the clock for each of them with every call.)
 */
const RENEW_EVERY_MS = 300_000

export class Pools {
  readonly #options: PoolOptions
  readonly #pools = new Map<string, Pool>()
  /** Replaced, with calls of theirs still in flight. */
  readonly #replaced = new Set<Pool>()
  readonly #renewal: NodeJS.Timeout
  #closing = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#renewal = setInterval(() => this.#renew(), options.renewEveryMs ?? RENEW_EVERY_MS).unref()
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
    clearInterval(this.#renewal)
    const pools = [...this.#pools.values(), ...this.#replaced]
    // One that has been told before, as those replaced have, says again when it is.
    const closed = Promise.all(pools.map((pool) => (pool.destroyed ? undefined : pool.close())))
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

  /** Calls to come get new pools; those in flight end in theirs. */
  #renew(): void {
    // A bounded pool stays: beside its successor it would go over the bound.
    if (this.#options.connectionsMax !== null) return
    for (const [origin, pool] of this.#pools) {
      this.#pools.delete(origin)
      this.#replaced.add(pool)
      void pool.close().finally(() => this.#replaced.delete(pool))
    }
  }
}
