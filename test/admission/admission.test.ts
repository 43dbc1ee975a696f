/** Admission: one indivisible hold on every level, or a refusal. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Admitted } from '../../src/admission/admission.ts'
import { RATE_LIMITER } from '../../src/admission/gate.ts'
import { linesOf } from '../../src/ledger/charges.ts'
import { FactSinkUnavailable } from '../../src/ledger/facts.ts'
import { amountsOf, NOTHING } from '../../src/ledger/hold.ts'
import type { Limit } from '../../src/store/entities.ts'
import { ZERO_USD } from '../../src/units/money.ts'
import { aCustomer, aLimit } from '../helpers/entities.ts'
import { Engine, NOW, put } from './engine.ts'

const PLENTY = 10n ** 15n

/** The attempt after this one; null where there is none. */
function next(admitted: Admitted, actual = NOTHING): Admitted | null {
  const moved = admitted.next(actual)
  if (moved === null) return null
  assert.ok(moved.ok)
  return moved.value
}

function heldOn(engine: Engine, limits: readonly Limit[]): bigint[] {
  return limits.map((limit) => engine.read(limit).held)
}

describe('a request', () => {
  test('T08 is held on user, key, team, customer and global together, each metric with its own amount', () => {
    const engine = new Engine()
    const scopes = Object.values(engine.scopes)
    const limits = scopes.map((scope) => engine.limit({ metric: 'cost', max: PLENTY, scope }))
    const others = (['requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency'] as const).map((metric) =>
      engine.limit({ metric, max: PLENTY }),
    )
    const { hold } = engine.admit()
    assert.deepEqual(
      heldOn(engine, limits),
      limits.map(() => 200_000n),
    )
    assert.deepEqual(heldOn(engine, others), [1n, 150n, 100n, 50n, 1n])
    engine.ledger.settle(
      hold,
      amountsOf({ requests: 1n, tokens: 120n, input_tokens: 100n, output_tokens: 20n, cost: 140_000n }),
    )
    assert.deepEqual(
      [...limits, ...others].map((limit) => engine.read(limit).posted),
      [...limits.map(() => 140_000n), 1n, 120n, 100n, 20n, 0n],
    )
    assert.deepEqual(
      heldOn(engine, [...limits, ...others]),
      [...limits, ...others].map(() => 0n),
    )
  })

  test('F01 among a thousand for one remaining place is the only one that passes', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 1n, scope: engine.scopes.team })
    const passed = Array.from({ length: 1_000 }, () => engine.admission.admit(engine.request())).filter(({ ok }) => ok)
    assert.equal(passed.length, 1)
  })

  test('F05 that is larger than what is left is refused, though something is left', () => {
    const engine = new Engine()
    engine.limit({ metric: 'cost', max: 1_000_000n })
    engine.ledger.settle(engine.admit().hold, amountsOf({ cost: 800_001n }))
    assert.equal(engine.fits(), false)
    assert.equal(engine.fits({ outputCeiling: 49 }), true)
  })

  test('B54 is stopped by the tightest level first, then by the next', () => {
    const engine = new Engine()
    const { key, team, customer } = engine.scopes
    const steps = [
      [key, 400_000n],
      [team, 600_000n],
      [customer, 800_000n],
    ] as const
    const limits = steps.map(([scope, max]) => engine.limit({ metric: 'cost', max, scope }))
    for (const limit of limits) {
      while (engine.fits()) engine.admit()
      assert.equal(engine.refuse().details.limit_id, limit.id)
      engine.apply(put('limit', { ...limit, max: PLENTY }))
      assert.equal(engine.fits(), true)
    }
  })

  test('B57 of a key with its own customer is charged there and to the team, not to the team’s customer', () => {
    const engine = new Engine()
    const own = aCustomer({ name: 'own' })
    engine.apply(put('customer', own), put('virtual_key', { ...engine.key, customerId: own.id }))
    const limits = [engine.scopes.team, { kind: 'customer', id: own.id } as const, engine.scopes.customer].map(
      (scope) => engine.limit({ metric: 'cost', max: PLENTY, scope }),
    )
    engine.admit()
    assert.deepEqual(heldOn(engine, limits), [200_000n, 200_000n, 0n])
  })

  test('U09 of a special user is counted on the user’s limits and passes them; its team’s still hold', () => {
    const engine = new Engine({ user: { kind: 'special' } })
    const own = engine.limit({ metric: 'tokens', max: 1n, scope: engine.scopes.user })
    const ofTeam = engine.limit({ metric: 'tokens', max: 300n, scope: engine.scopes.team })
    engine.admit()
    engine.admit()
    assert.equal(engine.read(own).held, 300n)
    assert.equal(engine.refuse().details.limit_id, ofTeam.id)
    engine.apply(put('user', { ...engine.user, kind: 'normal' }))
    assert.equal(engine.refuse().details.limit_id, own.id, 'no longer special')
  })

  test('is counted and not refused by an observed limit, and by a metric whose gate was left out', () => {
    const engine = new Engine({ gates: [RATE_LIMITER] })
    const observed = engine.limit({ metric: 'requests', max: 1n, mode: 'observe' })
    const ungated = engine.limit({ metric: 'cost', max: 1n })
    for (let made = 0; made < 3; made++) engine.admit()
    assert.deepEqual(heldOn(engine, [observed, ungated]), [3n, 600_000n])
  })

  test('is in the journal before it is forwarded: who, where, and what is held on which window', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'tokens', max: 1_000n, window: '1m' })
    const { hold, identity } = engine.admit({ stream: true, tags: ['a'] })
    const facts = engine.facts.of('hold').map((fact) => ({ ...fact, charges: linesOf(fact.charges) }))
    assert.deepEqual(facts, [
      {
        t: 'hold',
        identity,
        at: NOW,
        charges: [[limit.id, 1, NOW, 'tokens', '150']],
        inputTokens: 100,
        inputCostNanoUsd: '100000',
        outputTokens: 50,
        costNanoUsd: '200000',
      },
    ])
    const { virtualKeyId, userId, teamId, customerId, provider, model, endpoint, stream, tags, attempt } = identity
    assert.deepEqual(
      [virtualKeyId, userId, teamId, customerId],
      [engine.key.id, engine.user.id, engine.team.id, engine.customer.id],
    )
    assert.deepEqual([provider, model, endpoint, stream, tags, attempt], ['openai', 'gpt-4o', 'chat', true, ['a'], 1])
    assert.equal(hold.deadline, engine.clock.elapsed() + 60_000)
  })
})

