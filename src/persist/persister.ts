/**
 * Persister: the worker. Every ten seconds it rolls what has expired, then dumps what has changed (T13); never twice at once (T14).
 *
 * It is an accelerator, not a correctness device: an expired window is expired for every reader before this has run, and every fact is
 * in the journal before it gets here. So any error waits for the next pass, and a database that is away costs nothing but that.
 */
import { Cron } from 'croner'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import { type Database, isUnreachable } from './database.ts'
import type { Dump } from './dump.ts'
import type { Journal } from './journal.ts'
import type { Quarantine } from './quarantine.ts'

/** Something to do on each pass before the dump, such as rolling limits. `now` in ms; a promise is waited for. */
export interface Step {
  readonly name: string
  readonly run: (now: number) => unknown
}

export interface PersisterOptions {
  readonly database: Pick<Database, 'ping' | 'breakConnections'>
  readonly journal: Journal
  readonly dump: Pick<Dump, 'run' | 'applied'>
  readonly quarantine: Pick<Quarantine, 'count'>
  readonly clock: Clock
  readonly log: Log
  /** Cron expression with seconds. Default every ten. */
  readonly schedule?: string
  /** In the order in which they run. */
  readonly steps?: readonly Step[]
  /** A pass begins at once when so many facts wait. Default 5,000. */
  readonly factsMax?: number
  /** A pass that takes longer is reported. Default 5 s. */
  readonly slowMs?: number
  /** A database that has not answered for so long has its connections cut. Default 60 s. */
  readonly silentMs?: number
}

/** For `/readyz` and `/api/status`. */
export interface PersisterState {
  readonly journalLagBytes: number
  readonly factsWaiting: number
  /** Milliseconds since the epoch; null before the first dump that has succeeded. */
  readonly lastDumpAt: number | null
  /** Since then; before the first, since the start, which has brought everything into the books. */
  readonly dumpLagMs: number
  readonly lastDumpMs: number | null
  readonly lastError: string | null
  readonly quarantined: number
  readonly databaseAway: boolean
  /** False while the journal refuses new work. */
  readonly journalAccepting: boolean
}

export const DEFAULT_SCHEDULE = '*/10 * * * * *'
const BACK_OFF_MS_MIN = 1_000
const BACK_OFF_MS_MAX = 60_000

export class Persister {
  readonly #options: Required<PersisterOptions>
  #job: Cron | null = null
  #pass: Promise<void> | null = null
  #again = false
  #closing: Promise<void> | null = null
  #factsWaiting = 0
  #failedSince: number | null = null
  #backOffMs = 0
  /** Monotonic ms. */
  #retryAt = 0
  #away = false
  #lastDumpAt: number | null = null
  /** Monotonic ms. */
  #upToDateAt: number
  #lastDumpMs: number | null = null
  #lastError: string | null = null

