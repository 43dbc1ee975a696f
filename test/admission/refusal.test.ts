/** A refusal explains itself: which limit, how much, when it resets, what would pass. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { amountsOf } from '../../src/ledger/hold.ts'
import { parseUsd } from '../../src/units/money.ts'
import { formatTime } from '../../src/units/time.ts'
import { ASSUMED_OUTPUT_TOKENS, Engine, NOW, type RefusalDetails } from './engine.ts'

const MINUTE = 60_000

/** The ceiling a remedy names. */
function ceilingIn(remedy: string): number {
  const [, named] = /(?:max_tokens|max_output_tokens|maxOutputTokens) to (\d+)/.exec(remedy) ?? []
  assert.ok(named, remedy)
  return Number(named)
}

describe('a refusal', () => {
  test('names the first limit in the contract’s order, and lists the others', () => {
    const engine = new Engine()
    const { user, key, team } = engine.scopes
    const ofTeam = engine.limit({ metric: 'tokens', max: 149n, scope: team })
    const ofUser = engine.limit({ metric: 'tokens', max: 149n, scope: user })
    const budget = engine.limit({ metric: 'cost', max: 199_999n, scope: user })
    const ofKey = engine.limit({ metric: 'input_tokens', max: 99n, scope: key })
    const { code, details } = engine.refuse()
    assert.equal(code, 'limit_unreachable')
    assert.equal(details.limit_id, ofUser.id)
    assert.deepEqual(
      details.also_exceeded.map(({ limit_id }) => limit_id),
      [ofKey.id, ofTeam.id, budget.id],
    )
  })

  test('shows the contract’s details, money as dollars and counts as integers', () => {
    const engine = new Engine()
    const budget = engine.limit({
      metric: 'cost',
      max: 280_000n,
      window: '1M',
      align: 'calendar',
      scope: engine.scopes.team,
    })
    const first = engine.admit({ outputCeiling: 0, textBytes: 60 })
    engine.ledger.settle(first.hold, amountsOf({ cost: 100_000n }))
    engine.admit({ outputCeiling: 0, textBytes: 50 })
    const { code, status, details, retryAfterS, message } = engine.refuse()
    assert.equal(code, 'budget_exceeded')
    assert.equal(status, 402)
    assert.deepEqual(details, {
      limit_id: budget.id,
      scope: 'team',
      scope_id: engine.team.id,
      scope_name: 'research',
      metric: 'cost',
      provider: null,
      model: null,
      max: '0.00028',
      posted: '0.0001',
      held: '0.00005',
      requested: '0.0002',
      window: '1M',
      resets_at: '2026-12-01T00:00:00Z',
      mode: 'enforce',
      remedy: 'lower max_tokens to 15, or wait until 2026-12-01T00:00:00Z',
      also_exceeded: [],
    })
    assert.equal(retryAfterS, (Date.parse('2026-12-01T00:00:00Z') - NOW) / 1_000)
    for (const part of [
      'budget of team "research"',
      '$0.0001',
      '$0.00005',
      '$0.00028',
      '$0.0002',
      '2026-12-01T00:00:00Z',
    ]) {
      assert.ok(message.includes(part), `${part} in: ${message}`)
    }
  })

  test('F03 of the last of many levels leaves nothing held on any of them, and tells the journal nothing', () => {
    const engine = new Engine()
    const { user, key, team, customer } = engine.scopes
    const levels = [user, key, team].map((scope) => engine.limit({ metric: 'cost', max: 10n ** 9n, scope }))
    engine.limit({ metric: 'cost', max: 1n, scope: customer })
    engine.refuse()
    for (const limit of levels) assert.deepEqual([engine.read(limit).held, engine.read(limit).posted], [0n, 0n])
    assert.equal(engine.ledger.openHoldCount, 0)
    assert.deepEqual(engine.facts.facts, [])
  })

  test('is 429 for what will pass soon and 402 for money; by the gate whose metric it is', () => {
    const maxima = { requests: 1n, tokens: 150n, input_tokens: 100n, output_tokens: 50n, concurrency: 1n } as const
    for (const metric of Object.keys(maxima) as (keyof typeof maxima)[]) {
      const engine = new Engine()
      engine.limit({ metric, max: maxima[metric] })
      engine.admit()
      const { code, status } = engine.refuse()
      assert.deepEqual([code, status], ['rate_limited', 429], metric)
    }
    const engine = new Engine()
    engine.limit({ metric: 'cost', max: 200_000n })
    engine.admit()
    const { code, status } = engine.refuse()
    assert.deepEqual([code, status], ['budget_exceeded', 402])
  })

  test('F14 waits for the longest of all limits in the way, and says nothing where one never gives way', () => {
    const engine = new Engine()
    const used = amountsOf({ requests: 1n, tokens: 150n })
    engine.limit({ metric: 'requests', max: 1n, window: '1m' })
    engine.limit({ metric: 'tokens', max: 160n, window: '1h' })
    engine.ledger.settle(engine.admit().hold, used)
    engine.clock.advance(30_500)
    const { retryAfterS, details } = engine.refuse()
    assert.equal(retryAfterS, 3_570)
    assert.ok(details.remedy.endsWith(`wait until ${formatTime(NOW + 60 * MINUTE)}`), details.remedy)

    engine.limit({ metric: 'requests', max: 1n, window: 'lifetime', align: null })
    engine.clock.advance(60 * MINUTE)
    engine.ledger.settle(engine.admit().hold, used)
    const forever = engine.refuse()
    assert.equal(forever.retryAfterS, undefined)
    assert.equal(forever.details.remedy, 'ask an admin to raise the limit')
  })

  test('F14 of a sliding limit names the moment at which it fits, not the end of the window', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 10n, window: '1m', align: 'sliding' })
    for (let made = 0; made < 10; made++) engine.ledger.settle(engine.admit().hold, amountsOf({ requests: 1n }))
    const { retryAfterS, details } = engine.refuse()
    assert.equal(retryAfterS, 66)
    assert.equal(details.remedy, `wait until ${formatTime(NOW + 66_000)}`)
    engine.clock.advance(65_999)
    assert.equal(engine.fits(), false)
    engine.clock.advance(1)
    assert.equal(engine.fits(), true)
  })

  test('blocked by requests in flight alone says so, and to come back in a second', () => {
    const engine = new Engine()
    engine.limit({ metric: 'concurrency', max: 1n })
    const first = engine.admit()
    const { retryAfterS, details } = engine.refuse()
    assert.equal(retryAfterS, 1)
    assert.equal(details.resets_at, null)
    assert.equal(details.remedy, 'retry when requests in flight have ended')
    engine.ledger.void(first.hold)
    assert.equal(engine.fits(), true)
  })
})