describe('the next request feels', () => {
  test('F16 a limit that was added, changed or deleted', () => {
    const engine = new Engine()
    assert.equal(engine.fits(), true)
    const limit = engine.limit({ metric: 'tokens', max: 149n })
    assert.equal(engine.fits(), false)
    engine.apply(put('limit', { ...limit, max: 150n }))
    assert.equal(engine.fits(), true)
    engine.apply(put('limit', { ...limit, mode: 'observe' }))
    assert.equal(engine.fits(), true)
    engine.apply({ op: 'delete', kind: 'limit', id: limit.id })
    assert.equal(engine.ledger.read(limit.id, NOW), null)
    assert.equal(engine.fits(), true)
  })

  test('T15 B102 a new maximum with the count kept, a new window with the count begun anew', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'tokens', max: 1_000n, window: '1m' })
    engine.ledger.settle(engine.admit().hold, amountsOf({ tokens: 120n }))
    engine.apply(put('limit', { ...limit, max: 500n }))
    assert.deepEqual([engine.read(limit).posted, engine.read(limit).remaining], [120n, 380n])
    const daily = { metric: 'tokens', max: 500n, window: '1d', anchor: NOW, id: limit.id, scope: limit.scope } as const
    engine.apply(put('limit', aLimit({ ...daily, countNumber: 2 })))
    assert.deepEqual([engine.read(limit).posted, engine.read(limit).windowEnd], [0n, NOW + 86_400_000])
  })

  test('T11 that the key or a limit was deleted while a request was in flight: the rest is charged, nothing breaks', () => {
    const engine = new Engine()
    const global = engine.limit({ metric: 'tokens', max: 1_000n, scope: engine.scopes.global, provider: 'openai' })
    const ofKey = engine.limit({ metric: 'tokens', max: 1_000n })
    const { hold, identity } = engine.admit()
    engine.apply(
      { op: 'delete', kind: 'limit', id: ofKey.id },
      { op: 'delete', kind: 'virtual_key', id: engine.key.id },
    )
    assert.equal(engine.ledger.settle(hold, amountsOf({ tokens: 130n })), 'done')
    assert.deepEqual([engine.read(global).posted, engine.read(global).held], [130n, 0n])
    assert.equal(identity.virtualKeyId, engine.key.id)
  })
})

