/** Waiting for a condition, never for a time. */
import { setTimeout as delay } from 'node:timers/promises'

const PAUSE_MS = 25

/** Repeats `look` until it does not throw, and gives what it returned; after `withinMs` the last error stands. */
export async function eventually<T>(look: () => T | Promise<T>, withinMs = 15_000): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await look()
    } catch (error) {
      if (performance.now() >= deadline) throw error
    }
    await delay(PAUSE_MS)
  }
}