describe('the remedy’s ceiling', () => {
  test('really passes, and one more does not, whatever else is used and asked', () => {
    let named = 0
    const room = fc.integer({ min: 0, max: 4_000 })
    const choices = fc.integer({ min: 1, max: 4 })
    const asked = fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 10_000 }))
    fc.assert(
      fc.property(room, room, room, choices, asked, (tokensRoom, outputRoom, costRoom, count, outputCeiling) => {
        const engine = new Engine()
        engine.limit({ metric: 'tokens', max: 5_000n, window: '1m' })
        engine.limit({ metric: 'output_tokens', max: 5_000n, window: '1h', scope: engine.scopes.team })
        engine.limit({ metric: 'cost', max: 10_000_000n, window: '1M', scope: engine.scopes.user })
        const before = engine.admit({ textBytes: 1, outputCeiling: 1 })
        engine.ledger.settle(
          before.hold,
          amountsOf({
            tokens: BigInt(5_000 - tokensRoom),
            output_tokens: BigInt(5_000 - outputRoom),
            cost: BigInt(10_000_000 - costRoom * 1_000),
          }),
        )
        const facts = { textBytes: 100, choices: count, outputCeiling }
        const result = engine.admission.admit(engine.request(facts))
        if (result.ok) return
        const { remedy } = result.refusal.details as RefusalDetails
        if (/ to \d+ and wait/.test(remedy)) return
        if (!/ to \d+/.test(remedy)) {
          assert.equal(engine.fits({ ...facts, outputCeiling: 1 }), false, `${remedy}, but a ceiling of 1 would pass`)
          return
        }
        named += 1
        const ceiling = ceilingIn(remedy)
        assert.equal(engine.fits({ ...facts, outputCeiling: ceiling }), true, `${ceiling} passes`)
        assert.equal(engine.fits({ ...facts, outputCeiling: ceiling + 1 }), false, `${ceiling + 1} does not`)
      }),
      { numRuns: 1_000 },
    )
    assert.ok(named > 200, `${named} remedies named a ceiling`)
  })

  test('carries the name under which each API takes it', () => {
    const rows = [
      [{ format: 'openai', endpoint: 'chat' }, 'max_tokens'],
      [{ format: 'openai', endpoint: 'responses' }, 'max_output_tokens'],
      [{ format: 'anthropic', endpoint: 'messages' }, 'max_tokens'],
      [{ format: 'google', endpoint: 'generate_content' }, 'generationConfig.maxOutputTokens'],
    ] as const
    for (const [facts, field] of rows) {
      const engine = new Engine()
      engine.limit({ metric: 'tokens', max: 120n })
      assert.ok(engine.refuse(facts).details.remedy.startsWith(`lower ${field} to 20`), field)
    }
  })

  test('is not offered where there is no output to shorten', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 99n })
    const { remedy } = engine.refuse({ endpoint: 'embeddings', producesOutput: false, outputCeiling: null }).details
    assert.equal(remedy, 'ask an admin to raise the limit')
  })
})

