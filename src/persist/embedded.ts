/**
 * The embedded database as `pg` sees it: a stream to the thread in which PGlite runs.
 *
 * A MessagePort rather than a socket: no further packages, no limit on the length of a path, nobody else on the machine can connect.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { extname, join } from 'node:path'
import { Duplex } from 'node:stream'
import { Worker } from 'node:worker_threads'
import type { Log } from '../units/log.ts'
import type { FromWorker, ToWorker } from './embedded-worker.ts'

export class EmbeddedDatabase {
  readonly #directory: string
  readonly #log: Log
  #thread: Promise<Worker> | null = null
  #streams = new Map<number, PortStream>()
  #connections = 0
  #closing = false

  /** `directory` is PGlite's own folder; the caller holds the lock of the data directory around it. */
  constructor(directory: string, log: Log) {
    this.#directory = directory
    this.#log = log
  }

  /** A new connection for `pg`: give this as the pool's `stream` option, with `max: 1`, since PGlite has one session. */
  connect(): Duplex {
    this.#connections += 1
    const id = this.#connections
    const stream = new PortStream(id, this.#running())
    this.#streams.set(id, stream)
    stream.once('close', () => this.#streams.delete(id))
    return stream
  }

  /** Writes everything PGlite has given to the operating system to the disk. Call CHECKPOINT first. */
  async sync(): Promise<void> {
    const thread = await this.#running()
    await new Promise<void>((resolve, reject) => {
      function told(message: FromWorker): void {
        if (message === 'synced') done()
      }
      function stopped(): void {
        done(new Error('the embedded database stopped'))
      }
      function done(error?: Error): void {
        thread.off('message', told)
        thread.off('exit', stopped)
        if (error === undefined) resolve()
        else reject(error)
      }
      thread.on('message', told)
      thread.once('exit', stopped)
      tell(thread, 'sync')
    })
  }

  /** Shuts the database down in order and ends its thread. */
  async close(): Promise<void> {
    this.#closing = true
    const thread = await this.#thread?.catch(() => null)
    if (!thread) return
    const exited = once(thread, 'exit')
    tell(thread, 'close')
    await exited
  }

  /** Starts the thread, and the next one after a crash: PGlite recovers from its log like any Postgres. */
  #running(): Promise<Worker> {
    if (this.#closing) return Promise.reject(new Error('the embedded database is closed'))
    this.#thread ??= this.#start().catch((error: unknown) => {
      this.#thread = null
      throw error
    })
    return this.#thread
  }

  async #start(): Promise<Worker> {
    await initialise(this.#directory)
    const thread = new Worker(beside('embedded-worker'), { workerData: { directory: this.#directory }, execArgv: [] })
    const ready = new Promise<void>((resolve, reject) => {
      thread.once('message', () => resolve())
      thread.once('error', reject)
      thread.once('exit', () => reject(new Error('the embedded database stopped while starting')))
    })
    thread.on('error', (error) => this.#log.error({ err: error }, 'embedded database failed'))
    thread.once('exit', (code) => {
      this.#thread = null
      if (!this.#closing) this.#log.error({ code }, 'embedded database stopped; the next call starts it again')
      for (const stream of this.#streams.values()) stream.destroy(new Error('the embedded database stopped'))
    })
    thread.on('message', (message: FromWorker) => {
      if (typeof message !== 'string') this.#streams.get(message[0])?.push(Buffer.from(message[1].buffer))
    })
    await ready
    return thread
  }
}

function tell(thread: Worker, message: ToWorker): void {
  thread.postMessage(message)
}

function beside(name: string): URL {
  return new URL(`./${name}${extname(import.meta.url)}`, import.meta.url)
}

/** Makes the folder's database on first use, beside it and then renamed: a start that is killed half-way leaves nothing behind. */
async function initialise(directory: string): Promise<void> {
  if (existsSync(join(directory, 'PG_VERSION'))) return
  const unfinished = `${directory}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true, mode: 0o700 })
  const child = fork(beside('embedded-init'), [unfinished], {
    execArgv: [],
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2_000)
  })
  const [code, signal] = await once(child, 'exit')
  if (code !== 0) throw new Error(`making the embedded database failed (${code ?? signal}): ${complaint.trim()}`)
  renameSync(unfinished, directory)
}

/** What `pg` takes for a socket. */
class PortStream extends Duplex {
  readonly #id: number
  readonly #thread: Promise<Worker>

  constructor(id: number, thread: Promise<Worker>) {
    // An ended connection closes at once: there is no other side that would still have something to say.
    super({ autoDestroy: true, allowHalfOpen: false })
    this.#id = id
    this.#thread = thread
    thread.catch((error: Error) => this.destroy(error))
  }

  connect(): this {
    this.#thread.then(
      () => this.emit('connect'),
      () => {},
    )
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send(chunk, done)
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#thread.then(
      (thread) => tell(thread, [this.#id, null]),
      () => {},
    )
    done(error)
  }

  #send(bytes: Uint8Array, done: (error?: Error | null) => void): void {
    this.#thread.then((thread) => {
      // A copy of exactly these bytes: cloning a view would take the whole pool it looks into along.
      const copy = new Uint8Array(bytes)
      thread.postMessage([this.#id, copy] satisfies ToWorker, [copy.buffer])
      done()
    }, done)
  }
}
