/**
 * The only place that reads the system's clocks. Everything else takes the time as an argument or asks a `Clock`.
 */

export interface Clock {
  /** Wall time in milliseconds since the epoch: windows, expiries, what people read. May step. */
  now(): number
  /** Monotonic milliseconds, the same in every thread of the process: latencies and deadlines. Never steps. */
  elapsed(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
}

/** A clock that moves only when told to, for tests and simulations. */
export class ManualClock implements Clock {
  #now: number
  #elapsed = 0

  constructor(now: number) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#elapsed
  }

  /** Lets `ms` pass on both clocks. */
  advance(ms: number): void {
    this.#now += ms
    this.#elapsed += ms
  }

  /** Sets the wall clock alone, as an administrator or a time server does. */
  step(now: number): void {
    this.#now = now
  }
}
