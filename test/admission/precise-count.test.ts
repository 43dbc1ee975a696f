import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Estimator } from '../../src/admission/estimator.ts'
import { isCountedExactly, isWorthCounting, withCount } from '../../src/admission/precise-count.ts'
import { NOTHING } from '../../src/ledger/hold.ts'
import { nanoUsd } from '../../src/units/money.ts'
import { aProvider } from '../helpers/entities.ts'
import { Engine, NOW } from './engine.ts'

const estimator = new Estimator({ assumedOutputTokens: 4_096 })
const anEngine = () => new Engine({ parts: { estimator } })
const FACTS = { textBytes: 1_000, outputCeiling: 50 }

function isWorth(engine: Engine, facts: Parameters<Engine['request']>[0] = {}): boolean {
  return isWorthCounting(engine.admission, engine.request({ ...FACTS, ...facts }), engine.readMeter, NOW)
}

describe('counting', () => {
  test('F04 is worth it where a shorter input would fit, and only there', () => {
    const engine = anEngine()
    engine.limit({ metric: 'tokens', max: 100n })
    assert.equal(isWorth(engine), true)
    assert.equal(isWorth(engine, { outputCeiling: 101 }), false, 'the output alone is too much')
    assert.equal(isWorth(engine, { usesStoredInput: true }), false, 'nobody can count what the provider stores')
    assert.equal(isWorth(engine, { counted: { tokens: 90, floor: 90 } }), false, 'it has been')
    const full = engine.limit({ metric: 'requests', max: 1n })
    engine.admit({ textBytes: 1, outputCeiling: 1 })
    assert.equal(engine.read(full).remaining, 0n)
    assert.equal(isWorth(engine), false, 'the number of requests is what is full')
  })

  test('changes nothing', () => {
    const engine = anEngine()
    const limit = engine.limit({ metric: 'cost', max: 1_000_000n })
    isWorth(engine)
    assert.deepEqual([engine.read(limit).used, engine.ledger.openHoldCount], [0n, 0])
  })

  test('F01 the counted request is held as counted, and moves on as counted', () => {
    const engine = anEngine()
    const limit = engine.limit({ metric: 'cost', max: 400_000n })
    const route = [engine.candidate(), engine.candidate({ provider: engine.azure })] as const
    const request = engine.request(FACTS, route)
    assert.equal(engine.admission.admit(request).ok, false)
    const admitted = engine.admission.admit(withCount(request, { tokens: 250, floor: 400 }))
    assert.ok(admitted.ok)
    assert.equal(admitted.value.estimate.basis, 'tokenizer')
    assert.equal(engine.read(limit).held, 350_000n)
    const next = admitted.value.next(NOTHING)
    assert.equal(next?.ok && next.value.estimate.basis, 'tokenizer')
  })
})

describe('an estimate from a count', () => {
  const price = anEngine().candidate().price
  const facts = anEngine().request({ ...FACTS, messages: 2, counted: { tokens: 200, floor: 330 } }).facts
  const bound = (input: number) => nanoUsd(BigInt(input * 1_000 + 50 * 2_000))

  test('is the count itself for OpenAI’s current models, with 8 per message', () => {
    const { inputTokens, costNanoUsd, basis } = estimator.estimate(facts, price, '', true)
    assert.deepEqual([inputTokens, costNanoUsd, basis], [216, bound(216), 'tokenizer'])
  })

  test('F04 is half as much again elsewhere; the bound is not below what any tokenizer may need, nor above the bytes', () => {
    const other = estimator.estimate(facts, price, '', false)
    assert.deepEqual([other.inputTokens, other.costNanoUsd], [316, bound(346)])
    const base64 = estimator.estimate({ ...facts, counted: { tokens: 700, floor: 340 } }, price, '', false)
    assert.deepEqual([base64.inputTokens, base64.costNanoUsd], [1_016, bound(1_016)])
    const configured = new Estimator({ assumedOutputTokens: 1, otherTokenizers: 3 }).estimate(facts, price, '', false)
    assert.equal(configured.inputTokens, 616)
  })

  test('leaves images flat, and what the provider stores unknown', () => {
    assert.equal(estimator.estimate({ ...facts, attachments: 2 }, price, '', true).inputTokens, 216 + 10_000)
    assert.equal(estimator.estimate({ ...facts, usesStoredInput: true }, price, '', true).basis, 'flat')
  })

  test('is exact only where o200k is the model’s own tokenizer', () => {
    const exactly = (kind: 'openai' | 'azure' | 'openai_compatible' | 'sim', model: string) =>
      isCountedExactly({ provider: aProvider({ kind }), model })
    for (const model of ['gpt-4o-mini', 'GPT-4.1', 'gpt-5.1', 'o1', 'o3-mini', 'chatgpt-4o-latest', 'ft:gpt-4o:me'])
      assert.ok(exactly('openai', model), model)
    for (const model of ['gpt-4', 'gpt-4-turbo', 'gpt-3.5-turbo', 'text-embedding-3-small', 'o10', 'my-gpt-4o'])
      assert.ok(!exactly('openai', model), model)
    assert.ok(exactly('azure', 'gpt-4o'))
    assert.ok(!exactly('openai_compatible', 'gpt-4o'))
    assert.ok(!exactly('sim', 'gpt-4o'))
  })
})
