/**
 * Clock watch: notices that the wall clock has stepped, by how much it has moved against the monotonic one. Windows cope with a step
 * (DESIGN section 5); people should know of it.
 */
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'

const STEP_MS = 5_000

export class ClockWatch {
  readonly #clock: Clock
  readonly #log: Log
  #offset: number
  #steps = 0

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
    this.#offset = clock.now() - clock.elapsed()
  }

  /** Steps of more than five seconds since the start. */
  get steps(): number {
    return this.#steps
  }

  look(): void {
    const offset = this.#clock.now() - this.#clock.elapsed()
    const stepMs = Math.round(offset - this.#offset)
    this.#offset = offset
    if (Math.abs(stepMs) <= STEP_MS) return
    this.#steps += 1
    this.#log.warn({ stepMs }, 'the wall clock has stepped')
  }
}