  constructor(options: PersisterOptions) {
    this.#options = {
      schedule: DEFAULT_SCHEDULE,
      steps: [],
      factsMax: 5_000,
      slowMs: 5_000,
      silentMs: 60_000,
      ...options,
    }
    this.#upToDateAt = options.clock.elapsed()
  }

  get state(): PersisterState {
    const { journal, dump, quarantine, clock } = this.#options
    return {
      journalLagBytes: journal.end - (dump.applied ?? 0),
      factsWaiting: this.#factsWaiting,
      lastDumpAt: this.#lastDumpAt,
      dumpLagMs: clock.elapsed() - this.#upToDateAt,
      lastDumpMs: this.#lastDumpMs,
      lastError: this.#lastError,
      quarantined: quarantine.count,
      databaseAway: this.#away,
      journalAccepting: journal.accepting,
    }
  }

  /** Begins the schedule; a second call changes nothing. Throws croner's error when the expression cannot be read. */
  start(): void {
    if (this.#job !== null) return
    const { schedule, journal, log } = this.#options
    // croner's own protection and error net; `#pass` protects from the passes that it did not start.
    this.#job = new Cron(
      schedule,
      { protect: () => this.#reportOverlap(), catch: (error) => log.error({ err: error }, 'worker failed') },
      () => (this.#pass === null ? this.run() : this.#reportOverlap()),
    )
    journal.onAppend = ({ t }) => {
      if (t === 'hold') return
      this.#factsWaiting += 1
      // Somebody was shut out: the books should not lag behind that, since an admin may look or edit next.
      if (t === 'disable' || this.#factsWaiting >= this.#options.factsMax) this.#soon()
    }
  }

  /** One pass now, or the one that is running. Does not throw: what goes wrong is logged, kept in the state, and tried again. */
  run(): Promise<void> {
    this.#pass ??= this.#runPass().finally(() => {
      this.#pass = null
      if (this.#again) this.#soon()
    })
    return this.#pass
  }

  /** Ends the schedule, waits for the pass that is running, and dumps once more. A second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { journal, dump, log } = this.#options
    this.#job?.stop()
    await this.#pass
    // Not waited for when the disk takes nothing: what is not written can not be dumped either.
    if (journal.failure === null) await new Promise<void>((done) => journal.flushed(done))
    this.#retryAt = 0
    await this.run()
    journal.onAppend = null
    const lagBytes = journal.end - (dump.applied ?? 0)
    if (lagBytes > 0) log.warn({ lagBytes }, 'not everything could be dumped: the next start goes on from the journal')
  }

  #soon(): void {
    if (this.#pass !== null) this.#again = true
    else if (this.#closing === null && this.#options.clock.elapsed() >= this.#retryAt)
      setImmediate(() => void this.run())
  }

  #reportOverlap(): void {
    this.#options.log.warn({}, 'worker is still busy with the last pass, skipping this one')
  }

  async #runPass(): Promise<void> {
    const { clock, log, steps, slowMs } = this.#options
    const startedAt = clock.elapsed()
    this.#again = false
    for (const { name, run } of steps) {
      try {
        await run(clock.now())
      } catch (error) {
        log.error({ err: error, step: name }, 'a step of the worker failed')
      }
    }
    if (clock.elapsed() >= this.#retryAt) await this.#dump()
    const tookMs = clock.elapsed() - startedAt
    if (tookMs > slowMs) log.warn({ tookMs }, 'worker took long')
  }

  async #dump(): Promise<void> {
    const { clock, dump, database, silentMs } = this.#options
    const startedAt = clock.elapsed()
    const waiting = this.#factsWaiting
    const silence = setTimeout(() => database.breakConnections(), silentMs).unref()
    try {
      // Also when there is nothing to write: whether the database is there is asked on every pass.
      await database.ping()
      await dump.run()
      this.#factsWaiting -= waiting
      this.#lastDumpAt = clock.now()
      this.#upToDateAt = clock.elapsed()
      this.#lastDumpMs = this.#upToDateAt - startedAt
      this.#succeeded()
    } catch (error) {
      this.#failed(error)
    } finally {
      clearTimeout(silence)
    }
  }

  #succeeded(): void {
    if (this.#failedSince !== null) {
      this.#options.log.info({ since: new Date(this.#failedSince).toISOString() }, 'dump works again')
    }
    this.#failedSince = null
    this.#lastError = null
    this.#away = false
    this.#backOffMs = 0
    this.#retryAt = 0
  }

  #failed(error: unknown): void {
    const { clock, log } = this.#options
    const message = error instanceof Error ? error.message : String(error)
    // Once for each thing that is wrong, not once for each try.
    if (this.#lastError !== message) log.warn({ err: error, step: 'dump' }, 'dump failed, trying again')
    this.#failedSince ??= clock.now()
    this.#lastError = message
    this.#away = isUnreachable(error)
    this.#backOffMs = Math.min(Math.max(this.#backOffMs * 2, BACK_OFF_MS_MIN), BACK_OFF_MS_MAX)
    this.#retryAt = clock.elapsed() + this.#backOffMs
  }
}
