import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isGlob, matchGlob } from '../../src/store/glob.ts'

/** The same question, asked of a regular expression. */
function oracle(pattern: string): (text: string) => boolean {
  const source = pattern
    .split('*')
    .map((part) => RegExp.escape(part))
    .join('[^]*')
  const expression = new RegExp(`^${source}$`)
  return (text) => expression.test(text)
}

/** Every word of up to `length` of these letters. */
function wordsOf(letters: string, length: number): string[] {
  const words = ['']
  for (const word of words) {
    if (word.length < length) words.push(...Array.from(letters, (letter) => word + letter))
  }
  return words
}

describe('glob', () => {
  test('a star stands for any run of characters, also none, and everything else for itself', () => {
    const rows: readonly [pattern: string, text: string, matches: boolean][] = [
      ['gpt-4o', 'gpt-4o', true],
      ['gpt-4o', 'gpt-4o-mini', false],
      ['gpt-4o*', 'gpt-4o', true],
      ['gpt-4o*', 'gpt-4o-mini', true],
      ['gpt-4o*', 'GPT-4o', false],
      ['*', '', true],
      ['*', 'anything', true],
      ['', '', true],
      ['', 'x', false],
      ['*-mini', 'gpt-4o-mini', true],
      ['*-mini', 'gpt-4o-mini-2', false],
      ['ft:*:acme:*', 'ft:gpt-4o:acme:x', true],
      ['ft:*:acme:*', 'ft:gpt-4o:acme', false],
      ['a*a', 'a', false],
      ['ab*ba', 'aba', false],
      ['a**b', 'ab', true],
      ['a.c', 'abc', false],
      ['claude-?', 'claude-3', false],
    ]
    for (const [pattern, text, matches] of rows) assert.equal(matchGlob(pattern, text), matches, `${pattern} ~ ${text}`)
  })

  test('only a star makes a pattern', () => {
    assert.equal(isGlob('gpt-4o'), false)
    assert.equal(isGlob('gpt-4?[a-z]'), false)
    assert.equal(isGlob('gpt-4*'), true)
  })

  test('agrees with a regular expression on every short pattern and text', () => {
    // All of them, because parts that overlap themselves (`*aab*` in `aaab`) are rare among random ones.
    for (const pattern of wordsOf('ab*', 6)) {
      const expected = oracle(pattern)
      for (const text of wordsOf('ab', 6)) {
        if (matchGlob(pattern, text) !== expected(text)) assert.fail(`${pattern} ~ ${text}`)
      }
    }
  })

  test('agrees with a regular expression on patterns and texts of any characters', () => {
    const unit = fc.oneof(fc.constantFrom('a', '.', '*', '\n', '\\', '$'), fc.string({ unit: 'binary', maxLength: 1 }))
    const words = fc.string({ unit, maxLength: 12 })
    fc.assert(
      fc.property(words, words, words, (p, t, between) => {
        assert.equal(matchGlob(p, t), oracle(p)(t))
        const grown = p.replaceAll('*', () => between)
        assert.equal(matchGlob(p, grown), true)
      }),
      { numRuns: 1_000 },
    )
  })

  test('takes time in proportion to the text, on patterns that make other matchers go back', () => {
    const text = 'a'.repeat(200_000)
    const timeOf = (length: number) => {
      const pattern = `*${'a'.repeat(length)}b*`
      let best = Number.POSITIVE_INFINITY
      for (let run = 0; run < 9; run += 1) {
        const start = performance.now()
        assert.equal(matchGlob(pattern, text), false)
        best = Math.min(best, performance.now() - start)
      }
      return best
    }
    timeOf(10)
    // A matcher that goes back at every position does 500 times the work for 500 times the part.
    assert.ok(timeOf(10_000) < timeOf(20) * 50)
  })
})
