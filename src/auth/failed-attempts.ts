/** Failed attempts: an address that keeps presenting wrong keys waits longer and longer for each answer. */

const FREE_ATTEMPTS = 20
const DELAY_MS = 50
const DELAY_MS_MAX = 1_000
const FORGOTTEN_AFTER_MS = 60_000
/** Bounded: strangers must not fill our memory. The oldest goes first. */
const ADDRESSES_MAX = 10_000

export class FailedAttempts {
  readonly #byAddress = new Map<string, { count: number; lastAt: number }>()

  /** Notes one more failure at `now` (ms) and says how many ms its answer should wait. */
  delayAfter(address: string, now: number): number {
    const known = this.#byAddress.get(address)
    const count = known === undefined || now - known.lastAt > FORGOTTEN_AFTER_MS ? 1 : known.count + 1
    this.#byAddress.delete(address)
    this.#byAddress.set(address, { count, lastAt: now })
    if (this.#byAddress.size > ADDRESSES_MAX) {
      const [oldest] = this.#byAddress.keys()
      if (oldest !== undefined) this.#byAddress.delete(oldest)
    }
    return count <= FREE_ATTEMPTS ? 0 : Math.min(DELAY_MS_MAX, DELAY_MS * (count - FREE_ATTEMPTS))
  }
}
