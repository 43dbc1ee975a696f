/** Cases 33 to 60 of another gateway's own tests, where ours decides by what fits: posted + held + this request's hold ≤ max. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RequestFacts } from '../../src/admission/request-facts.ts'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Engine, NOW, put } from '../admission/engine.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR
const PLENTY = 10n ** 15n
const USD = 1_000_000_000n

/** A request that costs so many cents and produces nothing: the engine asks a thousand nano-dollars a byte. */
const cents = (count: number): Partial<RequestFacts> => ({ textBytes: count * 10_000, outputCeiling: 0 })
const CENT = USD / 100n

/** Lets a request through and settles it at these cents. */
function spend(engine: Engine, count: number, settledCents = count): void {
  engine.ledger.settle(engine.admit(cents(count)).hold, amountsOf({ cost: BigInt(settledCents) * CENT, requests: 1n }))
}

describe('rate limits', () => {
  test('B34 B40 requests used up to the maximum: the next is refused, also while the first is still in flight', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'requests', max: 1n })
    const { hold } = engine.admit()
    assert.equal(engine.refuse().code, 'rate_limited')
    engine.ledger.settle(hold, amountsOf({ requests: 1n }))
    const { code, details } = engine.refuse()
    assert.deepEqual([code, details.limit_id, details.posted, details.held], ['rate_limited', limit.id, 1, 0])
  })

  test('B35 requests and tokens both full: one refusal that names both', () => {
    const engine = new Engine()
    const limits = [engine.limit({ metric: 'requests', max: 2n }), engine.limit({ metric: 'tokens', max: 300n })]
    engine.admit()
    engine.admit()
    const { code, details } = engine.refuse()
    assert.equal(code, 'rate_limited')
    const named = [details.limit_id, ...details.also_exceeded.map(({ limit_id }) => limit_id)]
    assert.deepEqual(named.sort(), limits.map(({ id }) => id).sort())
  })

  test('B36 one below the maximum lets in a request for one, and not a request for more', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 3n })
    engine.admit()
    engine.admit()
    assert.equal(engine.fits(), true)
    engine.limit({ metric: 'tokens', max: 301n })
    engine.ledger.settle(engine.admit().hold, amountsOf({ tokens: 300n }))
    assert.equal(engine.fits({ textBytes: 1, outputCeiling: 0 }), true, 'the last token')
    assert.equal(engine.fits({ textBytes: 2, outputCeiling: 0 }), false)
  })

  test('B37 B44 when its window has passed a limit is empty at once, whatever was used and though no worker came by', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'tokens', max: 200n, window: '30s' })
    engine.ledger.settle(engine.admit().hold, amountsOf({ tokens: 900n }))
    engine.clock.advance(30 * SECOND - 1)
    assert.equal(engine.fits(), false)
    engine.clock.advance(1)
    assert.equal(engine.fits(), true)
    assert.equal(engine.read(limit).posted, 0n)
  })

  test('B38 the limit of a key for one provider refuses that provider’s traffic, not the other’s', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 200n, provider: 'openai' })
    engine.limit({ metric: 'tokens', max: PLENTY })
    engine.admit()
    assert.equal(engine.refuse().code, 'rate_limited')
    engine.admit({}, [engine.candidate({ provider: engine.azure })])
  })

  test('B39 a request for 500 tokens of a limit of 100 never passes, not even the first', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'tokens', max: 100n })
    assert.equal(engine.refuse({ textBytes: 450 }).code, 'limit_unreachable')
    assert.deepEqual([engine.read(limit).posted, engine.read(limit).held], [0n, 0n])
  })

  test('B42 four rules on one model count and begin anew each for itself', () => {
    const engine = new Engine()
    const scope = engine.scopes.global
    const [rpm, rpd, tpm, tpd] = [
      engine.limit({ metric: 'requests', max: 15n, window: '1m', scope, model: 'gpt-4o' }),
      engine.limit({ metric: 'requests', max: 100n, window: '1d', scope, model: 'gpt-4o' }),
      engine.limit({ metric: 'tokens', max: 3_000n, window: '1m', scope, model: 'gpt-4o' }),
      engine.limit({ metric: 'tokens', max: 4_000n, window: '1d', scope, model: 'gpt-4o' }),
    ]
    const use = (times: number, facts = {}) => {
      for (let n = 0; n < times; n++)
        engine.ledger.settle(engine.admit(facts).hold, amountsOf({ requests: 1n, tokens: 150n }))
    }
    use(15)
    assert.equal(engine.refuse().details.limit_id, rpm.id)
    engine.clock.advance(60 * SECOND)
    assert.deepEqual(
      [rpm, rpd, tpm, tpd].map((limit) => engine.read(limit).posted),
      [0n, 15n, 0n, 2_250n],
    )
    use(11)
    assert.equal(
      engine.refuse().details.limit_id,
      tpd.id,
      'the day’s tokens, with room for requests and for the minute',
    )
    engine.clock.advance(DAY)
    use(15)
    assert.deepEqual(
      [rpm, rpd, tpm, tpd].map((limit) => engine.read(limit).posted),
      [15n, 15n, 2_250n, 2_250n],
    )
  })

  test('B43 T06 a full limit of a provider refuses also who has no key', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 1n, scope: engine.scopes.global, provider: 'openai' })
    const anonymous = () => engine.admission.admit({ ...engine.request(), principal: ANONYMOUS })
    assert.equal(anonymous().ok, true)
    const second = anonymous()
    assert.equal(second.ok, false)
    assert.equal(second.ok ? null : second.refusal.code, 'rate_limited')
    assert.equal(engine.refuse().code, 'rate_limited', 'and who has one')
  })

  test('B45 B46 of two for the last place one passes, and the other leaves nothing on the limits that had room', () => {
    const engine = new Engine()
    const roomy = engine.limit({ metric: 'requests', max: 10n, scope: engine.scopes.user })
    const tight = engine.limit({ metric: 'requests', max: 3n, scope: engine.scopes.customer })
    engine.admit()
    engine.admit()
    const both = [engine.admission.admit(engine.request()), engine.admission.admit(engine.request())]
    assert.deepEqual(
      both.map(({ ok }) => ok),
      [true, false],
    )
    assert.deepEqual([engine.read(roomy).held, engine.read(tight).held], [3n, 3n])
  })
})

