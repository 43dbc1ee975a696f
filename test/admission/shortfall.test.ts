/** How long until a refused request fits: exact, or the client comes back too early or too late. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isUnreachable, msUntilAllFit, msUntilFits, retryAfterS } from '../../src/admission/shortfall.ts'
import { amountsOf, type ChainLimit, type Shortfall } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'

const NOW = Date.parse('2026-10-24T12:00:00Z')
const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 3_600_000

class Bench {
  readonly ledger = new Ledger(new Meters(() => 0, new SharedArrayBuffer(4_096)))
  readonly link: ChainLimit

  constructor(limit: Limit, now = NOW) {
    this.ledger.track(limit, now)
    const meter = this.ledger.meterOf(limit.id)
    assert.ok(meter)
    this.link = { limit, meter, metric: METRICS.indexOf(limit.metric), enforced: true }
  }

  ask(amount: bigint, now: number) {
    const amounts = amountsOf({ [this.link.limit.metric]: amount })
    return this.ledger.hold({ requestId: 'r', attempt: 1, chain: [this.link], amounts, deadline: 0 }, now)
  }

  use(amount: bigint, now: number): void {
    const outcome = this.ask(amount, now)
    assert.ok(outcome.ok)
    this.ledger.settle(outcome.hold, amountsOf({ [this.link.limit.metric]: amount }))
  }

  fits(amount: bigint, now: number): boolean {
    const outcome = this.ask(amount, now)
    if (outcome.ok) this.ledger.void(outcome.hold)
    return outcome.ok
  }

  shortfall(amount: bigint, now: number): Shortfall {
    const outcome = this.ask(amount, now)
    assert.ok(!outcome.ok)
    return outcome.shortfalls[0]
  }
}

const tokens = (fields: Partial<Limit>) => aLimit({ metric: 'tokens', max: 100n, anchor: NOW, ...fields })

describe('F14 a refused request', () => {
  const kinds: readonly (readonly [string, Limit['align'], string])[] = [
    ['1s', 'fixed', 'UTC'],
    ['7s', 'sliding', 'UTC'],
    ['1m', 'fixed', 'UTC'],
    ['1m', 'sliding', 'UTC'],
    ['1h30m', 'sliding', 'UTC'],
    ['1d', 'sliding', 'UTC'],
    ['1M', 'fixed', 'UTC'],
    ['1d', 'calendar', 'Europe/Berlin'],
    ['1w', 'calendar', 'America/New_York'],
    ['1Q', 'calendar', 'UTC'],
    ['daily', null, 'Europe/Berlin'],
    ['30 2 * * *', null, 'Europe/Berlin'],
  ]
  const anyLimit = fc
    .record({
      kind: fc.constantFrom(...kinds),
      max: fc.integer({ min: 1, max: 1_000 }),
      anchor: fc.integer({ min: -HOUR, max: 0 }),
    })
    .map(({ kind: [window, align, timezone], max, anchor }) =>
      aLimit({ metric: 'tokens', max: BigInt(max), window, align, timezone, anchor: NOW + anchor }),
    )
  /** Amounts as shares of the maximum, each at some time after the one before, in shares of an hour. */
  const anyPast = fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 })), {
    maxLength: 12,
  })

  test('fits after exactly the time it is told, and not one millisecond earlier, for every kind of window', () => {
    let refused = 0
    fc.assert(
      fc.property(anyLimit, anyPast, fc.integer({ min: 1, max: 100 }), (limit, past, wanted) => {
        const bench = new Bench(limit)
        const { start, end } = {
          start: bench.ledger.read(limit.id, NOW)?.windowStart ?? 0,
          end: bench.ledger.read(limit.id, NOW)?.windowEnd ?? 0,
        }
        let now = NOW
        for (const [share, pause] of past) {
          const amount = (limit.max * BigInt(share)) / 100n
          if (bench.fits(amount, now)) bench.use(amount, now)
          now += Math.floor((pause * (end - start)) / 100)
        }
        const amount = (limit.max * BigInt(wanted) + 99n) / 100n
        const outcome = bench.ask(amount, now)
        if (outcome.ok) return
        refused += 1
        const ms = msUntilFits(outcome.shortfalls[0], now)
        assert.ok(ms !== null && ms > 0, `${limit.window} ${limit.align}: ${ms}`)
        assert.equal(bench.fits(amount, now + ms - 1), false, 'one millisecond earlier it does not')
        assert.equal(bench.fits(amount, now + ms), true, 'then it does')
      }),
      { numRuns: 3_000 },
    )
    assert.ok(refused > 300, `${refused} refusals are too few to tell`)
  })

  test('of a calendar day is told to the second across the end of daylight saving', () => {
    const bench = new Bench(tokens({ window: '1d', align: 'calendar', timezone: 'Europe/Berlin' }))
    const atNoon = Date.parse('2026-10-25T11:00:00Z')
    bench.use(100n, atNoon)
    assert.equal(msUntilFits(bench.shortfall(1n, atNoon), atNoon), 12 * HOUR)
    const atSix = Date.parse('2026-10-24T22:00:00Z')
    const before = new Bench(tokens({ window: '1d', align: 'calendar', timezone: 'Europe/Berlin' }))
    before.use(100n, atSix)
    assert.equal(msUntilFits(before.shortfall(1n, atSix), atSix), 25 * HOUR, 'that day has 25 hours')
  })

  test('whose way is blocked by requests in flight alone is told to come back in a second', () => {
    for (const align of ['fixed', 'sliding'] as const) {
      const bench = new Bench(tokens({ window: '1h', align }))
      assert.ok(bench.ask(100n, NOW).ok)
      assert.equal(msUntilFits(bench.shortfall(1n, NOW), NOW), SECOND, align)
    }
    const concurrency = new Bench(aLimit({ metric: 'concurrency', max: 1n }))
    assert.ok(concurrency.ask(1n, NOW).ok)
    assert.equal(msUntilFits(concurrency.shortfall(1n, NOW), NOW), SECOND)
    const lifetime = new Bench(tokens({ window: 'lifetime', align: null }))
    assert.ok(lifetime.ask(100n, NOW).ok)
    assert.equal(msUntilFits(lifetime.shortfall(1n, NOW), NOW), SECOND)
  })

  test('also when those are still held in the cell before of a sliding window', () => {
    const bench = new Bench(tokens({ window: '1m', align: 'sliding' }))
    assert.ok(bench.ask(100n, NOW).ok)
    const later = NOW + MINUTE + SECOND
    const shortfall = bench.shortfall(50n, later)
    assert.deepEqual([shortfall.reading.previous, shortfall.reading.previousHeld], [100n, 100n])
    assert.equal(msUntilFits(shortfall, later), SECOND)
  })

  test('waits for what is posted even where something is held besides', () => {
    const bench = new Bench(tokens({ window: '1m' }))
    bench.use(60n, NOW)
    assert.ok(bench.ask(40n, NOW).ok)
    assert.equal(msUntilFits(bench.shortfall(50n, NOW + SECOND), NOW + SECOND), MINUTE - SECOND)
  })

  test('that no waiting helps is told nothing: a lifetime that is used up, a request larger than the limit', () => {
    const lifetime = new Bench(tokens({ window: 'lifetime', align: null }))
    lifetime.use(100n, NOW)
    assert.equal(msUntilFits(lifetime.shortfall(1n, NOW), NOW), null)
    assert.equal(isUnreachable(lifetime.shortfall(1n, NOW)), false)
    const small = new Bench(tokens({ window: '1m' }))
    assert.equal(msUntilFits(small.shortfall(101n, NOW), NOW), null)
    assert.equal(isUnreachable(small.shortfall(101n, NOW)), true)
  })
})

