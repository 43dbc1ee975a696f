/**
 * Bench of the ledger alone: one hold and one settlement over ten limits, in one thread and in two on the same meters.
 *
 * Goal: 2 µs a pair in one thread (median). `node bench/ledger.ts`; with `--json` as one line of JSON. Blocks of 100 pairs are timed and
 * their median taken, since single pairs are shorter than the clock can tell and a busy machine spoils some blocks.
 */
import { once } from 'node:events'
import process from 'node:process'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { amountsOf, type ChainLimit, type Meter } from '../src/ledger/hold.ts'
import { Ledger } from '../src/ledger/ledger.ts'
import { Meters } from '../src/ledger/meters.ts'
import { type Limit, METRICS, type Metric } from '../src/store/entities.ts'
import { systemClock } from '../src/units/clock.ts'
import { aLimit } from '../test/helpers/entities.ts'

const GOAL_US = 2
const BLOCKS = 3_000
const PAIRS_PER_BLOCK = 100
/** What a key in a team of a customer may well meet, with a provider's and a model's limits. */
const CHAIN: readonly (readonly [Metric, string | null, Limit['align']])[] = [
  ['requests', '1m', 'fixed'],
  ['tokens', '1m', 'sliding'],
  ['requests', '1m', 'sliding'],
  ['tokens', '1d', 'fixed'],
  ['concurrency', null, null],
  ['tokens', '1m', 'fixed'],
  ['cost', '1d', 'calendar'],
  ['cost', '1M', 'calendar'],
  ['cost', '1M', 'fixed'],
  ['cost', 'lifetime', null],
]

/** Counts in microseconds per pair. */
interface Result {
  readonly median: number
  readonly p10: number
  readonly p99: number
}

interface Shared {
  readonly buffer: SharedArrayBuffer
  readonly limits: readonly { readonly limit: Limit; readonly meter: Meter }[]
}

function share(): Shared {
  const meters = new Meters(systemClock.elapsed)
  const ledger = new Ledger(meters)
  const limits = CHAIN.map(([metric, window, align]) => {
    const limit = aLimit({ metric, max: 10n ** 17n, window, align })
    ledger.track(limit, systemClock.now())
    const meter = ledger.meterOf(limit.id)
    if (meter === null) throw new Error('a tracked limit has a meter')
    return { limit, meter }
  })
  return { buffer: meters.buffer, limits }
}

function measure({ buffer, limits }: Shared): Result {
  const ledger = new Ledger(new Meters(systemClock.elapsed, buffer))
  const chain: ChainLimit[] = limits.map(({ limit, meter }) => ({
    limit,
    meter,
    metric: METRICS.indexOf(limit.metric),
    enforced: true,
  }))
  const tokens = { input_tokens: 500n, requests: 1n }
  const held = amountsOf({ ...tokens, tokens: 900n, output_tokens: 400n, concurrency: 1n, cost: 275_400n })
  const used = amountsOf({ ...tokens, tokens: 700n, output_tokens: 200n, cost: 175_400n })
  const samples: number[] = []
  for (let block = 0; block < BLOCKS; block++) {
    const now = systemClock.now()
    const begun = systemClock.elapsed()
    for (let pair = 0; pair < PAIRS_PER_BLOCK; pair++) {
      const outcome = ledger.hold({ requestId: '', attempt: 1, chain, amounts: held, deadline: 0 }, now)
      if (!outcome.ok) throw new Error('the limits are too small for this bench')
      ledger.settle(outcome.hold, used)
    }
    samples.push(((systemClock.elapsed() - begun) * 1_000) / PAIRS_PER_BLOCK)
  }
  samples.sort((a, b) => a - b)
  const at = (share: number) => Math.round((samples[Math.floor(share * samples.length)] ?? 0) * 100) / 100
  return { median: at(0.5), p10: at(0.1), p99: at(0.99) }
}

async function measureInThreads(threads: number): Promise<readonly Result[]> {
  const shared = share()
  return Promise.all(
    Array.from({ length: threads }, async () => {
      const worker = new Worker(new URL(import.meta.url), { workerData: shared })
      const [result] = (await once(worker, 'message')) as [Result]
      return result
    }),
  )
}

if (isMainThread) {
  const [alone] = await measureInThreads(1)
  const together = await measureInThreads(2)
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ goal_us: GOAL_US, one_thread: alone, two_threads: together })}\n`)
  } else {
    const line = (name: string, result: Result | undefined) =>
      process.stdout.write(`${name.padEnd(34)}${result?.median} µs (p10 ${result?.p10}, p99 ${result?.p99})\n`)
    process.stdout.write(`hold + settle over ${CHAIN.length} limits, median of ${BLOCKS} blocks; goal ${GOAL_US} µs\n`)
    line('one thread', alone)
    for (const result of together) line('one of two threads, same limits', result)
  }
} else {
  parentPort?.postMessage(measure(workerData as Shared))
}
