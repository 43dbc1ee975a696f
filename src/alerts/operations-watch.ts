/**
 * Operations watch: raises an alert when the books fall behind, and when facts end in quarantine. Once for each time that it happens.
 */
import type { Clock } from '../units/clock.ts'
import type { Notices } from './notices.ts'

/** What is looked at; the persister's state has it. */
export interface WatchedState {
  /** Wall ms of the last dump that succeeded; null before the first. */
  readonly lastDumpAt: number | null
  readonly lastError: string | null
  readonly quarantined: number
}

/** Six of the worker's passes in the default schedule: one that fails is nothing to wake somebody for. */
const LAG_MAX_MS = 60_000

export class OperationsWatch {
  readonly #notices: Pick<Notices, 'raise'>
  readonly #clock: Clock
  #quarantined: number
  #fineUntil: number
  #isLagging = false

  /** @param quarantined of how many facts in quarantine an earlier run has told */
  constructor(notices: Pick<Notices, 'raise'>, clock: Clock, quarantined: number) {
    this.#notices = notices
    this.#clock = clock
    this.#quarantined = quarantined
    this.#fineUntil = clock.elapsed()
  }

  look({ lastDumpAt, lastError, quarantined }: WatchedState): void {
    if (quarantined > this.#quarantined) {
      const added = quarantined - this.#quarantined
      const message = `${added} ${added === 1 ? 'fact' : 'facts'} could not be written to the database and went to quarantine; ${quarantined} lie there now.`
      this.#notices.raise('quarantine', message)
    }
    this.#quarantined = quarantined
    const elapsed = this.#clock.elapsed()
    if (lastError === null) {
      this.#fineUntil = elapsed
      this.#isLagging = false
    } else if (!this.#isLagging && elapsed - this.#fineUntil > LAG_MAX_MS) {
      this.#isLagging = true
      const since = lastDumpAt === null ? 'since the start' : `since ${new Date(lastDumpAt).toISOString()}`
      this.#notices.raise('dump_lag', `Usage has not been written to the database ${since}; it waits in the journal.`)
    }
  }
}
