/** Closers: what has been opened, closed in the reverse order; one that fails does not keep the others open. */
import type { Log } from './units/log.ts'

export class Closers {
  readonly #log: Log
  readonly #closers: (() => Promise<unknown>)[] = []
  #closing: Promise<void> | null = null

  constructor(log: Log) {
    this.#log = log
  }

  add(close: () => Promise<unknown>): void {
    this.#closers.push(close)
  }

  /** Closes everything, once. Throws the first thing that went wrong, after the rest has been closed. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = []
    for (const close of this.#closers.reverse()) {
      try {
        await close()
      } catch (error) {
        this.#log.error({ err: error }, 'something could not be closed')
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
