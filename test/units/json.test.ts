import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from '../../src/units/json.ts'

/** A text in JSON with every character escaped. */
function escaped(text: string): string {
  return `"${[...text.split('')].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
}

describe('JSON from strangers', () => {
  test('an escaped name is read for what it means, whatever names have been read before', () => {
    for (const name of ['max_tokens', 'messages', 'model']) {
      const hidden = `${name.slice(0, 3)}\\u${name.charCodeAt(3).toString(16).padStart(4, '0')}${name.slice(4)}`
      // What V8 takes the escaped name for: as many characters of the text as the name has.
      parseJson(JSON.stringify({ [hidden.slice(0, name.length)]: 1 }))
      assert.deepEqual(Object.keys(parseJson(`{"${hidden}":2}`) as object), [name])
      parseJson(JSON.stringify({ a: { [hidden.slice(0, name.length)]: 1 } }))
      assert.deepEqual(parseJson(`{"a" : {"${hidden}" : 2}}`), { a: { [name]: 2 } })
    }
    parseJson('{"a\\\\/":1}')
    assert.deepEqual(parseJson('{"a\\/b":1}'), { 'a/b': 1 })
  })

  test('strings that are no names stay as they are', () => {
    assert.deepEqual(parseJson('["\\u0061:", "\\"\\u0061\\":", {"\\u0061": "b\\u003a\\"", "c\\"\\u0064": 1}]'), [
      'a:',
      '"a":',
      { a: 'b:"', 'c"d': 1 },
    ])
  })

  test('any value whose texts are all escaped is read like the one whose are not', () => {
    const name = fc.string({ unit: 'grapheme' }).filter((text) => !/["\\\p{Cc}]/u.test(text) && text !== '__proto__')
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), fc.string(), (object, more) => {
        const members = Object.entries({ ...object, more }).map(([name, text]) => `${escaped(name)}:${escaped(text)}`)
        assert.deepEqual(parseJson(`[{${members.join(',')}}]`), [{ ...object, more }])
      }),
    )
  })

  test('what is no JSON throws as it does there', () => {
    for (const text of ['', '{"\\u0061":', '{"\\u00zz":1}', `{"${'\\"'.repeat(1_000)}`, '["\\u0061":1]']) {
      assert.throws(() => parseJson(text), SyntaxError, text)
    }
  })
})
