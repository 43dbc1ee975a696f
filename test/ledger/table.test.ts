/** The ledger's rules, one sentence each. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { amountsOf, type ChainLimit } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { METRICS, type Metric } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const MINUTE = 60_000

function aLedger(elapsed = () => 0): Ledger {
  return new Ledger(new Meters(elapsed, new SharedArrayBuffer(64 * 1_024)))
}

/** Tracks limits and gives the chain that meets them all. */
function chainOf(ledger: Ledger, ...limits: readonly ReturnType<typeof aLimit>[]): ChainLimit[] {
  return limits.map((limit) => {
    ledger.track(limit, NOW)
    const meter = ledger.meterOf(limit.id)
    assert.ok(meter)
    return { limit, meter, metric: METRICS.indexOf(limit.metric), enforced: limit.mode === 'enforce' }
  })
}

let made = 0
function wanting(chain: readonly ChainLimit[], amounts: Partial<Record<Metric, bigint>>) {
  made += 1
  return { requestId: `request-${made}`, attempt: 1, chain, amounts: amountsOf(amounts), deadline: 1_000 }
}

describe('a hold', () => {
  test('passes when it fits exactly and is refused one unit later', () => {
    const ledger = aLedger()
    const chain = chainOf(ledger, aLimit({ metric: 'cost', max: 100n }))
    assert.equal(ledger.hold(wanting(chain, { cost: 100n }), NOW).ok, true)
    assert.equal(ledger.hold(wanting(chain, { cost: 1n }), NOW).ok, false)
  })

  test('F03 F05 a refused hold leaves no trace on any level, and every limit without room is named in order', () => {
    const ledger = aLedger()
    const roomy = aLimit({ metric: 'cost', max: 1_000n })
    const full = aLimit({ metric: 'cost', max: 10n })
    const alsoFull = aLimit({ metric: 'requests', max: 1n })
    const chain = chainOf(ledger, roomy, full, alsoFull)
    const outcome = ledger.hold(wanting(chain, { cost: 11n, requests: 2n }), NOW)
    assert.ok(!outcome.ok)
    assert.deepEqual(
      outcome.shortfalls.map(({ limit }) => limit.id),
      [full.id, alsoFull.id],
    )
    for (const limit of [roomy, full, alsoFull]) assert.equal(ledger.read(limit.id, NOW)?.held, 0n)
  })

  test('counts what is in flight: the sum of holds never passes the maximum (F01)', () => {
    const ledger = aLedger()
    const chain = chainOf(ledger, aLimit({ metric: 'cost', max: 70n }))
    const admitted = Array.from({ length: 500 }, () => ledger.hold(wanting(chain, { cost: 10n }), NOW)).filter(
      ({ ok }) => ok,
    )
    assert.equal(admitted.length, 7)
  })

  test('on an observed limit is counted and never refused', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'cost', max: 10n, mode: 'observe' })
    const outcome = ledger.hold(wanting(chainOf(ledger, limit), { cost: 500n }), NOW)
    assert.equal(outcome.ok, true)
    assert.equal(ledger.read(limit.id, NOW)?.held, 500n)
  })

  test('T10 for nothing is never refused, also above the maximum', () => {
    const ledger = aLedger()
    const chain = chainOf(ledger, aLimit({ metric: 'cost', max: 10n }))
    const first = ledger.hold(wanting(chain, { cost: 10n }), NOW)
    assert.ok(first.ok)
    ledger.settle(first.hold, amountsOf({ cost: 25n }))
    assert.equal(ledger.hold(wanting(chain, { cost: 0n }), NOW).ok, true)
  })
})

describe('a resolution', () => {
  test('posts what was used and returns the rest at once', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'cost', max: 100n })
    const outcome = ledger.hold(wanting(chainOf(ledger, limit), { cost: 80n }), NOW)
    assert.ok(outcome.ok)
    assert.equal(ledger.settle(outcome.hold, amountsOf({ cost: 30n })), 'done')
    const reading = ledger.read(limit.id, NOW)
    assert.deepEqual([reading?.posted, reading?.held, reading?.remaining, reading?.lifetime], [30n, 0n, 70n, 30n])
  })

  test('happens once: a second call names what happened first and changes nothing', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'cost', max: 100n })
    const chain = chainOf(ledger, limit)
    const outcome = ledger.hold(wanting(chain, { cost: 80n }), NOW)
    assert.ok(outcome.ok)
    assert.equal(ledger.void(outcome.hold), 'done')
    assert.equal(ledger.settle(outcome.hold, amountsOf({ cost: 80n })), 'already_voided')
    assert.equal(ledger.void(outcome.hold), 'already_voided')
    assert.equal(ledger.read(limit.id, NOW)?.posted, 0n)
    assert.equal(ledger.openHoldCount, 0)
  })

  test('after the window has passed posts to the window that admitted the request, not to the new one', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'tokens', max: 100n, window: '1m', anchor: NOW })
    const outcome = ledger.hold(wanting(chainOf(ledger, limit), { tokens: 60n }), NOW)
    assert.ok(outcome.ok)
    assert.equal(
      ledger.hold(wanting(chainOf(ledger, limit), { tokens: 100n }), NOW + MINUTE).ok,
      true,
      'the new window is empty',
    )
    ledger.settle(outcome.hold, amountsOf({ tokens: 60n }))
    const reading = ledger.read(limit.id, NOW + MINUTE)
    assert.deepEqual([reading?.posted, reading?.held, reading?.previous, reading?.lifetime], [0n, 100n, 60n, 60n])
  })

  test('of a hold whose limit has been deleted and whose memory serves another limit leaves that one alone', () => {
    const ledger = aLedger()
    const old = aLimit({ metric: 'cost', max: 100n })
    const outcome = ledger.hold(wanting(chainOf(ledger, old), { cost: 50n }), NOW)
    assert.ok(outcome.ok)
    ledger.untrack(old.id)
    const young = aLimit({ metric: 'cost', max: 100n })
    const [{ meter }] = chainOf(ledger, young) as [ChainLimit]
    assert.equal(meter.slot, outcome.hold.places[0]?.slot, 'the slot is used again')
    assert.equal(ledger.settle(outcome.hold, amountsOf({ cost: 50n })), 'done')
    const reading = ledger.read(young.id, NOW)
    assert.deepEqual([reading?.posted, reading?.held, reading?.lifetime], [0n, 0n, 0n])
  })
})

