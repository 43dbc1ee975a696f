import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Estimator } from '../../src/admission/estimator.ts'
import type { RequestFacts } from '../../src/admission/request-facts.ts'
import type { Price } from '../../src/pricing/price.ts'
import { costOfTokenProducts, type NanoUsd } from '../../src/units/money.ts'

/** $2.50 a million tokens of input, $3.00 where the body triggers the dearest rate, $10 of output. */
const PRICE: Price = {
  cost: ({ inputTokens, outputTokens }) => cost(2_500_000_000n, inputTokens, outputTokens),
  bound: (inputTokens, outputTokens) => cost(3_000_000_000n, inputTokens, outputTokens),
}

function cost(inputRate: bigint, inputTokens: number, outputTokens: number): NanoUsd {
  return costOfTokenProducts(BigInt(inputTokens) * inputRate + BigInt(outputTokens) * 10_000_000_000n)
}

function someFacts(fields: Partial<RequestFacts> = {}): RequestFacts {
  return {
    format: 'openai',
    endpoint: 'chat',
    requestedModel: 'gpt-4o',
    modelSpan: null,
    stream: false,
    asksForUsage: false,
    streamOptionsSpan: null,
    outputCeiling: 100,
    choices: 1,
    producesOutput: true,
    textBytes: 1_000,
    messages: 2,
    attachments: 0,
    usesStoredInput: false,
    body: Buffer.alloc(0),
    query: '',
    tags: [],
    dryRun: false,
    ...fields,
  }
}

function anEstimator(): Estimator {
  return new Estimator({ assumedOutputTokens: 4_096, attachmentTokens: 500, storedInputTokens: 7_000 })
}

describe('estimate', () => {
  test('the cost is a bound: a token per byte, 8 per message, at the dearest rate, with the ceiling in full', () => {
    const estimate = anEstimator().estimate(someFacts(), PRICE, '')
    assert.equal(estimate.costNanoUsd, PRICE.bound(1_000 + 16, 100))
    assert.equal(estimate.basis, 'bytes')
  })

  test('F04 the tokens are an expectation: 0.35 a byte until it is known better', () => {
    const estimate = anEstimator().estimate(someFacts(), PRICE, '')
    assert.equal(estimate.inputTokens, 350)
    assert.equal(estimate.outputTokens, 100)
    assert.equal(estimate.inputCostNanoUsd, cost(2_500_000_000n, 350, 0))
  })

  test('where no ceiling is named the assumed one counts, once for each answer', () => {
    const estimator = anEstimator()
    const tokens = (fields: Partial<RequestFacts>) => estimator.estimate(someFacts(fields), null, '').outputTokens
    assert.equal(tokens({ outputCeiling: null }), 4_096)
    assert.equal(tokens({ outputCeiling: null, choices: 3 }), 3 * 4_096)
    assert.equal(tokens({ outputCeiling: 50, choices: 3 }), 150)
    assert.equal(tokens({ outputCeiling: null, producesOutput: false }), 0)
  })

  test('an attachment counts flat, and what is stored elsewhere makes the estimate a flat one', () => {
    const estimator = anEstimator()
    const attached = estimator.estimate(someFacts({ attachments: 3 }), PRICE, '')
    assert.equal(attached.inputTokens, 350 + 1_500)
    assert.equal(attached.costNanoUsd, PRICE.bound(1_016 + 1_500, 100))
    const stored = estimator.estimate(someFacts({ usesStoredInput: true }), PRICE, '')
    assert.deepEqual([stored.inputTokens, stored.basis], [350 + 7_000, 'flat'])
  })

  test('F04 F05 images are reckoned by the rule of the model that is asked, and flat where none is known', () => {
    const estimator = anEstimator()
    const images = [
      { pixels: { width: 1_024, height: 1_024 }, detail: null },
      { pixels: null, detail: 'low' },
    ]
    const facts = someFacts({ attachments: 3, images })
    const tokensAt = (model: string) => estimator.estimate(facts, PRICE, '', false, model).inputTokens
    assert.equal(tokensAt('gpt-4o'), 350 + 500 + 765 + 85)
    assert.equal(tokensAt('gpt-4o-mini'), 350 + 500 + 25_501 + 2_833)
    assert.equal(tokensAt('another'), 350 + 3 * 500)
    const { costNanoUsd } = estimator.estimate(facts, PRICE, '', false, 'gpt-4o')
    assert.equal(costNanoUsd, PRICE.bound(1_016 + 500 + 765 + 85, 100))
  })

  test('F05 a document is reckoned by its pages, each as an image and its text', () => {
    const estimator = anEstimator()
    const facts = someFacts({ attachments: 2, documentPages: [100] })
    const tokensAt = (model: string) => estimator.estimate(facts, PRICE, '', false, model).inputTokens
    assert.equal(tokensAt('claude-sonnet-4-5'), 350 + 500 + 100 * 3_100)
    assert.equal(tokensAt('gpt-4o'), 350 + 500 + 100 * 2_265)
    assert.equal(tokensAt('gemini-2.5-pro'), 350 + 500 + 100 * 1_200)
    assert.equal(tokensAt('another'), 350 + 500 + 100 * 3_000)
  })

  test('F05 what may be summed up is held once more, with a summary of the assumed length, where it is long enough', () => {
    const estimator = anEstimator()
    const held = (textBytes: number) =>
      estimator.estimate(someFacts({ textBytes, messages: 0, compactsFrom: 50_000 }), PRICE, '').costNanoUsd
    assert.equal(held(49_999), PRICE.bound(49_999, 100))
    assert.equal(held(50_000), PRICE.bound(50_000, 100) + PRICE.bound(50_000, 4_096))
  })

  test('F05 a prediction is held beside all answers, once', () => {
    const asked = { outputCeiling: 100, choices: 2, predictedTokens: 5_000 }
    assert.equal(anEstimator().estimate(someFacts(asked), PRICE, '').outputTokens, 5_200)
  })

  test('without a price the costs are zero', () => {
    const estimate = anEstimator().estimate(someFacts(), null, '')
    assert.deepEqual([estimate.costNanoUsd, estimate.inputCostNanoUsd], [0n, 0n])
  })

  test('F05 whatever a client asks for, amounts stay numbers that a meter can add up a thousand times', () => {
    const count = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER))
    const estimator = anEstimator()
    fc.assert(
      fc.property(count, count, fc.nat(2 ** 25), (outputCeiling, choices, textBytes) => {
        const facts = someFacts({ outputCeiling, choices: Math.max(1, choices), textBytes })
        const { inputTokens, outputTokens, costNanoUsd } = estimator.estimate(facts, PRICE, '')
        assert.ok(Number.isSafeInteger(inputTokens) && inputTokens >= 0)
        assert.ok(Number.isSafeInteger(outputTokens) && outputTokens >= 0)
        assert.ok(Number.isSafeInteger(outputTokens * 1_000))
        assert.ok(costNanoUsd >= 0n && costNanoUsd < 2n ** 60n)
      }),
    )
    const hostile = someFacts({ outputCeiling: Number.MAX_SAFE_INTEGER, choices: Number.MAX_SAFE_INTEGER })
    // Ten billion tokens: more than any model writes, so still a bound.
    assert.equal(estimator.estimate(hostile, PRICE, '').outputTokens, 10_000_000_000)
  })

  test('promise 1 the cost bound covers every usage the body and the ceiling allow', () => {
    const estimator = anEstimator()
    const nat = (max: number) => fc.nat(max)
    fc.assert(
      fc.property(
        nat(5_000),
        nat(20),
        nat(3),
        nat(2_000),
        fc.nat(),
        fc.nat(),
        (textBytes, messages, choices, ceiling, i, o) => {
          const facts = someFacts({ textBytes, messages, choices: choices + 1, outputCeiling: ceiling + 1 })
          const inputTokens = i % (textBytes + messages * 8 + 1)
          const outputTokens = o % ((ceiling + 1) * (choices + 1) + 1)
          const used = cost(2_500_000_000n, inputTokens, outputTokens)
          assert.ok(used <= estimator.estimate(facts, PRICE, '').costNanoUsd)
        },
      ),
    )
  })
})

