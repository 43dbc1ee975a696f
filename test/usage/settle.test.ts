import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Estimate } from '../../src/admission/estimate.ts'
import { CardPrice, ratesOf } from '../../src/pricing/rates.ts'
import { ToolPrice } from '../../src/pricing/tool-price.ts'
import { METRICS } from '../../src/store/entities.ts'
import { nanoUsd, ZERO_USD } from '../../src/units/money.ts'
import { type Ending, type Outcome, outcome, resolutionOf } from '../../src/usage/settle.ts'
import { NO_USAGE } from '../../src/usage/usage.ts'

/** 2 nano-dollars an input token, 10 an output token. */
const PRICE = new CardPrice({
  base: ratesOf({ input: 2_000_000n, output: 10_000_000n }),
  tiers: [],
  perRequest: ZERO_USD,
})
const ESTIMATE: Estimate = {
  inputTokens: 100,
  outputTokens: 400,
  costNanoUsd: nanoUsd(9_000n),
  inputCostNanoUsd: nanoUsd(200n),
  basis: 'bytes',
}
const REPORTED = { ...NO_USAGE, inputTokens: 80, outputTokens: 30 }

/** requests, input, output, cost (nano-dollars), source, success. */
type Charged = readonly [
  requests: number,
  input: number,
  output: number,
  cost: number,
  source: string | null,
  success: boolean,
]

function charged(end: Outcome, price: CardPrice | null = PRICE): Charged {
  const { amounts, cost, usage, source, requests, success } = resolutionOf(end, ESTIMATE, price)
  const of = (metric: (typeof METRICS)[number]) => amounts[METRICS.indexOf(metric)]
  assert.equal(of('tokens'), BigInt(usage.inputTokens + usage.outputTokens))
  assert.equal(of('requests'), BigInt(requests))
  assert.equal(of('concurrency'), 0n, 'a settled request is no longer in flight')
  assert.equal(of('cost'), cost)
  return [requests, Number(of('input_tokens')), Number(of('output_tokens')), Number(cost), source, success]
}

const NOTHING: Charged = [0, 0, 0, 0, null, false]

describe('what an attempt is charged', () => {
  const rows: readonly [title: string, end: Outcome, expected: Charged][] = [
    ['T02 no connection, or reset before a status: nothing', outcome('unreached', null), NOTHING],
    ['T02 never forwarded, because its client has gone: nothing', outcome('withdrawn', null), NOTHING],
    ['T02 4xx without usage: nothing', outcome('refused', 400), NOTHING],
    ['T02 5xx without usage: nothing', outcome('refused', 503), NOTHING],
    [
      'B64 an error that reports usage: that usage, and no request',
      outcome('refused', 500, { usage: REPORTED }),
      [0, 80, 30, 460, 'reported', false],
    ],
    [
      'headers time-out before a status: the input estimate, request returned',
      outcome('silent', null),
      [0, 100, 0, 200, 'estimated', false],
    ],
    [
      'F07 client of a stream gone before a status: the input estimate, one request',
      outcome('abandoned', null),
      [1, 100, 0, 200, 'estimated', false],
    ],
    [
      'client of a collected answer gone with on_abort: cancel: all that was held',
      outcome('cancelled', null),
      [1, 100, 400, 9_000, 'estimated', false],
    ],
    [
      'F07 a cut stream without a report: the input estimate and the text seen',
      outcome('cut', 200, { final: false, textTokens: 7 }),
      [1, 100, 7, 270, 'partial', false],
    ],
    [
      'F07 a cut stream that had begun to report: that, and the text since',
      outcome('cut', 200, { usage: { ...NO_USAGE, inputTokens: 80, outputTokens: 1 }, final: false, textTokens: 9 }),
      [1, 80, 10, 260, 'partial', false],
    ],
    [
      'a stream cut after the model’s last word: exactly what was reported',
      outcome('cut', 200, { usage: REPORTED, final: true, textTokens: 3 }),
      [1, 80, 30, 460, 'reported', false],
    ],
    [
      'T03 2xx complete with a report: exactly that, one request',
      outcome('complete', 200, { usage: REPORTED }),
      [1, 80, 30, 460, 'reported', true],
    ],
    [
      '2xx complete without a report: the input estimate and the text seen',
      outcome('complete', 200, { textTokens: 12 }),
      [1, 100, 12, 320, 'estimated', true],
    ],
    [
      '2xx complete that could not be read: both estimates',
      outcome('complete', 200, { textTokens: null }),
      [1, 100, 400, 4_200, 'estimated', true],
    ],
    [
      'T10 a report of nothing costs nothing and still counts one request',
      outcome('complete', 200, { usage: NO_USAGE }),
      [1, 0, 0, 0, 'reported', true],
    ],
  ]
  for (const [title, end, expected] of rows) test(title, () => assert.deepEqual(charged(end), expected))

  test('F07 of a stream that was cut nobody knows what its tools have done: all that they may is charged', () => {
    const tools = [{ model: 'image', price: PRICE, uses: 2, outputTokens: 1_000, besideTokens: 0 }]
    const end = outcome('cut', 200, { usage: { ...NO_USAGE, inputTokens: 80 }, final: false, textTokens: 0 })
    assert.equal(resolutionOf(end, ESTIMATE, new ToolPrice(PRICE, tools)).cost, 160n + 2n * (160n + 10_000n))
    const whole = outcome('complete', 200, { usage: REPORTED })
    assert.equal(resolutionOf(whole, ESTIMATE, new ToolPrice(PRICE, tools)).cost, 460n)
  })

  test('F07 nor how often it has searched: as often as it was held for is charged, or more where more is reported', () => {
    const card = { base: ratesOf({ input: 0n, output: 0n }), tiers: [], perRequest: ZERO_USD }
    const price = new CardPrice({ ...card, perWebSearch: nanoUsd(1_000n), perFileSearch: nanoUsd(10n) })
    const cost = (end: Outcome) => resolutionOf(end, ESTIMATE, price, { webSearches: 5, fileSearches: 3 }).cost
    assert.equal(cost(outcome('cut', 200)), 5_030n)
    const reported = { ...NO_USAGE, webSearches: 7 }
    assert.equal(cost(outcome('cut', 200, { usage: reported, final: false })), 7_030n)
    assert.equal(cost(outcome('complete', 200, { usage: reported })), 7_000n)
    assert.equal(cost(outcome('refused', 400)), 0n)
  })

  test('without a price tokens and requests count all the same', () => {
    assert.deepEqual(charged(outcome('complete', 200, { usage: REPORTED }), null), [1, 80, 30, 0, 'reported', true])
  })

  test('a report is not believed of an attempt that never got a status', () => {
    for (const ending of ['unreached', 'withdrawn', 'silent', 'abandoned', 'cancelled'] satisfies Ending[]) {
      const [, , output] = charged(outcome(ending, null, { usage: REPORTED }))
      assert.notEqual(output, REPORTED.outputTokens, ending)
    }
  })
})
