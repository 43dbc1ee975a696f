import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { countTexts } from '../../src/tokens/count.ts'
import { HOSTILE, numbers } from './samples.ts'

const never = () => false
const counted = (...texts: string[]) => countTexts(texts, never) ?? assert.fail('the time was up')
const whole = (text: string) => countTokens(text, { disallowedSpecial: new Set() })

describe('the count of texts', () => {
  test('is exact for prose of any length: it is cut between words', () => {
    const prose = 'The quick brown fox jumps over the lazy dog, and then it rests a while in the shade. '.repeat(400)
    assert.equal(counted(prose).tokens, whole(prose))
  })

  test('F04 is never below the tokenizer’s own, whatever the text', () => {
    for (const [name, text] of Object.entries(HOSTILE)) {
      const tokens = whole(text)
      assert.ok(counted(text).tokens >= tokens, name)
      assert.ok(counted(text).tokens <= tokens * 1.01 + 20, `${name}: ${counted(text).tokens} for ${tokens}`)
    }
    const random = numbers(7)
    const words = [
      'अ',
      'the ',
      '  ',
      '\n',
      'aaaa',
      '👩‍👩‍👧',
      '<|endoftext|>',
      '0',
      '==',
      'Ω',
      '\u0000',
      'ab',
      '\ud83d\ude00',
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 9 }), (pattern) => {
        const text = pattern
          .join('')
          .repeat(600)
          .slice(Math.floor(random() * 3), 3_500)
        assert.ok(counted(text).tokens >= whole(text), JSON.stringify(pattern))
      }),
      { numRuns: 60, seed: 1 },
    )
  })

  test('takes special tokens in a prompt for text', () => {
    assert.equal(counted('<|endoftext|><|im_start|>').tokens, whole('<|endoftext|><|im_start|>'))
    assert.ok(counted('<|endoftext|>').tokens > 3)
  })

  test('has a floor for other tokenizers: bytes beyond ASCII, digits, and a third of the rest', () => {
    assert.equal(counted('12345').floor, 5)
    assert.equal(counted('अ').floor, 3)
    assert.equal(counted(' '.repeat(300)).floor, 100)
    assert.ok(counted(' '.repeat(300)).tokens < 10)
  })

  test('ends when its time is up', () => {
    let pieces = 0
    const text = 'word '.repeat(10_000)
    assert.equal(
      countTexts([text], () => ++pieces > 3),
      null,
    )
    assert.equal(pieces, 4)
  })
})
