import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CardPrice, ratesOf } from '../../src/pricing/rates.ts'
import { ToolPrice } from '../../src/pricing/tool-price.ts'
import { ZERO_USD } from '../../src/units/money.ts'
import { NO_USAGE } from '../../src/usage/usage.ts'

const MILLION = 1_000_000n

/** Nano-dollars per token. */
function priceOf(input: bigint, output: bigint): CardPrice {
  return new CardPrice({
    base: ratesOf({ input: input * MILLION, output: output * MILLION }),
    tiers: [],
    perRequest: ZERO_USD,
  })
}

const tool = (model: string, price: CardPrice, uses = 1) => ({ model, price, uses, outputTokens: 10, besideTokens: 5 })
const price = new ToolPrice(priceOf(1n, 2n), [tool('a', priceOf(100n, 200n)), tool('b', priceOf(1_000n, 2_000n), 3)])
const usage = { ...NO_USAGE, inputTokens: 7, outputTokens: 3 }
const used = { ...NO_USAGE, inputTokens: 2, outputTokens: 1 }

describe('the price of a model with tools', () => {
  test('F05 the bound has every use of every tool, each reading the conversation', () => {
    assert.equal(price.bound(7, 3), 13n + (12n * 100n + 10n * 200n) + 3n * (12n * 1_000n + 10n * 2_000n))
  })

  test('T03 the cost has what each tool has used, at its own price', () => {
    assert.equal(price.cost(usage), 13n)
    const toolUse = [
      { model: 'a', usage: used },
      { model: 'b', usage: used },
    ]
    assert.equal(price.cost({ ...usage, toolUse }), 13n + 400n + 4_000n)
  })

  test('F08 a model that is not named, or otherwise than in the request, costs what the dearest does', () => {
    for (const model of [null, 'b-2026-01-01']) {
      assert.equal(price.cost({ ...usage, toolUse: [{ model, usage: used }] }), 13n + 4_000n)
    }
  })

  test('F07 where nobody knows what was used, all that may have been is charged', () => {
    assert.equal(price.cost({ ...usage, toolUse: null }), price.bound(7, 3))
  })
})