describe('limit_unreachable', () => {
  test('B33 wins over limits that are only full, also where it comes later in the order', () => {
    const engine = new Engine()
    const full = engine.limit({ metric: 'requests', max: 1n, scope: engine.scopes.user })
    engine.admit({ outputCeiling: 1 })
    const small = engine.limit({ metric: 'cost', max: 199_999n, scope: engine.scopes.customer })
    const { code, status, details, retryAfterS } = engine.refuse()
    assert.deepEqual([code, status, retryAfterS], ['limit_unreachable', 402, undefined])
    assert.equal(details.limit_id, small.id)
    assert.deepEqual(
      details.also_exceeded.map(({ limit_id }) => limit_id),
      [full.id],
    )
  })

  test('is 429 for what is not money', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 149n })
    assert.deepEqual([engine.refuse().code, engine.refuse().status], ['limit_unreachable', 429])
  })

  test('because of the length we assume says so, and names the max_tokens that would pass', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 1_000n })
    const { code, message, details } = engine.refuse({ outputCeiling: null })
    assert.equal(code, 'limit_unreachable')
    assert.equal(details.requested, 100 + ASSUMED_OUTPUT_TOKENS)
    assert.match(message, /no output ceiling was named/)
    assert.equal(details.remedy, 'set max_tokens to 900')
    assert.equal(engine.fits({ outputCeiling: 900 }), true)
    assert.equal(engine.fits({ outputCeiling: 901 }), false)
  })

  test('because of the length asked for does not blame an assumption', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 1_000n })
    const { message, details } = engine.refuse({ outputCeiling: 5_000 })
    assert.doesNotMatch(message, /assumed/)
    assert.equal(details.remedy, 'lower max_tokens to 900')
  })

  test('also says what would pass later, where even a short answer does not fit now', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 1_000n, window: '1h' })
    engine.ledger.settle(engine.admit().hold, amountsOf({ tokens: 1_000n }))
    const { code, message, details } = engine.refuse({ outputCeiling: null })
    assert.equal(code, 'limit_unreachable')
    assert.match(message, /no output ceiling was named/)
    assert.equal(details.remedy, `set max_tokens to 900 and wait until ${formatTime(NOW + 60 * MINUTE)}`)
    engine.clock.advance(60 * MINUTE)
    assert.equal(engine.fits({ outputCeiling: 900 }), true)
  })

  test('of the input alone leaves nothing but an admin', () => {
    const engine = new Engine()
    engine.limit({ metric: 'tokens', max: 99n })
    const { message, details } = engine.refuse({ outputCeiling: null })
    assert.doesNotMatch(message, /assumed/)
    assert.equal(details.remedy, 'ask an admin to raise the limit')
  })
})

describe('F23 a global limit', () => {
  test('shows its id, metric, window and end, and no number: it is other people’s traffic', () => {
    const engine = new Engine()
    const global = engine.limit({
      metric: 'tokens',
      max: 777n,
      window: '1m',
      scope: engine.scopes.global,
      provider: 'openai',
    })
    const others = engine.admit({ textBytes: 600, outputCeiling: 33 })
    engine.ledger.settle(others.hold, amountsOf({ tokens: 633n }))
    const refusal = engine.refuse({ outputCeiling: 100 })
    const { details } = refusal
    assert.deepEqual(
      [details.limit_id, details.metric, details.window, details.resets_at],
      [global.id, 'tokens', '1m', formatTime(NOW + MINUTE)],
    )
    assert.deepEqual([details.max, details.posted, details.held, details.requested], [null, null, null, null])
    const text = JSON.stringify({ ...refusal, details: { ...details, limit_id: '' } })
    for (const number of ['777', '633', '144', '200', '44']) assert.ok(!text.includes(number), `${number} in ${text}`)
    assert.equal(refusal.retryAfterS, 60)
  })

  test('that is too small for the request shows no number either', () => {
    const engine = new Engine()
    engine.limit({ metric: 'cost', max: 123_457n, scope: engine.scopes.global })
    const refusal = engine.refuse({ outputCeiling: null })
    assert.equal(refusal.code, 'limit_unreachable')
    const text = JSON.stringify({ ...refusal, details: { ...refusal.details, limit_id: '' } })
    for (const number of ['123457', '8292', 'to 1']) assert.ok(!text.includes(number), `${number} in ${text}`)
    assert.match(refusal.message, /no output ceiling was named/)
    assert.equal(refusal.details.remedy, 'ask for a smaller max_tokens')
  })

  test('among the others exceeded shows no number there', () => {
    const engine = new Engine()
    engine.limit({ metric: 'requests', max: 1n })
    engine.limit({ metric: 'requests', max: 1n, scope: engine.scopes.global })
    engine.admit()
    const [other] = engine.refuse().details.also_exceeded as unknown as Record<string, unknown>[]
    assert.deepEqual([other?.max, other?.posted, other?.held, other?.requested], [null, null, null, null])
  })
})

test('money in a refusal reads back as the amount it was', () => {
  const engine = new Engine()
  engine.limit({ metric: 'cost', max: 199_999n })
  const { max, requested } = engine.refuse().details
  assert.deepEqual([parseUsd(`${max}`), parseUsd(`${requested}`)], [199_999n, 200_000n])
})
