import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Pixels } from '../../src/admission/image-size.ts'
import { imageInputTokens } from '../../src/admission/image-tokens.ts'

const of = (width: number, height: number): Pixels => ({ width, height })
const tokens = (model: string, pixels: Pixels | null, detail: string | null = null) =>
  imageInputTokens({ pixels, detail }, model)

describe('what an image may be billed', () => {
  test('F04 F05 OpenAI: the examples of its guide, and what its models have been measured to bill', () => {
    const rows: readonly [model: string, Pixels, detail: string | null, tokens: number][] = [
      ['gpt-4o', of(1_024, 1_024), 'high', 765],
      ['gpt-4o-2024-08-06', of(2_048, 4_096), 'high', 1_105],
      ['gpt-4o', of(4_096, 8_192), 'low', 85],
      ['gpt-4o-mini', of(1_024, 1_024), null, 25_501],
      ['gpt-4o-mini', of(1_024, 1_024), 'low', 2_833],
      ['o1', of(1_024, 1_024), 'auto', 675],
      ['gpt-5', of(1_024, 1_024), null, 630],
      ['gpt-4.1-mini', of(1_024, 1_024), null, 1_659],
      ['gpt-4.1-nano', of(1_024, 1_024), null, 2_520],
      ['o4-mini', of(1_024, 1_024), null, 1_762],
      ['gpt-5.4', of(1_600, 1_600), null, 3_000],
      ['ft:gpt-4o-mini-2024-07-18:us::x', of(512, 512), null, 8_500],
      ['openai/gpt-4o', of(512, 512), null, 255],
      ['GPT-4o', of(512, 512), null, 255],
    ]
    for (const [model, pixels, detail, expected] of rows) {
      assert.equal(tokens(model, pixels, detail), expected, `${model} ${JSON.stringify(pixels)} ${detail}`)
    }
  })

  test('Anthropic and Google: the examples of their guides, and their caps', () => {
    assert.equal(tokens('claude-sonnet-4-5', of(1_000, 1_000)), 1_344)
    assert.equal(tokens('claude-sonnet-4-5', of(4_000, 4_000)), 1_600)
    assert.equal(tokens('claude-opus-4-7', of(4_000, 4_000)), 4_800)
    assert.equal(tokens('anthropic.claude-3-5-sonnet-20240620-v1:0', of(4_000, 4_000)), 1_600)
    assert.equal(tokens('claude-sonnet-4-20250514', of(4_000, 4_000)), 1_600)
    assert.equal(tokens('gemini-2.0-flash', of(384, 384)), 258)
    assert.equal(tokens('gemini-2.0-flash', of(960, 540)), 6 * 258)
    assert.equal(tokens('gemini-3-pro-preview', of(8_000, 8_000)), 2_300)
  })

  test('F05 an image of unknown size is held as large as any that is known', () => {
    const models = [
      'gpt-4o',
      'gpt-4o-mini',
      'gpt-4.1',
      'gpt-4.1-mini',
      'gpt-5',
      'gpt-5.6',
      'gpt-6-mini',
      'o3',
      'claude-opus-4-8',
    ]
    const side = fc.integer({ min: 1, max: 20_000 })
    const details = fc.constantFrom(null, 'low', 'high', 'auto', 'original', 'LOW')
    fc.assert(
      fc.property(fc.constantFrom(...models), side, side, details, (model, width, height, detail) => {
        const [known, unknown] = [tokens(model, of(width, height), detail), tokens(model, null, detail)]
        assert.ok(known !== null && unknown !== null && known > 0 && known <= unknown, `${known} of ${unknown}`)
      }),
    )
  })

  test('a thousand of the largest that a header can claim are still a number that can be added up', () => {
    for (const model of ['gpt-4o', 'gpt-5.4', 'gpt-image-1', 'claude-opus-4-7', 'gemini-2.5-pro']) {
      const largest = tokens(model, of(2 ** 32 - 1, 2 ** 32 - 1)) as number
      assert.ok(Number.isSafeInteger(largest * 1_000), model)
    }
  })

  test('no rule is known for models of others', () => {
    for (const model of ['', 'mistral-large', 'llama-4', 'grok-4']) assert.equal(tokens(model, of(10, 10)), null, model)
  })
})