describe('B49 while an override lasts', () => {
  const overridden = (max: bigint, forMs: number) => tokens({ window: '1m', override: { max, until: NOW + forMs } })

  test('a request too large for it alone is not unreachable: it fits when the override ends', () => {
    const bench = new Bench(overridden(10n, 20 * SECOND))
    const shortfall = bench.shortfall(50n, NOW)
    assert.equal(isUnreachable(shortfall), false)
    assert.equal(msUntilFits(shortfall, NOW), 20 * SECOND)
    assert.equal(bench.fits(50n, NOW + 20 * SECOND - 1), false)
    assert.equal(bench.fits(50n, NOW + 20 * SECOND), true)
  })

  test('a request that only the override has room for must come before it ends', () => {
    const inTime = new Bench(overridden(200n, 90 * SECOND))
    inTime.use(200n, NOW)
    assert.equal(msUntilFits(inTime.shortfall(150n, NOW), NOW), MINUTE)
    const tooLate = new Bench(overridden(200n, 30 * SECOND))
    tooLate.use(200n, NOW)
    assert.equal(msUntilFits(tooLate.shortfall(150n, NOW), NOW), null)
    assert.equal(msUntilFits(tooLate.shortfall(100n, NOW), NOW), MINUTE)
  })

  test('that never ends by itself its maximum is the one that counts', () => {
    const bench = new Bench(tokens({ window: '1m', override: { max: 10n, until: Number.POSITIVE_INFINITY } }))
    const shortfall = bench.shortfall(50n, NOW)
    assert.deepEqual([msUntilFits(shortfall, NOW), isUnreachable(shortfall)], [null, true])
    bench.use(10n, NOW)
    assert.equal(msUntilFits(bench.shortfall(5n, NOW), NOW), MINUTE)
  })
})

test('the wait is the longest of all limits in the way, none where one of them never gives way', () => {
  const minute = new Bench(tokens({ window: '1m' }))
  const hour = new Bench(tokens({ window: '1h' }))
  const lifetime = new Bench(tokens({ window: 'lifetime', align: null }))
  for (const bench of [minute, hour, lifetime]) bench.use(100n, NOW)
  const shortfalls = [minute, hour, minute].map((bench) => bench.shortfall(1n, NOW))
  assert.equal(msUntilAllFit(shortfalls, NOW), HOUR)
  assert.equal(msUntilAllFit([...shortfalls, lifetime.shortfall(1n, NOW)], NOW), null)
})

test('F14 retry-after is whole seconds, rounded up, at least one', () => {
  assert.deepEqual([0, 1, 999, 1_000, 1_001, 59_001].map(retryAfterS), [1, 1, 1, 1, 2, 60])
})
