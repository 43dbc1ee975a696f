/**
 * Presented keys: the hash of the key that a connection has sent last. A client sends the same one with each request, and hashing it is a third of
 * what knowing it again costs. The key stays in memory no longer than the connection, whose last request has it anyway.
 */
import { hashKey } from './virtual-key.ts'

export class PresentedKeys {
  readonly #byConnection = new WeakMap<object, { readonly key: string; readonly hash: string }>()

  hashOf(key: string, connection: object): string {
    const last = this.#byConnection.get(connection)
    if (last?.key === key) return last.hash
    const hash = hashKey(key)
    this.#byConnection.set(connection, { key, hash })
    return hash
  }
}
