/**
 * Disk sync: when what has been written is forced to the disk (`fdatasync`), always off the event loop.
 *
 * `always`: a write counts as done once it is on the disk; writes that come while one sync runs share the next. A number: every so many
 * ms, so a power cut loses at most that. `never`: the operating system decides. A kill of the process loses nothing in any mode.
 */
import { close, fdatasync } from 'node:fs'

export type SyncPolicy = 'always' | 'never' | number

export interface DiskSyncOptions {
  readonly policy: SyncPolicy
  /** Told when a sync fails, and again with null when one succeeds after that. */
  readonly onFailure: (error: Error | null) => void
  readonly sync?: (file: number, done: (error: Error | null) => void) => void
}

type Callback = () => void

export class DiskSync {
  readonly #policy: SyncPolicy
  readonly #onFailure: (error: Error | null) => void
  readonly #sync: (file: number, done: (error: Error | null) => void) => void
  #dirty = new Set<number>()
  #retired = new Set<number>()
  #waiting: Callback[] = []
  #running = false
  #failed = false
  #timer: NodeJS.Timeout | null = null
  #idle: Callback[] = []

  constructor({ policy, onFailure, sync = fdatasync }: DiskSyncOptions) {
    this.#policy = policy
    this.#onFailure = onFailure
    this.#sync = sync
  }

  /** Something was written to `file`; calls back when that counts as done. */
  written(file: number, callbacks: readonly Callback[]): void {
    if (this.#policy !== 'never') this.#dirty.add(file)
    if (this.#policy !== 'always') {
      for (const callback of callbacks) callback()
      if (typeof this.#policy === 'number') this.#timer ??= setTimeout(() => this.#run(), this.#policy).unref()
      return
    }
    this.#waiting.push(...callbacks)
    this.#run()
  }

  /** Nothing more will be written to `file`: it is synced, unless the policy is never, and closed. */
  retire(file: number): void {
    if (this.#policy !== 'never') this.#dirty.add(file)
    this.#retired.add(file)
    this.#run()
  }

  /** Calls back when everything written is synced and every retired file closed. */
  finish(done: Callback): void {
    this.#idle.push(done)
    this.#run()
  }

  #run(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#running) return
    const files = [...this.#dirty]
    const retired = [...this.#retired]
    const callbacks = this.#waiting
    this.#dirty = new Set()
    this.#retired = new Set()
    this.#waiting = []
    this.#running = true
    let left = files.length
    let failure: Error | null = null
    if (left === 0) this.#ended(retired, callbacks, null)
    for (const file of files) {
      this.#sync(file, (error) => {
        failure ??= error
        left -= 1
        if (left === 0) this.#ended(retired, callbacks, failure)
      })
    }
  }

  #ended(retired: readonly number[], callbacks: readonly Callback[], failure: Error | null): void {
    for (const file of retired) close(file, () => {})
    if (failure !== null || this.#failed) this.#onFailure(failure)
    this.#failed = failure !== null
    // After a failed sync too: the data is with the operating system, no later sync would tell more, and clients wait.
    for (const callback of callbacks) callback()
    this.#running = false
    const more = this.#waiting.length > 0 || this.#retired.size > 0 || (this.#idle.length > 0 && this.#dirty.size > 0)
    if (more) this.#run()
    else for (const done of this.#idle.splice(0)) done()
  }
}
