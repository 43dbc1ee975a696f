/**
 * Reserve: a file that only takes up room. When the disk is full it is given back, so that requests already forwarded can be settled.
 */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'

export class Reserve {
  readonly #path: string
  readonly #bytes: number

  constructor(path: string, bytes: number) {
    this.#path = path
    this.#bytes = bytes
  }

  /** Makes the file if it is not there; false when there is no room. */
  take(): boolean {
    try {
      if (existsSync(this.#path) && statSync(this.#path).size === this.#bytes) return true
      // Really written: a hole in a file reserves nothing.
      writeFileSync(this.#path, Buffer.alloc(this.#bytes), { mode: 0o600 })
      return true
    } catch {
      this.release()
      return false
    }
  }

  /** Gives the room back; false when there was nothing to give. */
  release(): boolean {
    if (!existsSync(this.#path)) return false
    try {
      rmSync(this.#path, { force: true })
      return true
    } catch {
      // A disk that has become read-only.
      return false
    }
  }
}
