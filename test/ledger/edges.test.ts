/** The corners of the ledger: clocks set back, totals that fill their 64 bits, ends that come late, handles that are out of date. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { amountsOf, type ChainLimit, heldAt } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS, type Metric } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const SECOND = 1_000
const MINUTE = 60 * SECOND
const MOST = 2n ** 63n - 1n

class Bench {
  elapsed = 0
  readonly meters = new Meters(() => this.elapsed, new SharedArrayBuffer(64 * 1_024))
  readonly ledger = new Ledger(this.meters)

  link(limit: Limit): ChainLimit {
    this.ledger.track(limit, NOW)
    const meter = this.ledger.meterOf(limit.id)
    assert.ok(meter)
    return { limit, meter, metric: METRICS.indexOf(limit.metric), enforced: limit.mode === 'enforce' }
  }

  tryHold(chain: readonly ChainLimit[], amounts: Partial<Record<Metric, bigint>>, now = NOW) {
    const wanted = { requestId: 'r', attempt: 1, chain, amounts: amountsOf(amounts), deadline: 1_000 }
    return this.ledger.hold(wanted, now)
  }

  hold(chain: readonly ChainLimit[], amounts: Partial<Record<Metric, bigint>>, now = NOW) {
    const outcome = this.tryHold(chain, amounts, now)
    assert.ok(outcome.ok)
    return outcome.hold
  }

  read(limit: Limit, now = NOW) {
    const reading = this.ledger.read(limit.id, now)
    assert.ok(reading)
    return reading
  }
}

describe('a clock set back', () => {
  test('brings the same window round again without the holds of the first time: held never falls below zero', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'requests', max: 2n, window: '1s', anchor: NOW })
    const link = bench.link(limit)
    const early = bench.hold([link], { requests: 1n })
    bench.hold([link], { requests: 1n }, NOW + 5 * SECOND)
    // Back to the first second; the window ahead is outlived after its own length.
    assert.equal(bench.tryHold([link], { requests: 2n }, NOW).ok, false)
    bench.elapsed += SECOND
    const again = bench.hold([link], { requests: 1n }, NOW)
    assert.equal(again.places[0]?.windowStart, early.places[0]?.windowStart, 'the same window, a second time')
    bench.ledger.settle(early, amountsOf({ requests: 1n }))
    const { held, posted, lifetime } = bench.read(limit)
    assert.deepEqual([held, posted, lifetime], [1n, 0n, 1n])
    assert.deepEqual(bench.ledger.violations(), [])
    assert.equal(bench.tryHold([link], { requests: 2n }, NOW).ok, false, 'one is still held of two')
  })

  test('is seen alike by readers and by checks', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'requests', max: 2n, window: '1m', anchor: NOW })
    const link = bench.link(limit)
    bench.ledger.settle(bench.hold([link], { requests: 2n }), amountsOf({ requests: 2n }))
    const back = NOW - 3_600_000
    assert.equal(bench.tryHold([link], { requests: 1n }, back).ok, false)
    assert.equal(bench.read(limit, back).remaining, 0n)
    bench.elapsed += MINUTE
    const reading = bench.read(limit, back)
    assert.deepEqual([reading.remaining, reading.windowStart, reading.windowEnd], [2n, back, back + MINUTE])
    assert.equal(bench.tryHold([link], { requests: 2n }, back).ok, true)
  })

  test('and set right again before the window has been outlived leaves everything as it was', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'requests', max: 5n, window: '1m', anchor: NOW })
    const link = bench.link(limit)
    bench.hold([link], { requests: 3n })
    assert.equal(bench.tryHold([link], { requests: 3n }, NOW - 1).ok, false)
    bench.elapsed += MINUTE - 1
    bench.hold([link], { requests: 1n }, NOW + 1)
    assert.equal(bench.read(limit, NOW + 1).held, 4n)
    // The time ahead is counted anew at the next step back.
    bench.elapsed += MINUTE
    assert.equal(bench.tryHold([link], { requests: 2n }, NOW - 1).ok, false)
  })
})

describe('totals near 2^63', () => {
  test('of an observed limit stop at the most they can hold, and come back to zero to the last unit', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'cost', max: 1n, mode: 'observe' })
    const link = bench.link(limit)
    const holds = Array.from({ length: 12 }, () => bench.hold([link], { cost: 10n ** 18n }))
    assert.equal(bench.read(limit).held, MOST)
    assert.equal(heldAt(holds.at(-1) ?? assert.fail('held'), 0), 0n, 'the last one found no room')
    assert.deepEqual(bench.ledger.violations(), [])
    for (const hold of holds) bench.ledger.void(hold)
    assert.deepEqual([bench.read(limit).held, bench.read(limit).posted], [0n, 0n])
  })

  test('posted and lifetime stay at the top, however much is added', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'cost', max: 1n, mode: 'observe' })
    const link = bench.link(limit)
    for (const cost of [10n ** 18n, MOST, 2n ** 64n, 2n ** 65n]) {
      bench.ledger.settle(bench.hold([link], { cost: 1n }), amountsOf({ cost }))
    }
    const { posted, lifetime, used, remaining } = bench.read(limit)
    assert.deepEqual([posted, lifetime, used, remaining], [MOST, MOST, MOST, 0n])
  })

  test('a move that fails on a full total puts it back exactly', () => {
    const bench = new Bench()
    const observed = bench.link(aLimit({ metric: 'cost', max: 1n, mode: 'observe' }))
    const small = bench.link(aLimit({ metric: 'requests', max: 1n }))
    bench.ledger.settle(bench.hold([observed], {}), amountsOf({ cost: MOST - 5n }))
    const from = bench.hold([observed], { cost: 3n })
    const before = bench.read(observed.limit)
    bench.hold([small], { requests: 1n })
    const to = {
      requestId: 'r',
      attempt: 2,
      chain: [observed, small],
      amounts: amountsOf({ requests: 1n }),
      deadline: 0,
    }
    assert.equal(bench.ledger.move(from, amountsOf({ cost: 100n }), to, NOW).ok, false)
    assert.deepEqual(bench.read(observed.limit), before)
  })
})

describe('a hold that expired and is settled after all', () => {
  const expired = (window: string) => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'tokens', max: 1_000n, window, anchor: NOW })
    const hold = bench.hold([bench.link(limit)], { tokens: 500n })
    assert.deepEqual(bench.ledger.overdue(999), [])
    assert.deepEqual(bench.ledger.overdue(1_000), [hold])
    assert.equal(bench.ledger.expire(hold, amountsOf({ tokens: 100n })), 'done')
    assert.equal(bench.ledger.settle(hold, amountsOf({ tokens: 30n })), 'already_expired')
    return { bench, limit, hold }
  }

  test('is corrected by the difference, once, in the window that admitted it', () => {
    const { bench, limit, hold } = expired('1m')
    bench.ledger.roll([limit.id], NOW + MINUTE)
    const lines = bench.ledger.settleLate(hold, amountsOf({ tokens: 30n }))
    assert.deepEqual(lines, [[limit.id, 1, NOW, 'tokens', '-70']])
    assert.deepEqual(bench.ledger.settleLate(hold, amountsOf({ tokens: 30n })), [])
    const { posted, previous, lifetime } = bench.read(limit, NOW + MINUTE)
    assert.deepEqual([posted, previous, lifetime], [0n, 30n, 30n])
  })

  test('also upwards, and in the books alone once that window is closed', () => {
    const { bench, limit, hold } = expired('1s')
    bench.ledger.roll([limit.id], NOW + MINUTE)
    assert.deepEqual(bench.ledger.settleLate(hold, amountsOf({ tokens: 400n })), [[limit.id, 1, NOW, 'tokens', '300']])
    const { posted, previous, lifetime } = bench.read(limit, NOW + MINUTE)
    assert.deepEqual([posted, previous, lifetime], [0n, 0n, 400n])
  })

  test('never takes more back than is there: an admin may have cleared the limit in between', () => {
    const { bench, limit, hold } = expired('1m')
    assert.deepEqual(bench.ledger.clear(limit.id, NOW), [{ windowStart: NOW, amount: -100n }])
    assert.deepEqual(bench.ledger.settleLate(hold, amountsOf({})), [])
    assert.equal(bench.read(limit).posted, 0n)
  })
})

describe('a correction by an admin', () => {
  test('U11 clears what is posted; holds, the window and the lifetime total stay', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'tokens', max: 100n, window: '1h', anchor: NOW })
    const link = bench.link(limit)
    bench.ledger.settle(bench.hold([link], { tokens: 60n }), amountsOf({ tokens: 60n }))
    bench.hold([link], { tokens: 40n })
    assert.deepEqual(bench.ledger.clear(limit.id, NOW + MINUTE), [{ windowStart: NOW, amount: -60n }])
    const { posted, held, lifetime, windowStart } = bench.read(limit, NOW + MINUTE)
    assert.deepEqual([posted, held, lifetime, windowStart], [0n, 40n, 60n, NOW])
    assert.deepEqual(bench.ledger.clear(limit.id, NOW + MINUTE), [], 'there is nothing left to take')
  })

  test('U11 of a sliding limit also clears the window before, which still weighs', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'tokens', max: 100n, window: '1m', align: 'sliding', anchor: NOW })
    const link = bench.link(limit)
    bench.ledger.settle(bench.hold([link], { tokens: 100n }), amountsOf({ tokens: 100n }))
    assert.equal(bench.tryHold([link], { tokens: 100n }, NOW + MINUTE + 1).ok, false)
    assert.deepEqual(bench.ledger.clear(limit.id, NOW + MINUTE + 1), [{ windowStart: NOW, amount: -100n }])
    assert.equal(bench.tryHold([link], { tokens: 100n }, NOW + MINUTE + 1).ok, true)
  })

  test('cannot take a total below zero', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'tokens', max: 100n })
    bench.link(limit)
    assert.equal(bench.ledger.correct(limit.id, 5n, NOW), bench.read(limit).windowStart)
    assert.throws(() => bench.ledger.correct(limit.id, -6n, NOW), RangeError)
    assert.equal(bench.read(limit).posted, 5n)
    assert.equal(bench.ledger.correct('nothing', 1n, NOW), null)
    assert.deepEqual(bench.ledger.clear('nothing', NOW), [])
  })
})

describe('what the books give back after a restart', () => {
  test('F11 counts on: posted, the window before of a sliding limit, and the lifetime total', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'tokens', max: 100n, window: '1m', align: 'sliding', anchor: NOW })
    bench.link(limit)
    bench.ledger.restore(limit.id, {
      posted: 10n,
      windowStart: NOW,
      previousPosted: 60n,
      previousStart: NOW - MINUTE,
      lifetime: 500n,
    })
    const half = bench.read(limit, NOW + MINUTE / 2)
    assert.deepEqual([half.posted, half.used, half.lifetime], [10n, 40n, 500n])
  })

  test('a window that does not end where the next begins does not weigh', () => {
    const bench = new Bench()
    const limit = aLimit({ metric: 'tokens', max: 100n, window: '1m', align: 'sliding', anchor: NOW })
    bench.link(limit)
    const books = { posted: 10n, windowStart: NOW, previousPosted: 60n, lifetime: 500n }
    bench.ledger.restore(limit.id, { ...books, previousStart: NOW - 2 * MINUTE })
    assert.equal(bench.read(limit, NOW).used, 10n)
  })
})

describe('a limit that begins a new count', () => {
  const begun = (after: Partial<Limit>) => {
    const bench = new Bench()
    const before = aLimit({ metric: 'tokens', max: 100n, window: '1h', anchor: NOW })
    const link = bench.link(before)
    bench.ledger.settle(bench.hold([link], { tokens: 60n }), amountsOf({ tokens: 60n }))
    const open = bench.hold([link], { tokens: 40n })
    const limit = aLimit({ ...before, window: '1d', countNumber: 2, ...after })
    bench.ledger.track(limit, NOW)
    return { bench, limit, open }
  }

  test('starts empty, with its lifetime total kept; what was in flight ends in that total alone', () => {
    const { bench, limit, open } = begun({})
    assert.deepEqual([bench.read(limit).posted, bench.read(limit).held, bench.read(limit).lifetime], [0n, 0n, 60n])
    bench.ledger.settle(open, amountsOf({ tokens: 30n }))
    assert.deepEqual([bench.read(limit).posted, bench.read(limit).held, bench.read(limit).lifetime], [0n, 0n, 90n])
    assert.deepEqual(bench.ledger.violations(), [])
  })

  test('leaves what expired before to be settled late in the lifetime total and the books alone', () => {
    const { bench, limit, open } = begun({})
    bench.ledger.expire(open, amountsOf({ tokens: 5n }))
    assert.deepEqual(bench.ledger.settleLate(open, amountsOf({ tokens: 25n })), [[limit.id, 1, NOW, 'tokens', '20']])
    assert.deepEqual([bench.read(limit).posted, bench.read(limit).lifetime], [0n, 85n])
  })

  test('of another metric starts its lifetime total anew: tokens and dollars do not add up', () => {
    const { bench, limit, open } = begun({ metric: 'cost' })
    bench.ledger.settle(open, amountsOf({ tokens: 30n, cost: 7n }))
    assert.deepEqual([bench.read(limit).posted, bench.read(limit).lifetime], [0n, 0n])
  })

  test('while a request is in flight can still have its hold moved, or not', () => {
    const { bench, limit, open } = begun({})
    const meter = bench.ledger.meterOf(limit.id)
    assert.ok(meter)
    const chain = [{ limit, meter, metric: METRICS.indexOf('tokens'), enforced: true }]
    const to = (tokens: bigint) => ({ requestId: 'r', attempt: 2, chain, amounts: amountsOf({ tokens }), deadline: 0 })
    const before = bench.read(limit)
    assert.equal(bench.ledger.move(open, amountsOf({ tokens: 5n }), to(101n), NOW).ok, false)
    assert.deepEqual(bench.read(limit), before)
    assert.equal(bench.ledger.move(open, amountsOf({ tokens: 5n }), to(100n), NOW).ok, true)
    assert.deepEqual([bench.read(limit).held, bench.read(limit).lifetime], [100n, 65n])
  })
})

test('T17 a limit that was unreadable for a while counts elsewhere: what was in flight ends in its lifetime total, or not at all', () => {
  const bench = new Bench()
  const limit = aLimit({ metric: 'tokens', max: 100n })
  const open = bench.hold([bench.link(limit)], { tokens: 40n })
  bench.ledger.track({ ...limit, spec: null, invalid: 'window' }, NOW)
  const other = bench.link(aLimit({ metric: 'tokens', max: 100n }))
  assert.equal(other.meter.slot, open.places[0]?.slot, 'the slot is used again')
  const mended = bench.link(limit)
  const to = { requestId: 'r', attempt: 2, chain: [mended], amounts: amountsOf({ tokens: 101n }), deadline: 0 }
  assert.equal(bench.ledger.move(open, amountsOf({ tokens: 5n }), to, NOW).ok, false)
  assert.equal(bench.read(limit).lifetime, 0n)
  bench.ledger.settle(open, amountsOf({ tokens: 30n }))
  assert.deepEqual([bench.read(limit).posted, bench.read(limit).lifetime], [0n, 30n])
  assert.deepEqual([bench.read(other.limit).posted, bench.read(other.limit).lifetime], [0n, 0n])
})

test('what the books give beyond 64 bits or below zero is taken as far as a total goes', () => {
  const bench = new Bench()
  const limit = aLimit({ metric: 'tokens', max: 100n, window: '1m', align: 'sliding', anchor: NOW })
  bench.link(limit)
  const books = { windowStart: NOW, previousPosted: 2n ** 70n, previousStart: NOW - MINUTE }
  bench.ledger.restore(limit.id, { ...books, posted: -5n, lifetime: 2n ** 64n })
  const { posted, previous, lifetime } = bench.read(limit)
  assert.deepEqual([posted, previous, lifetime], [0n, MOST, MOST])
})

test('the meters refuse more limits than they have room for, and take one again where one was given back', () => {
  const ledger = new Ledger(new Meters(() => 0, new SharedArrayBuffer(4 * 128)))
  const limits = Array.from({ length: 4 }, () => aLimit({ metric: 'cost', max: 1n }))
  const [first, second, third, fourth] = limits as [Limit, Limit, Limit, Limit]
  for (const limit of [first, second, third]) ledger.track(limit, NOW)
  assert.throws(() => ledger.track(fourth, NOW), RangeError)
  ledger.untrack(second.id)
  ledger.track(fourth, NOW)
  assert.equal(ledger.read(fourth.id, NOW)?.posted, 0n)
})

test('I2 the invariant check finds what is held by nobody, what is held twice, and what is below zero', () => {
  const bench = new Bench()
  const limit = aLimit({ metric: 'cost', max: 100n })
  const link = bench.link(limit)
  bench.hold([link], { cost: 10n })
  assert.deepEqual(bench.ledger.violations(), [])
  const words = new BigInt64Array(bench.meters.buffer)
  const at = link.meter.slot * 16
  const held = words.indexOf(10n, at)
  words[held] = 12n
  assert.deepEqual(bench.ledger.violations(), [{ limitId: limit.id, cell: 'held', found: 12n, expected: 10n }])
  words[held] = 10n
  words[at] = -1n
  assert.deepEqual(bench.ledger.violations(), [{ limitId: limit.id, cell: 'posted', found: -1n, expected: null }])
})