describe('budgets', () => {
  test('B48 a request that fits exactly passes; at the maximum and above it none does', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'cost', max: 100n * CENT })
    spend(engine, 60)
    assert.equal(engine.fits(cents(41)), false)
    assert.equal(engine.fits(cents(40)), true)
    spend(engine, 40)
    assert.equal(engine.refuse(cents(1)).code, 'budget_exceeded')
    engine.ledger.correct(limit.id, 50n * CENT, engine.clock.now())
    const { code, details } = engine.refuse(cents(1))
    assert.deepEqual([code, details.posted, details.max], ['budget_exceeded', '1.50', '1.00'])
  })

  test('B50 of an hourly and a daily budget each is enough to refuse', () => {
    const engine = new Engine()
    const hourly = engine.limit({ metric: 'cost', max: 10n * CENT, window: '1h' })
    const daily = engine.limit({ metric: 'cost', max: 25n * CENT, window: '1d' })
    spend(engine, 10)
    assert.equal(engine.refuse(cents(1)).details.limit_id, hourly.id)
    engine.clock.advance(HOUR)
    spend(engine, 10)
    engine.clock.advance(HOUR)
    spend(engine, 5)
    assert.equal(engine.refuse(cents(1)).details.limit_id, daily.id)
    engine.clock.advance(22 * HOUR)
    assert.equal(engine.fits(cents(1)), true)
  })

  test('B51 what was used counts, also beyond what was held: 3.5 then 7 on two budgets of 10 are 10.5 on both', () => {
    const engine = new Engine()
    const limits = [
      engine.limit({ metric: 'cost', max: 10n * USD }),
      engine.limit({ metric: 'cost', max: 10n * USD, window: '1w' }),
    ]
    spend(engine, 350)
    assert.equal(engine.fits(cents(700)), false, 'known to cost 7 it would not be let in')
    spend(engine, 600, 700)
    for (const limit of limits) assert.equal(engine.read(limit).posted, 1_050n * CENT)
    assert.equal(engine.refuse(cents(1)).code, 'budget_exceeded')
  })

  test('B52 a spent budget for one provider refuses that provider, though the key’s own is free', () => {
    const engine = new Engine()
    const spent = engine.limit({ metric: 'cost', max: 10n * CENT, provider: 'openai' })
    engine.limit({ metric: 'cost', max: PLENTY })
    spend(engine, 10)
    assert.equal(engine.refuse(cents(1)).details.limit_id, spent.id)
    engine.admit(cents(1), [engine.candidate({ provider: engine.azure })])
    const fallen = engine.admit(cents(1), [engine.candidate(), engine.candidate({ provider: engine.azure })])
    assert.equal(fallen.candidate.provider.name, 'azure')
  })

  test('B53 with room on key and team a spent customer refuses', () => {
    const engine = new Engine()
    const { key, team, customer } = engine.scopes
    for (const scope of [key, team]) engine.limit({ metric: 'cost', max: PLENTY, scope })
    const spent = engine.limit({ metric: 'cost', max: 10n * CENT, scope: customer })
    spend(engine, 10)
    const { code, details } = engine.refuse(cents(1))
    assert.deepEqual([code, details.limit_id, details.scope], ['budget_exceeded', spent.id, 'customer'])
  })

  test('B55 of a budget of 2 only as many calls of 0.80 pass as fit, and the third is not one of them', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'cost', max: 2n * USD, window: '1h' })
    spend(engine, 80)
    spend(engine, 80)
    assert.equal(engine.refuse(cents(80)).code, 'budget_exceeded')
    assert.equal(engine.fits(cents(40)), true)
    assert.equal(engine.read(limit).posted, 160n * CENT)
  })

  test('B56 B88 a budget is empty from the first moment of its next window, a calendar year too', () => {
    const engine = new Engine()
    const zone = { align: 'calendar', timezone: 'Europe/Berlin' } as const
    const hourly = engine.limit({ metric: 'cost', max: 10n * CENT, window: '1h' })
    const yearly = engine.limit({ metric: 'cost', max: 15n * CENT, window: '1Y', ...zone })
    spend(engine, 10)
    engine.clock.advance(HOUR)
    spend(engine, 5)
    assert.equal(engine.refuse(cents(1)).details.limit_id, yearly.id)
    const newYear = Date.parse('2027-01-01T00:00:00+01:00')
    engine.clock.advance(newYear - engine.clock.now() - 1)
    assert.equal(engine.read(hourly).posted, 0n)
    assert.equal(engine.fits(cents(1)), false)
    engine.clock.advance(1)
    assert.equal(engine.fits(cents(10)), true)
    assert.equal(engine.read(yearly).windowStart, newYear)
  })

  test('B60 a spent budget of a key for one model refuses that model alone', () => {
    const engine = new Engine()
    const spent = engine.limit({ metric: 'cost', max: 10n * CENT, model: 'gpt-4o' })
    spend(engine, 10)
    assert.equal(engine.refuse(cents(1)).details.limit_id, spent.id)
    engine.admit(cents(1), [engine.candidate({ model: 'gpt-4o-mini' })])
  })
})

