/** A ledger that is told where its limits are kept opens their meters only as they are used, and nobody can tell the difference. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const MINUTE = 60_000

/** The ledger and the limits it has been given. */
class Bench {
  readonly limits = new Map<string, Limit>()
  readonly meters: Meters
  readonly ledger: Ledger

  constructor(isLazy: boolean, records = 64) {
    this.meters = new Meters(() => 0, new SharedArrayBuffer(records * 128))
    this.ledger = new Ledger(this.meters, isLazy ? (id) => this.limits.get(id) : null)
  }

  put(limit: Limit, now = NOW): void {
    this.ledger.track(limit, now)
    this.limits.set(limit.id, limit)
  }

  remove({ id }: Limit): void {
    this.limits.delete(id)
    this.ledger.untrack(id)
  }

  /** Holds and settles one request for `tokens`; false where there was no room. */
  use(limit: Limit, tokens: bigint, now = NOW): boolean {
    const meter = this.ledger.meterOf(limit.id)
    if (meter === null) return false
    const chain = [{ limit, meter, metric: METRICS.indexOf(limit.metric), enforced: true }]
    const amounts = amountsOf({ tokens })
    const outcome = this.ledger.hold({ requestId: 'r', attempt: 1, chain, amounts, deadline: 0 }, now)
    if (outcome.ok) this.ledger.settle(outcome.hold, amounts)
    return outcome.ok
  }
}

const limitOf = (fields: Partial<Limit> = {}) => aLimit({ metric: 'tokens', max: 100n, window: '1m', ...fields })

describe('a limit that nobody has used', () => {
  test('takes no meter: more may be tracked than there is room for, until they are used', () => {
    const bench = new Bench(true, 4)
    const limits = Array.from({ length: 10 }, () => limitOf())
    for (const limit of limits) bench.put(limit)
    for (const limit of limits) assert.equal(bench.ledger.read(limit.id, NOW)?.remaining, 100n)
    assert.equal(bench.ledger.inUse.size, 0)
    for (const limit of limits.slice(0, 3)) assert.ok(bench.use(limit, 100n))
    assert.deepEqual(
      [...bench.ledger.inUse.keys()],
      limits.slice(0, 3).map(({ id }) => id),
    )
    assert.throws(() => bench.use(limits[3] as Limit, 1n), RangeError)
  })

  test('is restored from the books all the same, and is gone once it is deleted or cannot be read', () => {
    const bench = new Bench(true)
    const [limit, unreadable] = [limitOf(), limitOf({ spec: null, invalid: 'window' })]
    for (const one of [limit, unreadable]) {
      bench.put(one)
      const state = { windowStart: NOW, posted: 60n, previousStart: null, previousPosted: 0n, lifetime: 70n }
      bench.ledger.restore(one.id, state)
    }
    const { posted, lifetime, remaining } = bench.ledger.read(limit.id, NOW) ?? {}
    assert.deepEqual([posted, lifetime, remaining], [60n, 70n, 40n])
    assert.equal(bench.ledger.read(unreadable.id, NOW), null)
    assert.equal(bench.ledger.meterOf(unreadable.id), null)
    bench.remove(limit)
    assert.equal(bench.ledger.meterOf(limit.id), null)
    assert.equal(bench.ledger.correct(limit.id, 1n, NOW), null)
  })

  test('takes what was in flight into its lifetime total when it comes again meanwhile', () => {
    const bench = new Bench(true)
    const limit = limitOf()
    bench.put(limit)
    const meter = bench.ledger.meterOf(limit.id)
    assert.ok(meter)
    const chain = [{ limit, meter, metric: METRICS.indexOf('tokens'), enforced: true }]
    const amounts = amountsOf({ tokens: 30n })
    const outcome = bench.ledger.hold({ requestId: 'r', attempt: 1, chain, amounts, deadline: 0 }, NOW)
    assert.ok(outcome.ok)
    bench.remove(limit)
    bench.put(limit)
    bench.ledger.settle(outcome.hold, amounts)
    const { posted, held, lifetime } = bench.ledger.read(limit.id, NOW) ?? {}
    assert.deepEqual([posted, held, lifetime], [0n, 0n, 30n])
    assert.deepEqual(bench.ledger.violations(), [])
  })
})

test('whatever is done to limits, they read the same with meters opened at once and with meters opened on use', () => {
  const windows = [
    { window: '1m', align: 'fixed' },
    { window: '1m', align: 'sliding' },
    { window: '1d', align: 'calendar' },
    { window: 'lifetime', align: null },
    { window: '0 * * * *', align: null },
  ] as const
  const step = fc.record({
    limit: fc.nat(3),
    action: fc.constantFrom(
      'use',
      'use',
      'use',
      'read',
      'max',
      'override',
      'new count',
      'remove',
      'put',
      'clear',
      'roll',
    ),
    amount: fc.bigInt(0n, 120n),
    pause: fc.constantFrom(0, 0, 1_000, MINUTE, 2 * MINUTE),
  })
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...windows), { minLength: 4, maxLength: 4 }),
      fc.array(step),
      (texts, steps) => {
        const limits = texts.map((text) => limitOf({ ...text, anchor: NOW }))
        const benches = [new Bench(false), new Bench(true)] as const
        let now = NOW
        for (const { limit: at, action, amount, pause } of steps) {
          now += pause
          const limit = limits[at] as Limit
          const edited = {
            max: { ...limit, max: amount + 1n },
            override: { ...limit, override: { max: amount + 1n, until: now + MINUTE } },
            'new count': { ...limit, countNumber: limit.countNumber + 1 },
            put: limit,
          }
          const said = benches.map((bench) => {
            const { ledger } = bench
            if (action === 'use') return bench.use(limit, amount, now)
            if (action === 'read') return ledger.tightest([[limit.id]], now)
            if (action === 'clear') return ledger.clear(limit.id, now)
            if (action === 'roll') return ledger.roll([...ledger.inUse.keys()], now)
            if (action === 'remove') return bench.remove(limit)
            return bench.put(edited[action], now)
          })
          assert.deepEqual(said[0], said[1])
          if (action in edited) limits[at] = edited[action as keyof typeof edited]
          const [early, late] = benches.map(({ ledger }) =>
            ledger.readAll(
              limits.map(({ id }) => id),
              now,
            ),
          )
          assert.deepEqual(early, late)
        }
      },
    ),
  )
})