describe('a fallback', () => {
  const twoProviders = (engine: Engine) => [engine.candidate(), engine.candidate({ provider: engine.azure })] as const

  test('T03 F20 takes the hold along: shared limits count once, those of the providers are swapped', () => {
    const engine = new Engine()
    const shared = engine.limit({ metric: 'requests', max: 1n })
    const ofOpenai = engine.limit({ metric: 'requests', max: 5n, provider: 'openai' })
    const ofAzure = engine.limit({ metric: 'requests', max: 5n, provider: 'azure' })
    const first = engine.admit({}, twoProviders(engine))
    const second = next(first)
    assert.ok(second)
    assert.deepEqual([second.candidate.provider.name, second.identity.attempt], ['azure', 2])
    assert.deepEqual([first.hold.state, second.hold.state], ['voided', 'held'])
    assert.deepEqual(heldOn(engine, [shared, ofOpenai, ofAzure]), [1n, 0n, 1n])
    assert.equal(engine.facts.of('hold').length, 2)
    assert.equal(next(second), null, 'there is no third')
    assert.equal(second.hold.state, 'held')
  })

  test('B121 that does not fit is passed over; what the failed attempt used stays posted', () => {
    const engine = new Engine()
    const shared = engine.limit({ metric: 'tokens', max: 1_000n })
    engine.limit({ metric: 'requests', max: 1n, provider: 'azure' })
    engine.admit({}, [engine.candidate({ provider: engine.azure })])
    const route = [...twoProviders(engine), engine.candidate({ model: 'gpt-3.5' })] as const
    const first = engine.admit({}, route)
    const second = next(first, amountsOf({ tokens: 100n }))
    assert.equal(second?.candidate.model, 'gpt-3.5')
    assert.equal(first.hold.state, 'settled')
    assert.deepEqual([engine.read(shared).posted, engine.read(shared).held], [100n, 300n])
  })

  test('B122 none of which fits changes nothing, and the attempt in flight is still held', () => {
    const engine = new Engine()
    const shared = engine.limit({ metric: 'tokens', max: 1_000n })
    engine.limit({ metric: 'tokens', max: 1n, provider: 'azure' })
    const first = engine.admit({}, twoProviders(engine))
    assert.equal(first.next(amountsOf({ tokens: 100n })), null)
    assert.equal(first.hold.state, 'held')
    assert.deepEqual([engine.read(shared).posted, engine.read(shared).held], [0n, 150n])
    assert.equal(engine.facts.of('hold').length, 1)
  })

  test('is chosen at once where the first candidate does not fit', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 1n, provider: 'openai' })
    assert.equal(engine.admit({}, twoProviders(engine)).candidate.provider.name, 'azure')
  })

  test('B117 to B123: when no candidate fits, the first one’s refusal is given with each one’s reason', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 1n, provider: 'openai' })
    engine.limit({ metric: 'cost', max: 1n, provider: 'azure' })
    engine.admit()
    const { code, details } = engine.refuse({}, twoProviders(engine))
    assert.equal(code, 'rate_limited')
    assert.deepEqual(
      details.candidates?.map(({ provider, code }) => [provider, code]),
      [
        ['openai', 'rate_limited'],
        ['azure', 'limit_unreachable'],
      ],
    )
    assert.equal(engine.refuse().details.candidates, undefined, 'with one candidate there is nothing to add')
  })

  test('that differs from a refused one by its provider key alone is refused with it, without another look', () => {
    let asked = 0
    const engine = new Engine({
      parts: {
        estimator: {
          estimate: () => {
            asked += 1
            return {
              inputTokens: 9,
              outputTokens: 9,
              costNanoUsd: ZERO_USD,
              inputCostNanoUsd: ZERO_USD,
              basis: 'bytes',
            }
          },
        },
      },
    })
    const ofOpenai = engine.limit({ metric: 'requests', max: 1n, provider: 'openai' })
    engine.limit({ metric: 'requests', max: 1n, provider: 'azure' })
    const key = (id: string) => ({ id, name: id, value: id, keyStart: id, weight: 1 })
    const keys = [engine.candidate({ providerKey: key('one') }), engine.candidate({ providerKey: key('two') })] as const
    engine.admit({}, [engine.candidate()])
    asked = 0
    assert.equal(engine.refuse({}, keys).details.candidates, undefined, 'one reason')
    engine.apply(put('limit', { ...ofOpenai, mode: 'observe' }))
    const ofAzure = { provider: engine.azure }
    const first = engine.admit({}, [
      engine.candidate(),
      engine.candidate({ ...ofAzure, providerKey: key('one') }),
      engine.candidate({ ...ofAzure, providerKey: key('two') }),
    ])
    engine.ledger.settle(engine.admit({}, [engine.candidate(ofAzure)]).hold, amountsOf({ requests: 1n }))
    asked = 0
    assert.equal(next(first), null)
    assert.ok(asked > 0)
    const looks = asked
    asked = 0
    engine.refuse({}, [engine.candidate(ofAzure)])
    assert.equal(looks, asked, 'both keys cost as much as one')
  })
})

