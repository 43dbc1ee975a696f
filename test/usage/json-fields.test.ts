import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fieldTable, scanFields } from '../../src/usage/json-fields.ts'

const NAMES = ['usage', 'error', 'text', 'ü"\\', '']
const TABLE = fieldTable(Object.fromEntries(NAMES.map((name, id) => [name, id])))

/** id, depth, and of a string its bytes as they are written. */
type Found = readonly [id: number, depth: number, text: string | null]

function scan(json: string): Found[] {
  const bytes = Buffer.from(json)
  const found: Found[] = []
  scanFields(bytes, 0, TABLE, (id, depth, start, end) => {
    found.push([id, depth, end === -1 ? null : bytes.toString('utf8', start, end)])
  })
  return found
}

/** What the scan should find, from the parsed value. Names are compared as they are written, so escaped ones are not found. */
function expected(value: unknown, depth = 0): Found[] {
  if (Array.isArray(value)) return value.flatMap((element) => expected(element, depth + 1))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const id = NAMES.indexOf(name)
    const own: Found[] =
      id === -1 || JSON.stringify(name) !== `"${name}"`
        ? []
        : [[id, depth + 1, typeof inner === 'string' ? JSON.stringify(inner).slice(1, -1) : null]]
    return [...own, ...expected(inner, depth + 1)]
  })
}

describe('fields in raw JSON', () => {
  const leaf = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('usage', '"usage":{', '\\', '\\"', '}]{[:,', 'x'.repeat(200) + '\\"'.repeat(70)),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  )
  const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 6 }))
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
    ),
  }))

  test('every field is found where a parser finds it, at its depth, and no other', () => {
    fc.assert(
      fc.property(
        fc.dictionary(name, value, { noNullPrototype: true }),
        fc.constantFrom(0, 1, '\t'),
        (object, space) => {
          assert.deepEqual(scan(JSON.stringify(object, null, space)), expected(object))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a text that is cut anywhere, or no JSON at all, is read without a fault', () => {
    fc.assert(
      fc.property(value, fc.nat(400), fc.string({ unit: 'binary' }), (any, length, garbage) => {
        scan(JSON.stringify(any).slice(0, length))
        scan(garbage)
      }),
    )
    for (const odd of ['"', '"usage', '"usage"', '"usage":', '"usage":"', '"usage":"\\', '{"usage":"a\\']) scan(odd)
  })
})
