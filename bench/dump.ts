/**
 * Bench of the dump beside traffic: what 50,000 events on their way into the database do to requests that are served at the same time.
 *
 *     npx node bench/dump.ts [--rounds 5] [--json]
 *
 * An HTTP server on this thread, as the gateway's is, is asked 500 times a second by another thread, with and without a dump running, in
 * turn. Goals on Postgres: the dump within 3 s, and its p99 at most 10 ms above the one without. PGlite's figures stand beside them.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { ChargeLine } from '../src/ledger/charges.ts'
import type { Fact } from '../src/ledger/facts.ts'
import { type Database, openDatabase } from '../src/persist/database.ts'
import { Dump } from '../src/persist/dump.ts'
import { Journal } from '../src/persist/journal.ts'
import { migrateUp } from '../src/persist/migrator.ts'
import { Quarantine } from '../src/persist/quarantine.ts'
import { METRICS } from '../src/store/entities.ts'
import { systemClock } from '../src/units/clock.ts'
import { newId } from '../src/units/id.ts'
import { silentLog } from '../src/units/log.ts'
import { startPostgres } from '../test/helpers/databases.ts'
import { settled } from '../test/helpers/facts.ts'

const EVENTS = 50_000
const LIMITS = 2_000
const CHARGES = 10
const RATE = 500
const IDLE_MS = 3_000

interface Figures {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

interface Round {
  readonly idle: Figures
  readonly dumping: Figures
  /** Event-loop delay while dumping, p99 in ms. */
  readonly loopP99: number
  readonly dumpMs: number
}

/** The client's thread: asks at a fixed rate, and says what it took since it was last asked. */
function client(): void {
  const { url } = workerData as { url: string }
  let histogram = createHistogram()
  parentPort?.on('message', () => {
    const ms = (ns: number) => Math.round(ns / 1e4) / 100
    parentPort?.postMessage({
      p50: ms(histogram.percentile(50)),
      p99: ms(histogram.percentile(99)),
      max: ms(histogram.max),
    })
    histogram = createHistogram()
  })
  // What is late is asked all the same, and its lateness counts: an open loop.
  let due = systemClock.elapsed()
  setInterval(() => {
    for (const now = systemClock.elapsed(); due <= now; due += 1_000 / RATE) {
      const startedAt = due
      get(url, (response) => {
        response.resume()
        response.once('end', () => histogram.record(Math.max(1, Math.round((systemClock.elapsed() - startedAt) * 1e6))))
      }).on('error', () => {})
    }
  }, 1)
}

function facts(limits: readonly string[]): Fact[] {
  const windowStart = Math.floor(Date.now() / 86_400_000) * 86_400_000
  return Array.from({ length: EVENTS }, (_, n) =>
    settled({
      requestId: newId(),
      virtualKeyId: limits[n % 500] as string,
      charges: Array.from({ length: CHARGES }, (_, at): ChargeLine => {
        const limit = limits[(n * 7 + at * 13) % LIMITS] as string
        return [
          limit,
          1,
          windowStart,
          METRICS[((n * 7 + at * 13) % LIMITS) % METRICS.length] as (typeof METRICS)[number],
          '150',
        ]
      }),
    }),
  )
}

async function measure(database: Database, rounds: number, ask: () => Promise<Figures>): Promise<Round[]> {
  const directory = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
  const journal = new Journal({ directory: join(directory, 'journal'), log: silentLog })
  const quarantine = new Quarantine({
    directory: join(directory, 'quarantine'),
    journalId: journal.id,
    clock: systemClock,
    log: silentLog,
  })
  const dump = new Dump({ database, journal, quarantine, clock: systemClock, log: silentLog })
  const limits = Array.from({ length: LIMITS }, newId)
  const measured: Round[] = []
  for (let round = 0; round <= rounds; round += 1) {
    for (const fact of facts(limits)) journal.append(fact)
    await new Promise<void>((done) => journal.flushed(done))
    await delay(500)
    await ask()
    await delay(IDLE_MS)
    const idle = await ask()
    const loop = monitorEventLoopDelay({ resolution: 1 })
    loop.enable()
    const startedAt = systemClock.elapsed()
    await dump.run()
    const dumpMs = Math.round(systemClock.elapsed() - startedAt)
    loop.disable()
    const dumping = await ask()
    // The first one warms up.
    if (round > 0) measured.push({ idle, dumping, loopP99: Math.round(loop.percentile(99) / 1e4) / 100, dumpMs })
  }
  await journal.close()
  rmSync(directory, { recursive: true })
  return measured
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
  })
  const rounds = Number(values.rounds)
  const server = createServer((_request, response) => response.end('{"ok":true}')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const worker = new Worker(new URL(import.meta.url), { workerData: { url } })
  const ask = async (): Promise<Figures> => {
    worker.postMessage('figures')
    const [figures] = await once(worker, 'message')
    return figures as Figures
  }
  const folder = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
  const postgres = await startPostgres()
  const results: Record<string, Round[]> = {}
  for (const [name, target] of [
    ['Postgres', { url: postgres.url }],
    ['PGlite', {}],
  ] as const) {
    const database = await openDatabase({ ...target, dataDir: folder, log: silentLog })
    await migrateUp(database.db)
    results[name] = await measure(database, rounds, ask)
    await database.close()
  }
  await postgres.stop()
  await worker.terminate()
  server.close()
  rmSync(folder, { recursive: true, force: true })
  if (values.json) return void process.stdout.write(`${JSON.stringify(results)}\n`)
  for (const [name, measured] of Object.entries(results)) {
    const of = (pick: (round: Round) => number) => median(measured.map(pick))
    process.stdout.write(
      `${name.padEnd(9)} dump of ${EVENTS} events ${of((r) => r.dumpMs)} ms; p99 ${of((r) => r.idle.p99)} ms without, ` +
        `${of((r) => r.dumping.p99)} ms beside it (p50 ${of((r) => r.idle.p50)} and ${of((r) => r.dumping.p50)}); ` +
        `event loop p99 ${of((r) => r.loopP99)} ms; medians of ${measured.length} rounds\n`,
    )
  }
}

if (isMainThread) await main()
else client()