describe('learning', () => {
  test('the ratio follows what is reported, and stays between 0.2 and 1', () => {
    const estimator = anEstimator()
    assert.equal(estimator.ratioOf('openai', 'gpt4'), 0.35)
    for (let run = 0; run < 2_000; run += 1) estimator.learn(someFacts(), 'gpt4', 250)
    assert.ok(Math.abs(estimator.ratioOf('openai', 'gpt4') - 0.25) < 0.005)
    for (let run = 0; run < 2_000; run += 1) estimator.learn(someFacts(), 'gpt4', 900)
    assert.ok(Math.abs(estimator.ratioOf('openai', 'gpt4') - 0.9) < 0.005)
    for (let run = 0; run < 2_000; run += 1) estimator.learn(someFacts(), 'gpt4', 1)
    assert.equal(estimator.ratioOf('openai', 'gpt4'), 0.2)
    for (let run = 0; run < 2_000; run += 1) estimator.learn(someFacts(), 'gpt4', 50_000)
    assert.ok(estimator.ratioOf('openai', 'gpt4') > 0.99 && estimator.ratioOf('openai', 'gpt4') <= 1)
    assert.equal(estimator.estimate(someFacts(), null, 'gpt4').inputTokens, 1_000)
    assert.deepEqual([estimator.tokensOfText(11, 'openai', 'gpt4'), estimator.tokensOfText(11, 'openai', '')], [11, 4])
  })

  test('one odd report moves it little', () => {
    const estimator = anEstimator()
    estimator.learn(someFacts({ textBytes: 100 }), 'gpt4', 100)
    assert.ok(estimator.ratioOf('openai', 'gpt4') < 0.36)
  })

  test('formats and families learn each for themselves', () => {
    const estimator = anEstimator()
    for (let run = 0; run < 500; run += 1) estimator.learn(someFacts(), 'gpt4', 900)
    assert.equal(estimator.ratioOf('openai', 'claude'), 0.35)
    assert.equal(estimator.ratioOf('anthropic', 'gpt4'), 0.35)
  })

  test('inputs whose size says nothing teach nothing', () => {
    const estimator = anEstimator()
    estimator.learn(someFacts({ attachments: 1 }), 'gpt4', 900)
    estimator.learn(someFacts({ usesStoredInput: true }), 'gpt4', 900)
    estimator.learn(someFacts({ textBytes: 0 }), 'gpt4', 900)
    estimator.learn(someFacts(), 'gpt4', 0)
    estimator.learn(someFacts(), 'gpt4', Number.NaN)
    assert.equal(estimator.ratioOf('openai', 'gpt4'), 0.35)
  })

  test('F25 what is learned does not grow without bound', () => {
    const estimator = anEstimator()
    for (let index = 0; index < 5_000; index += 1) estimator.learn(someFacts(), `family-${index}`, 900)
    assert.equal(estimator.ratioOf('openai', 'family-4999'), 0.35)
  })
})
