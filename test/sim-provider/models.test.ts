import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { calcPrice } from '@pydantic/genai-prices'
import { conversationTokens } from '../../src/sim/counting.ts'
import { sampleJson } from '../../src/sim/json-sample.ts'
import { SIM_MODELS } from '../../src/sim/models.ts'
import { pieces, SENTENCE, SENTENCE_TOKENS, words } from '../../src/sim/text.ts'

describe('the models', () => {
  test('each model of a real provider has a price in the price data, and the two others one here', () => {
    for (const { id, owner, price } of SIM_MODELS) {
      if (owner === 'sim') {
        assert.ok(price !== null && price.inputNanoUsd > 0n && price.outputNanoUsd > price.inputNanoUsd, id)
      } else {
        assert.equal(price, null, id)
        assert.ok(calcPrice({ input_tokens: 1_000, output_tokens: 0 }, id, { providerId: owner }) !== null, id)
      }
    }
    assert.deepEqual(
      SIM_MODELS.filter(({ owner }) => owner === 'sim').map(({ id }) => id),
      ['sim-small', 'sim-large'],
    )
  })
})

describe('what is said and counted', () => {
  test('any cut of the words adds up to the same text', () => {
    const said = words(200, 1_000)
    const whole = said.slice(0, 200)
    assert.equal(whole.split(' ').length, 200)
    assert.ok(whole.startsWith(`${SENTENCE} ${SENTENCE.slice(0, 20)}`))
    for (const step of [1, 3, 7, SENTENCE_TOKENS, 200]) {
      let text = ''
      for (let from = 0; from < 200; from += step) text += said.slice(from, Math.min(200, from + step))
      assert.equal(text, whole)
    }
  })

  test('pieces of JSON survive their cutting, escapes and characters outside the plane included', () => {
    const text = JSON.stringify({ quote: '"\\', emoji: '😀😀😀x😀' })
    const cut = pieces(text, 1_000)
    let joined = ''
    for (let token = 0; token < cut.tokens; token++) joined += JSON.parse(`"${cut.json(token, token + 1)}"`)
    assert.equal(joined, text)
    assert.equal(cut.cut, false)
    const short = pieces(text, 2)
    assert.deepEqual([short.tokens, short.cut], [2, true])
  })

  test('input is counted by the documented rule', () => {
    const message = (content: unknown) => [{ role: 'user', content }]
    // bytes / 4 rounded up once, + 4 per message, + 4 per tool, + 85 per attachment
    assert.equal(conversationTokens(message('12345'), [], []), 2 + 4)
    assert.equal(conversationTokens([...message('1234'), ...message('5')], ['6'], []), 2 + 8)
    assert.equal(conversationTokens(message('äöü'), [], []), 2 + 4)
    const parts = [
      { type: 'text', text: '1234' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAAAAAAAAAAAAAAAAAAAAAA' } },
    ]
    assert.equal(conversationTokens(message(parts), [], []), 1 + 4 + 85)
    const tools = [{ name: 'f' }]
    assert.equal(conversationTokens([], [], tools), Math.ceil(JSON.stringify(tools).length / 4) + 4)
  })

  test('samples fit schemas with references, choices and recursion', () => {
    const node = {
      type: 'object',
      properties: { value: { anyOf: [{ type: 'number' }] }, next: { $ref: '#/$defs/node' } },
    }
    const sample = JSON.parse(sampleJson({ $defs: { node }, $ref: '#/$defs/node' }))
    assert.equal(sample.value, 1)
    assert.equal(sample.next.next.value, 1)
    assert.equal(sampleJson({ type: ['null', 'string'] }), '"simulated"')
    assert.equal(sampleJson({ type: 'array', minItems: 2, items: { const: 'x' } }), '["x","x"]')
    assert.equal(sampleJson(undefined), '{}')
  })
})