describe('a move to the next candidate', () => {
  test('holds the difference on shared limits and swaps the others, and nobody can slip in between', () => {
    const ledger = aLedger()
    const shared = aLimit({ metric: 'cost', max: 100n })
    const ofA = aLimit({ metric: 'cost', max: 100n, provider: 'a' })
    const ofB = aLimit({ metric: 'cost', max: 100n, provider: 'b' })
    const [onShared, onA, onB] = chainOf(ledger, shared, ofA, ofB) as [ChainLimit, ChainLimit, ChainLimit]
    const first = ledger.hold(wanting([onShared, onA], { cost: 90n }), NOW)
    assert.ok(first.ok)
    const second = ledger.move(first.hold, amountsOf({}), wanting([onShared, onB], { cost: 95n }), NOW)
    assert.ok(second.ok)
    assert.equal(first.hold.state, 'voided')
    assert.deepEqual(
      [shared, ofA, ofB].map(({ id }) => ledger.read(id, NOW)?.held),
      [95n, 0n, 95n],
    )
  })

  test('that does not fit changes nothing', () => {
    const ledger = aLedger()
    const shared = aLimit({ metric: 'cost', max: 100n })
    const chain = chainOf(ledger, shared)
    const first = ledger.hold(wanting(chain, { cost: 90n }), NOW)
    assert.ok(first.ok)
    assert.equal(ledger.move(first.hold, amountsOf({ cost: 20n }), wanting(chain, { cost: 90n }), NOW).ok, false)
    assert.equal(first.hold.state, 'held')
    const reading = ledger.read(shared.id, NOW)
    assert.deepEqual([reading?.posted, reading?.held, reading?.lifetime], [0n, 90n, 0n])
  })

  test('keeps a concurrency limit of one', () => {
    const ledger = aLedger()
    const chain = chainOf(ledger, aLimit({ metric: 'concurrency', max: 1n }))
    const first = ledger.hold(wanting(chain, { concurrency: 1n }), NOW)
    assert.ok(first.ok)
    assert.equal(ledger.move(first.hold, amountsOf({}), wanting(chain, { concurrency: 1n }), NOW).ok, true)
  })
})

describe('a window', () => {
  test('U10 T16 rolls inside the check: an expired one is empty for the next reader, worker or not', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'requests', max: 1n, window: '1m', anchor: NOW })
    const chain = chainOf(ledger, limit)
    assert.equal(ledger.hold(wanting(chain, { requests: 1n }), NOW).ok, true)
    assert.equal(ledger.hold(wanting(chain, { requests: 1n }), NOW + MINUTE - 1).ok, false)
    assert.equal(ledger.read(limit.id, NOW + MINUTE)?.remaining, 1n)
    assert.equal(ledger.hold(wanting(chain, { requests: 1n }), NOW + MINUTE).ok, true)
  })

  test('that slides lets no burst of twice the limit through at its boundary', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'requests', max: 10n, window: '1m', align: 'sliding', anchor: NOW })
    const chain = chainOf(ledger, limit)
    const burst = (at: number) =>
      Array.from({ length: 30 }, () => ledger.hold(wanting(chain, { requests: 1n }), at)).filter(({ ok }) => ok).length
    assert.equal(burst(NOW + MINUTE - 1), 10)
    assert.equal(burst(NOW + MINUTE), 0)
    assert.equal(burst(NOW + MINUTE + MINUTE / 2), 5)
  })

  test('that lies ahead of a clock stepped back stays current, but no longer than its own length', () => {
    let elapsed = 0
    const ledger = aLedger(() => elapsed)
    const limit = aLimit({ metric: 'requests', max: 1n, window: '1m', anchor: NOW })
    const chain = chainOf(ledger, limit)
    assert.equal(ledger.hold(wanting(chain, { requests: 1n }), NOW).ok, true)
    const before = NOW - 3_600_000
    elapsed = 1_000
    assert.equal(
      ledger.hold(wanting(chain, { requests: 1n }), before).ok,
      false,
      'a clock that steps back opens nothing',
    )
    elapsed += MINUTE
    assert.equal(ledger.hold(wanting(chain, { requests: 1n }), before + MINUTE).ok, true)
  })

  test('a lower maximum counts at once, an override while it lasts', () => {
    const ledger = aLedger()
    const limit = aLimit({ metric: 'cost', max: 100n })
    const chain = chainOf(ledger, limit)
    assert.equal(ledger.hold(wanting(chain, { cost: 60n }), NOW).ok, true)
    ledger.track({ ...limit, max: 50n }, NOW)
    assert.equal(ledger.hold(wanting(chain, { cost: 1n }), NOW).ok, false)
    ledger.track({ ...limit, max: 50n, override: { max: 80n, until: NOW + 1_000 } }, NOW)
    assert.equal(ledger.hold(wanting(chain, { cost: 20n }), NOW + 999).ok, true)
    assert.equal(ledger.hold(wanting(chain, { cost: 1n }), NOW + 1_000).ok, false)
  })
})
