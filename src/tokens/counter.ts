/**
 * Counter: the precise number of tokens of a request that is near a limit, from a thread of its own.
 *
 * It never stands in the way: a queue that is full, a body that takes too long, a thread that has crashed all mean "not counted", and the
 * first estimate stands. The thread starts when it is first needed (some 125 ms and 62 MB).
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { TextCount } from '../admission/estimate.ts'
import type { RequestFacts } from '../admission/request-facts.ts'
import type { Clock } from '../units/clock.ts'
import type { Log } from '../units/log.ts'
import type { CountRequest, FromCounting } from './worker.ts'

export interface TokenCounterOptions {
  readonly clock: Clock
  readonly log: Log
  /** How long a request waits for its count, in ms, not counting the start of the thread. */
  readonly timeLimitMs?: number
  /** How many requests may wait for the thread. */
  readonly queueMax?: number
  /** The thread's program, for tests. */
  readonly program?: URL
}

type Countable = Pick<RequestFacts, 'format' | 'endpoint' | 'body' | 'textBytes'>

interface Job {
  readonly id: number
  readonly facts: Countable
  deadline: number
  timer: NodeJS.Timeout
  readonly resolve: (count: TextCount | null) => void
}

/** Longer texts are not counted within any time limit that a caller would wait. */
const TEXT_BYTES_MAX = 4 * 1_024 * 1_024
/** The thread looks at the clock every 2 ms once it has parsed a body: one that is so late has hung. */
const HUNG_AFTER_MS = 5_000
/** Some 125 ms on an idle machine: nobody waits longer than this for the thread to start. */
const START_MAX_MS = 3_000
/** Whatever crashed the thread, or keeps it from starting, may be on its way again. */
const REST_MS = 5_000
const HEAP_MAX_MB = 512

export class TokenCounter {
  readonly #options: Required<TokenCounterOptions>
  readonly #waiting = new Set<Job>()
  #running: Job | null = null
  #thread: Worker | null = null
  #ready = false
  #jobs = 0
  #crashes = 0
  #restUntil = Number.NEGATIVE_INFINITY

  constructor(options: TokenCounterOptions) {
    const program = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)
    this.#options = { timeLimitMs: 1_000, queueMax: 16, program, ...options }
  }

  /** The tokens of a request's texts; null where they could not be counted. Never rejects. */
  count(facts: Countable): Promise<TextCount | null> {
    const { clock, queueMax, timeLimitMs } = this.#options
    const now = clock.elapsed()
    if (facts.textBytes > TEXT_BYTES_MAX || this.#waiting.size >= queueMax || now < this.#restUntil) {
      return Promise.resolve(null)
    }
    return new Promise((resolve) => {
      this.#jobs += 1
      const limitMs = this.#ready ? timeLimitMs : START_MAX_MS
      const timer = setTimeout(() => this.#timeUp(job), limitMs)
      const job: Job = { id: this.#jobs, facts, deadline: now + limitMs, timer, resolve }
      this.#waiting.add(job)
      this.#thread ??= this.#start()
      this.#next()
    })
  }

  /** Ends the thread; whoever waits is not counted. A later call would start it again. */
  async close(): Promise<void> {
    const thread = this.#thread
    this.#stopped()
    await thread?.terminate()
  }

  #next(): void {
    const [job] = this.#waiting
    if (!this.#ready || this.#thread === null || this.#running !== null || job === undefined) return
    this.#waiting.delete(job)
    this.#running = job
    const { format, endpoint, body } = job.facts
    // A copy of exactly these bytes, handed over: the request goes on with its own.
    const copy = new Uint8Array(body)
    const request: CountRequest = { id: job.id, format, endpoint, body: copy, deadline: job.deadline }
    this.#thread.postMessage(request, [copy.buffer])
  }

  #start(): Worker {
    const resourceLimits = { maxOldGenerationSizeMb: HEAP_MAX_MB }
    const thread = new Worker(this.#options.program, { execArgv: [], resourceLimits })
    // A process that has nothing else to do ends.
    thread.unref()
    let cause: unknown = null
    thread.on('message', (message: FromCounting) => {
      const job = this.#running
      if (this.#thread !== thread) return
      if (message === 'ready') this.#started()
      else if (job?.id === message.id) {
        this.#running = null
        finish(job, message.count)
      }
      this.#next()
    })
    thread.on('error', (error) => {
      cause = error
    })
    thread.once('exit', () => {
      if (this.#thread !== thread) return
      this.#crashes += 1
      this.#restUntil = this.#options.clock.elapsed() + REST_MS
      this.#stopped()
      const fields = { err: cause, crashes: this.#crashes }
      this.#options.log.warn(fields, 'the counting of tokens crashed; first estimates stand until it is started again')
    })
    return thread
  }

  /** From now on the time limit counts. */
  #started(): void {
    this.#ready = true
    this.#restUntil = Number.NEGATIVE_INFINITY
    const { clock, timeLimitMs } = this.#options
    for (const job of this.#waiting) {
      clearTimeout(job.timer)
      job.deadline = clock.elapsed() + timeLimitMs
      job.timer = setTimeout(() => this.#timeUp(job), timeLimitMs)
    }
  }

  #timeUp(job: Job): void {
    this.#waiting.delete(job)
    job.resolve(null)
    if (!this.#ready) this.#restUntil = job.deadline + REST_MS
    if (this.#running !== job) return
    // The thread is told the deadline and answers by itself.
    const hung = setTimeout(() => {
      if (this.#running === job) void this.#thread?.terminate()
    }, HUNG_AFTER_MS)
    hung.unref()
  }

  #stopped(): void {
    this.#thread = null
    this.#ready = false
    if (this.#running !== null) finish(this.#running, null)
    this.#running = null
    for (const job of this.#waiting) finish(job, null)
    this.#waiting.clear()
  }
}

function finish(job: Job, count: TextCount | null): void {
  clearTimeout(job.timer)
  job.resolve(count)
}
