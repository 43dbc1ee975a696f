/** One thread of `threads.test.ts`: holds and resolves on limits that it shares with the others, and reports what it was given. */
import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import type { Amounts } from '../../src/ledger/charges.ts'
import { type ChainLimit, type Hold, type Meter, NOTHING } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { systemClock } from '../../src/units/clock.ts'
import { Random } from '../sim/random.ts'

export interface ThreadWork {
  readonly buffer: SharedArrayBuffer
  readonly shared: readonly { readonly limit: Limit; readonly meter: Meter }[]
  readonly admissions: number
  readonly seed: number
}

export interface ThreadReport {
  readonly admitted: number
  readonly refused: number
  /** By limit, in the order of `shared`: everything this thread has posted. */
  readonly posted: readonly bigint[]
}

const IN_FLIGHT_MAX = 16

function work({ buffer, shared, admissions, seed }: ThreadWork): ThreadReport {
  const ledger = new Ledger(new Meters(systemClock.elapsed, buffer))
  const random = new Random(seed)
  const links: ChainLimit[] = shared.map(({ limit, meter }) => {
    ledger.adopt(limit.id, meter)
    return { limit, meter, metric: METRICS.indexOf(limit.metric), enforced: true }
  })
  const positions = new Map(shared.map(({ limit }, position) => [limit.id, position]))
  const posted = shared.map(() => 0n)
  const open: { hold: Hold; amounts: Amounts }[] = []
  let admitted = 0
  let refused = 0

  const resolve = () => {
    const [ended] = open.splice(random.between(0, open.length - 1), 1)
    if (ended === undefined) return
    const { hold, amounts } = ended
    const actual = random.chance(0.3) ? NOTHING : amounts.map((amount) => (random.chance(0.5) ? amount : amount / 2n))
    assert.equal(actual === NOTHING ? ledger.void(hold) : ledger.settle(hold, actual), 'done')
    for (const { limit, metric } of hold.places) {
      const position = positions.get(limit.id) as number
      posted[position] = (posted[position] as bigint) + (actual[metric] as bigint)
    }
  }

  for (let asked = 0; asked < admissions; asked++) {
    const first = random.between(0, links.length - 1)
    const chain = Array.from({ length: random.between(2, 8) }, (_, step) => links[(first + step * 7) % links.length])
    const amounts = METRICS.map((metric) => (metric === 'requests' ? 1n : BigInt(random.between(0, 200))))
    const request = { requestId: '', attempt: 1, chain: chain as ChainLimit[], amounts, deadline: 0 }
    const outcome = ledger.hold(request, systemClock.now())
    if (outcome.ok) {
      admitted += 1
      open.push({ hold: outcome.hold, amounts })
    } else {
      refused += 1
    }
    if (asked % 64 === 0) {
      for (const { limit, meter } of shared) {
        // A sliding window's use depends on the moment, and every thread asks at its own.
        if (meter.spec.kind === 'sliding') continue
        const reading = ledger.read(limit.id, systemClock.now())
        assert.ok(reading !== null && reading.used <= reading.max, `${limit.id} was passed`)
      }
    }
    if (open.length > IN_FLIGHT_MAX || random.chance(0.4)) resolve()
  }
  while (open.length > 0) resolve()
  return { admitted, refused, posted }
}

parentPort?.postMessage(work(workerData as ThreadWork))
