/** The headers by which clients see their limits: of each kind the tightest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitHeaders } from '../../src/admission/headers.ts'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Engine, put } from './engine.ts'

function headersOf(engine: Engine): Record<string, string> {
  const chain = engine.admission.chains.of(engine.store, engine.principal, 'openai', 'gpt-4o')
  return limitHeaders(chain, engine.ledger, engine.clock.now())
}

test('the tightest limit of each kind is the one with the least left, whatever its size and level', () => {
  const engine = new Engine()
  const { user, key, team } = engine.scopes
  engine.limit({ metric: 'requests', max: 100n, window: '1m', scope: team })
  engine.limit({ metric: 'requests', max: 3n, window: '1h', scope: user })
  engine.limit({ metric: 'tokens', max: 10_000n, window: '1m', scope: key })
  engine.limit({ metric: 'tokens', max: 9_000n, window: '1d', scope: team })
  engine.limit({ metric: 'cost', max: 12_500_000_000n, window: '1M', align: 'calendar', scope: team })
  engine.limit({ metric: 'cost', max: 12_600_000_000n, window: '1d', scope: user })
  engine.ledger.settle(engine.admit().hold, amountsOf({ requests: 1n, tokens: 150n, cost: 200_000n }))
  engine.clock.advance(30_000)
  assert.deepEqual(headersOf(engine), {
    'x-bursar-budget-remaining-usd': '12.4998',
    'x-bursar-budget-resets-at': '2026-12-01T00:00:00Z',
    'x-ratelimit-limit-requests': '3',
    'x-ratelimit-remaining-requests': '2',
    'x-ratelimit-reset-requests': '59m30s',
    'x-ratelimit-limit-tokens': '9000',
    'x-ratelimit-remaining-tokens': '8850',
    'x-ratelimit-reset-tokens': '23h59m30s',
  })
})

test('all of them are read at one moment, without those that are not shown', () => {
  const engine = new Engine()
  // Of limits that are otherwise alike the smaller id comes first, and ids made in one millisecond come in any order.
  const rates = (['requests', 'tokens'] as const).map((metric) => engine.limit({ metric, max: 5n }).id).sort()
  const shown = [...rates, engine.limit({ metric: 'cost', max: 5n }).id]
  engine.limit({ metric: 'concurrency', max: 5n })
  engine.limit({ metric: 'requests', max: 5n, scope: engine.scopes.global })
  const chain = engine.admission.chains.of(engine.store, engine.principal, 'openai', 'gpt-4o')
  const reads: (readonly string[])[][] = []
  const tightest = (groups: readonly (readonly string[])[], now: number) => {
    reads.push([...groups])
    return engine.ledger.tightest(groups, now)
  }
  const headers = limitHeaders(chain, { tightest }, engine.clock.now())
  assert.equal(headers['x-ratelimit-remaining-tokens'], '5')
  assert.equal(reads.length, 1)
  assert.deepEqual(reads.flat(2).sort(), shown.sort())
})

test('what is held counts as used, and remaining never falls below zero', () => {
  const engine = new Engine()
  const limit = engine.limit({ metric: 'requests', max: 5n, window: '1m' })
  for (let made = 0; made < 3; made++) engine.admit()
  assert.equal(headersOf(engine)['x-ratelimit-remaining-requests'], '2')
  engine.apply(put('limit', { ...limit, max: 1n }))
  assert.equal(headersOf(engine)['x-ratelimit-remaining-requests'], '0')
})

test('observed limits, global ones and those that no gate enforces are not shown', () => {
  const observed = new Engine()
  observed.limit({ metric: 'requests', max: 1n, mode: 'observe' })
  observed.limit({ metric: 'cost', max: 1n, scope: observed.scopes.global })
  assert.deepEqual(headersOf(observed), {})
  const special = new Engine({ user: { kind: 'special' } })
  special.limit({ metric: 'requests', max: 1n, scope: special.scopes.user })
  assert.deepEqual(headersOf(special), {})
  const ungated = new Engine({ gates: [] })
  ungated.limit({ metric: 'requests', max: 1n })
  assert.deepEqual(headersOf(ungated), {})
})

test('limits on input or output tokens and on concurrency are not those of the token header', () => {
  const engine = new Engine()
  engine.limit({ metric: 'input_tokens', max: 1_000n })
  engine.limit({ metric: 'output_tokens', max: 1_000n })
  engine.limit({ metric: 'concurrency', max: 10n })
  assert.deepEqual(headersOf(engine), {})
})

test('of equally tight limits the first in the contract’s order is shown', () => {
  const engine = new Engine()
  engine.limit({ metric: 'requests', max: 5n, window: '1h', scope: engine.scopes.team })
  engine.limit({ metric: 'requests', max: 5n, window: '1m', scope: engine.scopes.key })
  assert.equal(headersOf(engine)['x-ratelimit-reset-requests'], '1m0s')
})

test('what never resets says nothing of a reset', () => {
  const engine = new Engine()
  engine.limit({ metric: 'requests', max: 5n, window: 'lifetime', align: null })
  engine.limit({ metric: 'cost', max: 5_000_000_000n, window: 'lifetime', align: null })
  assert.deepEqual(headersOf(engine), {
    'x-bursar-budget-remaining-usd': '5.00',
    'x-ratelimit-limit-requests': '5',
    'x-ratelimit-remaining-requests': '5',
  })
})

test('an override is the limit while it lasts', () => {
  const engine = new Engine()
  engine.limit({ metric: 'requests', max: 5n, override: { max: 50n, until: engine.clock.now() + 1_000 } })
  assert.equal(headersOf(engine)['x-ratelimit-limit-requests'], '50')
  engine.clock.advance(1_000)
  assert.equal(headersOf(engine)['x-ratelimit-limit-requests'], '5')
})
