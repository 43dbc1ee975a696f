/** Chains: which limits a request meets, and in which order. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { order } from '../../src/admission/chain.ts'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import type { Limit } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'
import { Engine, put } from './engine.ts'

function chainOf(engine: Engine, provider: string | null = 'openai', model: string | null = 'gpt-4o') {
  return engine.admission.chains.of(engine.store, engine.principal, provider, model)
}

function idsOf(engine: Engine, provider?: string | null, model?: string | null): string[] {
  return chainOf(engine, provider, model).limits.map(({ limit }) => limit.id)
}

describe('the order of a chain', () => {
  test('is that of the contract: rate before cost; user, key, team, customer, global; selector; window; id', () => {
    const engine = new Engine()
    const { user, key, team, customer, global } = engine.scopes
    const make = (id: string, fields: Parameters<typeof aLimit>[0]) => aLimit({ id, ...fields })
    const rate = { metric: 'requests', max: 9n } as const
    const cost = { metric: 'cost', max: 9n } as const
    const wanted: Limit[] = [
      make('25', { ...rate, scope: user, window: 'lifetime', align: null }),
      make('24', { ...rate, scope: key, provider: 'openai', model: 'gpt-4o', window: '1Y' }),
      make('23', { ...rate, scope: key, model: 'gpt-4o', window: '1m' }),
      make('22', { ...rate, scope: key, provider: 'openai', model: 'gpt-*', window: '1m' }),
      make('21', { metric: 'tokens', max: 9n, scope: key, provider: 'openai', model: 'family:gpt4', window: '1h' }),
      make('20', { ...rate, scope: key, model: 'family:gpt4', window: '1s' }),
      make('19', { ...rate, scope: key, provider: 'openai', window: '1m' }),
      make('18', { ...rate, scope: key, window: '1s' }),
      make('16', { metric: 'output_tokens', max: 9n, scope: key, window: '1m' }),
      make('17', { ...rate, scope: key, window: '1m' }),
      make('15', { ...rate, scope: key, window: 'hourly', align: null }),
      make('14', { ...rate, scope: key, window: '1d', align: 'calendar' }),
      make('13', { ...rate, scope: key, window: '1M' }),
      make('12', { ...rate, scope: key, window: '1Q' }),
      make('10', { metric: 'concurrency', max: 9n, scope: key }),
      make('11', { ...rate, scope: key, window: 'lifetime', align: null }),
      make('09', { ...rate, scope: team }),
      make('08', { ...rate, scope: customer, model: 'gpt-4o' }),
      make('07', { ...rate, scope: global, provider: 'openai', model: 'gpt-4o', window: '1s' }),
      make('06', { ...cost, scope: user, window: '1Y' }),
      make('05', { ...cost, scope: key, provider: 'openai', window: '1m' }),
      make('04', { ...cost, scope: key, window: '1m' }),
      make('03', { ...cost, scope: team, window: '1m' }),
      make('02', { ...cost, scope: customer, window: '1m' }),
      make('01', { ...cost, scope: global, provider: 'openai', model: 'gpt-4o', window: '1m' }),
    ]
    const families = [{ name: 'gpt4', patterns: ['gpt-4*'] }]
    const inChain = new Engine({ families })
    // The scopes of the engine that made the limits are not those of the one that counts: give it the same entities.
    inChain.apply(put('customer', engine.customer), put('team', engine.team), put('user', engine.user))
    inChain.apply(put('virtual_key', engine.key))
    const shuffled = wanted
      .map((limit, index) => [(index * 7) % wanted.length, limit] as const)
      .sort(([a], [b]) => a - b)
    inChain.apply(...shuffled.map(([, limit]) => put('limit', limit)))
    assert.deepEqual(
      inChain.admission.chains
        .of(inChain.store, inChain.principal, 'openai', 'gpt-4o')
        .limits.map(({ limit }) => limit.id),
      wanted.map(({ id }) => id),
    )
  })

  test('is total: it never calls two different limits equal, and is the same from both sides', () => {
    const limits = ['1m', '1h', '1M', 'lifetime'].flatMap((window) =>
      [null, 'gpt-4o', 'gpt-*'].flatMap((model) =>
        (['requests', 'cost'] as const).map((metric) =>
          aLimit({ metric, max: 1n, window, model, align: window === 'lifetime' ? null : 'fixed' }),
        ),
      ),
    )
    for (const a of limits) {
      for (const b of limits) {
        if (a !== b) assert.equal(Math.sign(order(a, b)), -Math.sign(order(b, a)), `${a.window} ${b.window}`)
      }
    }
  })
})

describe('a chain', () => {
  test('B59 T12 has the limits of every level of the key, also where the key itself has none', () => {
    const engine = new Engine()
    const { user, team, customer, global } = engine.scopes
    const limits = [user, team, customer, global].map((scope) => engine.limit({ metric: 'requests', max: 9n, scope }))
    engine.limit({ metric: 'requests', max: 9n, scope: { kind: 'user', id: 'somebody else' } })
    assert.deepEqual(
      idsOf(engine),
      limits.map(({ id }) => id),
    )
  })

  test('T06 of a request without a key has the global limits alone', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 9n })
    const global = engine.limit({ metric: 'requests', max: 9n, scope: engine.scopes.global, provider: 'openai' })
    const chain = engine.admission.chains.of(engine.store, ANONYMOUS, 'openai', 'gpt-4o')
    assert.deepEqual(
      chain.limits.map(({ limit }) => limit.id),
      [global.id],
    )
  })

  test('of a request without a key follows a change on the next request too', () => {
    const engine = new Engine()
    const maxima = () =>
      engine.admission.chains.of(engine.store, ANONYMOUS, 'openai', 'gpt-4o').limits.map(({ limit }) => limit.max)
    assert.deepEqual(maxima(), [])
    const limit = engine.limit({ metric: 'requests', max: 9n, scope: engine.scopes.global })
    assert.deepEqual(maxima(), [9n])
    engine.apply(put('limit', { ...limit, max: 8n }))
    assert.deepEqual(maxima(), [8n])
    engine.apply({ op: 'delete', kind: 'limit', id: limit.id })
    assert.deepEqual(maxima(), [])
  })

  test('T07 T09 has the limits that select its provider and model, and no others', () => {
    const engine = new Engine()
    const any = engine.limit({ metric: 'requests', max: 9n })
    const ofOpenai = engine.limit({ metric: 'requests', max: 9n, provider: 'openai' })
    const ofAzure = engine.limit({ metric: 'requests', max: 9n, provider: 'azure' })
    assert.deepEqual(idsOf(engine, 'openai'), [ofOpenai.id, any.id])
    assert.deepEqual(idsOf(engine, 'azure'), [ofAzure.id, any.id])
    assert.deepEqual(idsOf(engine, null, null), [any.id])
  })

  test('is remembered until something changes, and then follows on the next request', () => {
    const engine = new Engine()
    const limit = engine.limit({ metric: 'requests', max: 9n })
    const before = chainOf(engine)
    assert.equal(chainOf(engine), before)
    assert.equal(chainOf(engine, 'openai', 'gpt-5'), before, 'the same selectors, the same chain')
    engine.apply(put('limit', { ...limit, max: 10n }))
    assert.notEqual(chainOf(engine), before)
    assert.equal(chainOf(engine).limits[0]?.limit.max, 10n)
    engine.apply({ op: 'delete', kind: 'limit', id: limit.id })
    assert.deepEqual(idsOf(engine), [])
  })

  test('of a metric that no gate enforces, of an observed limit and of a special user is counted, not enforced', () => {
    const enforcedIn = (engine: Engine) => {
      const { user, team, key } = engine.scopes
      engine.limit({ metric: 'requests', max: 9n, scope: user })
      engine.limit({ metric: 'requests', max: 9n, scope: key, mode: 'observe' })
      engine.limit({ metric: 'requests', max: 9n, scope: team })
      engine.limit({ metric: 'cost', max: 9n, scope: team })
      return chainOf(engine).limits.map(({ enforced }) => enforced)
    }
    assert.deepEqual(enforcedIn(new Engine()), [true, false, true, true])
    assert.deepEqual(enforcedIn(new Engine({ user: { kind: 'special' } })), [false, false, true, true])
    assert.deepEqual(enforcedIn(new Engine({ gates: [] })), [false, false, false, false])
  })

  test('F25 remembers a bounded number of variants, whatever names strangers invent', () => {
    const engine = new Engine()
    for (const letter of 'abcdefgh') engine.limit({ metric: 'requests', max: 9n, model: `*${letter}*` })
    const chains = new Set<object>()
    const variants = Array.from({ length: 256 }, (_, bits) =>
      [...'abcdefgh'].filter((_, at) => (bits >> at) & 1).join(''),
    )
    for (const name of variants) chains.add(chainOf(engine, 'openai', name || 'x'))
    assert.equal(chains.size, 256)
    const again = variants.filter((name) => chains.has(chainOf(engine, 'openai', name || 'x')))
    assert.ok(again.length <= 64, `${again.length} are still remembered`)
    assert.equal(chainOf(engine, 'openai', 'abcdefgh').limits.length, 8)
  })
})

test('T17 a limit that cannot be read stands beside the chain, which goes on without it', () => {
  const engine = new Engine()
  const readable = engine.limit({ metric: 'requests', max: 9n })
  const broken = aLimit({
    metric: 'requests',
    max: 9n,
    scope: engine.scopes.team,
    spec: null,
    invalid: 'window "1 month"',
  })
  engine.apply(put('limit', broken))
  const chain = chainOf(engine)
  assert.deepEqual(
    chain.limits.map(({ limit }) => limit.id),
    [readable.id],
  )
  assert.deepEqual(
    chain.invalid.map(({ id }) => id),
    [broken.id],
  )
})
