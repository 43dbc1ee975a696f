/**
 * The one lock of the meters: a word of shared memory, for critical sections of a microsecond.
 *
 * A thread that finds it taken spins for about as long as such a section lasts, then sleeps in short turns: on fewer cores than threads,
 * spinning alone would burn the very core the owner needs. Nobody is woken, so releasing costs one store. A thread that ends inside
 * a section leaves it locked; whoever runs the threads ends the process then, and the journal recovers (DESIGN section 7).
 */
const SPINS = 200
const WAIT_MS = 0.05

export class Lock {
  readonly #word: Int32Array

  /** @param word one 32-bit word, zero at first, shared by all threads */
  constructor(word: Int32Array) {
    this.#word = word
  }

  /** Waits until nobody else is inside. */
  acquire(): void {
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(this.#word, 0, 0, 1) === 0) return
    }
    while (Atomics.compareExchange(this.#word, 0, 0, 1) !== 0) Atomics.wait(this.#word, 0, 1, WAIT_MS)
  }

  release(): void {
    Atomics.store(this.#word, 0, 0)
  }
}
