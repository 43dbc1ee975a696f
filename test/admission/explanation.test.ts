/** Explanations: what would happen, in the contract's words, and nothing happens. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Explanation, explain } from '../../src/admission/explanation.ts'
import type { RequestFacts } from '../../src/admission/request-facts.ts'
import { amountsOf } from '../../src/ledger/hold.ts'
import type { Route } from '../../src/providers/candidate.ts'
import { aLimit } from '../helpers/entities.ts'
import { Engine, put } from './engine.ts'

function explained(engine: Engine, facts: Partial<RequestFacts> = {}, route?: Route): Explanation {
  return explain(engine.admission, engine.request(facts, route), engine.readMeters, engine.clock.now(), 3)
}

describe('an explanation', () => {
  test('has the contract’s form', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'requests', max: 60n, window: '1m' })
    for (let made = 0; made < 12; made++) engine.ledger.settle(engine.admit().hold, amountsOf({ requests: 1n }))
    engine.admit()
    const route = [engine.candidate(), engine.candidate({ provider: engine.azure })] as const
    assert.deepEqual(explained(engine, {}, route), {
      verdict: 'allow',
      code: null,
      message: null,
      provider: 'openai',
      model: 'gpt-4o',
      attempts: ['openai', 'azure'],
      estimate: { input_tokens: 100, output_tokens: 50, cost_usd: '0.0002', basis: 'bytes' },
      limits: [
        {
          limit_id: limit.id,
          scope: 'virtual_key',
          scope_id: engine.key.id,
          scope_name: 'notebook',
          metric: 'requests',
          provider: null,
          model: null,
          max: 60,
          posted: 12,
          held: 1,
          requested: 1,
          remaining: 47,
          window: '1m',
          resets_at: '2026-11-21T12:01:00Z',
          mode: 'enforce',
          verdict: 'allow',
        },
      ],
      details: null,
    })
  })

  test('names no more attempts than would be made', () => {
    const engine = new Engine()
    const { attempts } = explained(engine, {}, [
      ...([engine.candidate(), engine.candidate()] as const),
      ...[engine.azure, engine.azure].map((provider) => engine.candidate({ provider })),
    ])
    assert.deepEqual(attempts, ['openai', 'openai', 'azure'])
  })

  test('of a refusal carries the very refusal the request would get', () => {
    const engine = new Engine()
    engine.limit({ metric: 'cost', max: 199_999n })
    engine.limit({ metric: 'requests', max: 1n, scope: engine.scopes.user, mode: 'observe' })
    engine.admit({ outputCeiling: 0 })
    const explanation = explained(engine)
    const refusal = engine.refuse()
    assert.deepEqual(
      [explanation.verdict, explanation.code, explanation.message, explanation.details],
      ['refuse', refusal.code, refusal.message, refusal.details],
    )
    assert.deepEqual(
      explanation.limits.map(({ verdict }) => verdict),
      ['would_refuse', 'refuse'],
    )
  })

  test('T10 asks nothing of a limit the request does not touch, however full it is', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'output_tokens', max: 100n })
    engine.admit()
    engine.apply(put('limit', { ...limit, max: 10n }))
    const facts = { endpoint: 'embeddings', producesOutput: false, outputCeiling: null } as const
    const explanation = explained(engine, facts)
    assert.deepEqual([explanation.verdict, explanation.limits[0]?.verdict], ['allow', 'allow'])
    assert.ok(engine.admit(facts))
  })

  test('shows global limits without numbers', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 60n, scope: engine.scopes.global })
    const [limit] = explained(engine).limits
    assert.deepEqual(
      [limit?.max, limit?.posted, limit?.held, limit?.requested, limit?.remaining, limit?.verdict],
      [null, null, null, null, null, 'allow'],
    )
  })

  test('names the first candidate that would be admitted, else the first with its refusal', () => {
    const engine = new Engine()
    const route = [engine.candidate(), engine.candidate({ provider: engine.azure })] as const
    const ofOpenai = engine.limit({ metric: 'requests', max: 1n, provider: 'openai' })
    engine.admit()
    assert.deepEqual([explained(engine, {}, route).verdict, explained(engine, {}, route).provider], ['allow', 'azure'])
    engine.limit({ metric: 'tokens', max: 1n, provider: 'azure' })
    const refused = explained(engine, {}, route)
    assert.deepEqual([refused.verdict, refused.provider, refused.code], ['refuse', 'openai', 'rate_limited'])
    assert.equal((refused.details as { limit_id: string }).limit_id, ofOpenai.id)
  })

  test('of a limit that cannot be read, and of an unknown price, is that refusal', () => {
    const engine = new Engine()
    engine.limit({ metric: 'cost', max: 1_000_000n })
    const unpriced = explained(engine, {}, [engine.candidate({ price: null })])
    assert.deepEqual(
      [unpriced.code, unpriced.provider, unpriced.estimate, unpriced.limits],
      ['model_price_unknown', 'openai', null, []],
    )
    engine.apply(put('limit', aLimit({ metric: 'requests', max: 1n, spec: null, invalid: 'window' })))
    assert.equal(explained(engine).code, 'limit_invalid')
  })
})

test('I9 explaining changes nothing, not one byte of the meters, and tells the journal nothing', () => {
  const engine = new Engine()
  const windows = ['1s', '1m', '1h'] as const
  for (const window of windows) {
    engine.limit({ metric: 'tokens', max: 1_000n, window })
    engine.limit({ metric: 'tokens', max: 1_000n, window, align: 'sliding', scope: engine.scopes.team })
    engine.limit({ metric: 'cost', max: 1_500_000n, window, scope: engine.scopes.user })
  }
  engine.ledger.settle(engine.admit().hold, amountsOf({ requests: 1n, tokens: 150n, cost: 1_000n }))
  engine.admit()
  const told = engine.facts.facts.length
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 7_200_000 }), (outputCeiling, pause) => {
      engine.clock.advance(pause % 3 === 0 ? pause : 0)
      const before = Buffer.from(new Uint8Array(engine.meters.buffer).slice())
      explained(engine, { outputCeiling })
      assert.ok(before.equals(new Uint8Array(engine.meters.buffer)))
      assert.equal(engine.facts.facts.length, told)
      assert.equal(engine.ledger.openHoldCount, 1)
    }),
  )
})

test('what an explanation says is what then happens', () => {
  let refusals = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 40_000 })), {
        minLength: 1,
        maxLength: 12,
      }),
      (steps) => {
        const engine = new Engine()
        engine.limit({ metric: 'tokens', max: 600n, window: '1m', align: 'sliding' })
        engine.limit({ metric: 'requests', max: 4n, window: '1m', scope: engine.scopes.team })
        engine.limit({ metric: 'cost', max: 1_200_000n, window: '1h', scope: engine.scopes.user })
        for (const [outputCeiling, pause] of steps) {
          const explanation = explained(engine, { outputCeiling })
          const result = engine.admission.admit(engine.request({ outputCeiling }))
          assert.equal(explanation.verdict, result.ok ? 'allow' : 'refuse')
          if (!result.ok) {
            refusals += 1
            assert.deepEqual([explanation.code, explanation.details], [result.refusal.code, result.refusal.details])
          } else {
            engine.ledger.settle(
              result.value.hold,
              amountsOf({ requests: 1n, tokens: BigInt(outputCeiling), cost: 1_000n }),
            )
          }
          engine.clock.advance(pause)
        }
      },
    ),
  )
  assert.ok(refusals > 20, `${refusals}`)
})