describe('a limit that cannot be read', () => {
  test('T17 refuses its traffic by name until it is mended, and no other traffic', () => {
    const engine = new Engine()
    const broken = aLimit({
      metric: 'tokens',
      max: 1_000n,
      scope: engine.scopes.team,
      provider: 'openai',
      spec: null,
      invalid: 'window "1 month"',
    })
    engine.apply(put('limit', broken))
    const refusal = engine.refuse()
    assert.equal(refusal.code, 'limit_invalid')
    assert.ok(refusal.message.includes(broken.id) && refusal.message.includes('1 month'), refusal.message)
    assert.equal(engine.admit({}, [engine.candidate({ provider: engine.azure })]).candidate.provider.name, 'azure')
    const mended = aLimit({ ...broken, spec: null, invalid: null })
    const { spec } = aLimit({ metric: 'tokens', max: 1n })
    engine.apply(put('limit', { ...mended, spec }))
    assert.equal(engine.fits(), true)
  })
})

describe('F06 a model without a price', () => {
  const unpriced = (engine: Engine) => [engine.candidate({ price: null })] as const

  test('is refused where an enforced cost limit applies, and nowhere else', () => {
    const engine = new Engine()
    assert.ok(engine.admit({}, unpriced(engine)))
    engine.limit({ metric: 'tokens', max: PLENTY })
    engine.limit({ metric: 'cost', max: PLENTY, mode: 'observe' })
    engine.limit({ metric: 'cost', max: PLENTY, provider: 'azure' })
    assert.ok(engine.admit({}, unpriced(engine)))
    engine.limit({ metric: 'cost', max: PLENTY, scope: engine.scopes.global })
    const { code, param, message } = engine.refuse({}, unpriced(engine))
    assert.deepEqual([code, param], ['model_price_unknown', 'model'])
    assert.ok(message.includes('openai/gpt-4o'), message)
    assert.equal(engine.fits(), true, 'a model with a price passes')
  })

  test('passes where the policy says so', () => {
    const engine = new Engine({ parts: { refuseUnknownPrice: false } })
    engine.limit({ metric: 'cost', max: 1n })
    assert.ok(engine.admit({}, unpriced(engine)))
  })
})

describe('a journal that takes nothing', () => {
  test('refuses new work before anything is held', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'tokens', max: 1_000n })
    engine.facts.accepting = false
    const { code, retryAfterS } = engine.refuse()
    assert.deepEqual([code, retryAfterS], ['overloaded', 5])
    assert.equal(engine.read(limit).held, 0n)
  })

  test('F02 in the very moment of writing returns what was held', () => {
    let full = false
    const facts = {
      accepting: true,
      append: () => {
        if (full) throw new FactSinkUnavailable('full')
      },
      flushed: (callback: () => void) => callback(),
    }
    const engine = new Engine({ parts: { facts } })
    const limit = engine.limit({ metric: 'tokens', max: 1_000n })
    const first = engine.admit({}, [engine.candidate(), engine.candidate({ provider: engine.azure })])
    full = true
    assert.equal(engine.refuse().code, 'overloaded')
    assert.deepEqual([engine.read(limit).held, engine.ledger.openHoldCount], [150n, 1])
    const moved = first.next(amountsOf({ tokens: 20n }))
    assert.equal(moved?.ok === false && moved.refusal.code, 'overloaded', 'not as if nothing had changed')
    assert.equal(first.hold.state, 'settled')
    assert.deepEqual([engine.read(limit).held, engine.ledger.openHoldCount], [0n, 0])
    assert.equal(engine.read(limit).posted, 20n)
  })

  test('starts no further attempt of a request in flight, whose hold stays', () => {
    const engine = new Engine()
    const first = engine.admit({}, [engine.candidate(), engine.candidate({ provider: engine.azure })])
    engine.facts.accepting = false
    assert.equal(first.next(amountsOf({})), null)
    assert.equal(first.hold.state, 'held')
  })

  test('for a reason nobody foresaw is no reason to keep the hold either', () => {
    const facts = {
      accepting: true,
      append: () => {
        throw new TypeError('a bug')
      },
      flushed: () => {},
    }
    const engine = new Engine({ parts: { facts } })
    assert.throws(() => engine.admission.admit(engine.request()), TypeError)
    assert.equal(engine.ledger.openHoldCount, 0)
  })
})