describe('windows', () => {
  test('B83 B84 two gateways that look at different moments agree on every boundary, and none is ever late', () => {
    const [early, late] = [new Engine(), new Engine()]
    const limits = [early, late].map((engine) =>
      engine.limit({ metric: 'requests', max: PLENTY, window: '7m', anchor: NOW }),
    )
    for (let step = 1; step <= 200; step++) {
      early.clock.advance(97 * SECOND)
      late.clock.advance(97 * SECOND)
      if (step % 3 === 0) early.admit()
      if (step % 5 === 0) late.admit()
      const [one, other] = [early.read(limits[0] ?? assert.fail()), late.read(limits[1] ?? assert.fail())]
      assert.equal(one.windowStart, other.windowStart)
      assert.equal((one.windowStart - NOW) % (7 * 60 * SECOND), 0, 'exactly on the lattice')
      assert.ok(early.clock.now() >= one.windowStart && early.clock.now() < one.windowEnd)
    }
  })

  test('B85 B95 fourteen thousand idle windows are one step, for whoever looks first: the worker or a request', () => {
    const engine = new Engine()
    const until = NOW + 60 * SECOND
    const limit = engine.limit({ metric: 'requests', max: 1n, window: '1m', override: { max: 5n, until } })
    engine.ledger.settle(engine.admit().hold, amountsOf({ requests: 1n }))
    engine.clock.advance(14_400 * 60 * SECOND + 1)
    const rolled = () => engine.ledger.roll([limit.id], engine.clock.now())
    rolled()
    const after = engine.read(limit)
    assert.deepEqual([after.posted, after.windowStart], [0n, NOW + 14_400 * 60 * SECOND])
    rolled()
    assert.deepEqual(engine.read(limit), after, 'a second look changes nothing')
    assert.equal(after.max, 1n, 'the override is over')
    engine.admit()
    assert.equal(engine.refuse().details.max, 1, 'who was resolved before the roll sees the same meter')
  })

  test('B86 an override holds to its end, and an edit of the limit or of the key does not bring it back', () => {
    const engine = new Engine()
    const until = NOW + 2 * HOUR
    const limit = engine.limit({ metric: 'requests', max: 1n, window: '1h', override: { max: 2n, until } })
    for (let window = 0; window < 2; window++) {
      engine.admit()
      engine.admit()
      assert.equal(engine.fits(), false)
      engine.clock.advance(HOUR)
    }
    assert.equal(engine.read(limit).max, 1n)
    engine.apply(put('limit', { ...limit, alertAt: ['0.5'] }), put('virtual_key', { ...engine.key, name: 'renamed' }))
    engine.admit()
    assert.equal(engine.fits(), false)
  })

  test('B89 calendar quarters begin in January, April, July and October, four times a year', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'cost', max: PLENTY, window: '1Q', align: 'calendar' })
    const starts = new Set<string>()
    engine.clock.advance(Date.parse('2027-01-01T00:00:00Z') - engine.clock.now())
    for (let day = 0; day < 365; day++) {
      starts.add(new Date(engine.read(limit).windowStart).toISOString().slice(0, 10))
      if (day === 180) engine.apply(put('virtual_key', { ...engine.key, name: 'reloaded' }))
      engine.clock.advance(DAY)
    }
    assert.deepEqual([...starts], ['2027-01-01', '2027-04-01', '2027-07-01', '2027-10-01'])
  })

  test('B96 the caller cannot change an entity once the store has it', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'requests', max: 1n })
    engine.admit()
    assert.throws(() => Object.assign(limit, { max: 1_000n, mode: 'observe' }), TypeError)
    assert.equal(engine.fits(), false)
  })

  test('B97 T16 what the books have of a window that has passed counts no more, for active and for disabled keys', () => {
    const engine = new Engine()
    const scopes = [engine.scopes.key, engine.scopes.team]
    const limits = scopes.map((scope) => engine.limit({ metric: 'requests', max: 3n, window: '1h', scope }))
    engine.apply(put('virtual_key', { ...engine.key, active: false }))
    for (const { id } of limits) {
      engine.ledger.restore(id, {
        windowStart: NOW - HOUR,
        posted: 3n,
        previousStart: null,
        previousPosted: 0n,
        lifetime: 9n,
      })
      const reading = engine.ledger.read(id, NOW)
      assert.deepEqual([reading?.posted, reading?.windowStart, reading?.lifetime], [0n, NOW, 9n])
    }
    engine.apply(put('virtual_key', engine.key))
    assert.equal(engine.fits(), true)
  })
})
