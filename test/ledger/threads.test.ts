/** Several threads on the same meters. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { systemClock } from '../../src/units/clock.ts'
import { aLimit } from '../helpers/entities.ts'
import type { ThreadReport, ThreadWork } from './thread.ts'

const THREADS = 4
const ADMISSIONS = 1_000_000
const LIMITS = 50

/** Some are soon full, some never; most count for ever, so that their totals can be added up, some by the second. */
function someLimits(): Limit[] {
  const maxima = [50n, 5_000n, 200_000n, 10_000_000n, 10n ** 15n]
  return Array.from({ length: LIMITS }, (_, made) => {
    const metric = METRICS[made % METRICS.length] ?? 'cost'
    const max = maxima[made % maxima.length] ?? 1n
    const id = `limit-${made}`
    if (metric === 'concurrency') return aLimit({ id, metric, max: max + 100n })
    if (made % 5 === 4) return aLimit({ id, metric, max, window: '1s', align: made % 2 === 0 ? 'sliding' : 'fixed' })
    return aLimit({ id, metric, max, window: 'lifetime', align: null })
  })
}

async function runThread(work: ThreadWork): Promise<ThreadReport> {
  const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: work })
  const [report] = (await once(worker, 'message')) as [ThreadReport]
  await once(worker, 'exit')
  return report
}

test('F01 F12 a million admissions in four threads pass no limit, lose nothing and end with nothing held', {
  timeout: 300_000,
}, async () => {
  const meters = new Meters(systemClock.elapsed, new SharedArrayBuffer(64 * 1_024))
  const ledger = new Ledger(meters)
  const shared = someLimits().map((limit) => {
    ledger.track(limit, systemClock.now())
    const meter = ledger.meterOf(limit.id)
    assert.ok(meter)
    return { limit, meter }
  })
  const reports = await Promise.all(
    Array.from({ length: THREADS }, (_, thread) =>
      runThread({ buffer: meters.buffer, shared, admissions: ADMISSIONS / THREADS, seed: thread + 1 }),
    ),
  )

  const admitted = reports.reduce((sum, report) => sum + report.admitted, 0)
  const refused = reports.reduce((sum, report) => sum + report.refused, 0)
  assert.equal(admitted + refused, ADMISSIONS)
  assert.ok(
    admitted > 10_000 && refused > 10_000,
    `${admitted} admitted and ${refused} refused: too one-sided to prove much`,
  )
  for (const [position, { limit }] of shared.entries()) {
    const total = reports.reduce((sum, report) => sum + (report.posted[position] as bigint), 0n)
    const reading = ledger.read(limit.id, systemClock.now())
    assert.ok(reading)
    assert.deepEqual([reading.lifetime, reading.held, reading.previousHeld], [total, 0n, 0n], limit.id)
    if (limit.window !== 'lifetime') continue
    assert.equal(reading.posted, total)
    assert.ok(total <= limit.max, `${limit.id} was passed: ${total} of ${limit.max}`)
  }
  assert.deepEqual(ledger.violations(), [])
})

test('a thread that was not told of a deletion neither charges nor refuses by a limit that is gone', () => {
  const meters = new Meters(systemClock.elapsed, new SharedArrayBuffer(64 * 1_024))
  const ledger = new Ledger(meters)
  const uninformed = new Ledger(new Meters(systemClock.elapsed, meters.buffer))
  const now = systemClock.now()
  const old = aLimit({ metric: 'requests', max: 1n, window: '1s' })
  ledger.track(old, now)
  const meter = ledger.meterOf(old.id)
  assert.ok(meter)
  uninformed.adopt(old.id, meter)
  ledger.untrack(old.id)
  const young = aLimit({ metric: 'requests', max: 5n, window: '1m' })
  ledger.track(young, now)
  assert.equal(ledger.meterOf(young.id)?.slot, meter.slot, 'the slot is used again')
  const later = now + 60_000
  const before = ledger.read(young.id, later)

  const chain = [{ limit: old, meter, metric: METRICS.indexOf('requests'), enforced: true }]
  const request = { requestId: '', attempt: 1, chain, amounts: amountsOf({ requests: 3n }), deadline: 0 }
  const outcome = uninformed.hold(request, later)
  assert.ok(outcome.ok)
  assert.deepEqual(outcome.hold.places, [])
  assert.equal(uninformed.read(old.id, now), null)
  assert.deepEqual(ledger.read(young.id, later), before, 'the window of the limit that has the slot now stays as it is')
  uninformed.adopt(old.id, null)
  assert.equal(uninformed.meterOf(old.id), null)
})
