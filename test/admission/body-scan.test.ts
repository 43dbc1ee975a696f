import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DEPTH_MAX, FIELDS_MAX, type ScannedField, scanObject, VALUES_MAX } from '../../src/admission/body-scan.ts'

function fieldsOf(text: string): readonly ScannedField[] {
  const scan = scanObject(Buffer.from(text))
  assert.ok(scan.ok, scan.ok ? '' : scan.problem)
  return scan.fields
}

function problemOf(text: string): string | null {
  const scan = scanObject(Buffer.from(text))
  return scan.ok ? null : scan.problem
}

/** Any JSON value with texts that are hard to scan: quotes, backslashes, brackets, long runs, characters of every length. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', 'é', '😀', '\n'), maxLength: 300 }),
)
/**
 * Without backslashes: V8's JSON.parse (14.x) takes the escaped name in {"\\"":1} for the name \\ once it has seen an object with that one, and
 * what it reads is what these tests compare with.
 */
const name = text.map((chars) => chars.replaceAll('\\', '/'))
const { value } = fc.letrec<{ value: unknown; list: unknown[]; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    text,
    tie('list'),
    tie('object'),
  ),
  list: fc.array(tie('value'), { maxLength: 5 }),
  object: fc.dictionary(name, tie('value'), { maxKeys: 5 }),
}))
/** Members with repeated names kept, as a body may have them. */
const members = fc.array(fc.tuple(text, value), { maxLength: 8 })
const blanks = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 })

describe('body scan', () => {
  test('finds every field of any JSON object, in order and as often as written, and where its value lies', () => {
    fc.assert(
      fc.property(members, blanks, fc.boolean(), (list, blank, escaped) => {
        const parts = list.map(([name, inner]) => {
          const quoted = escaped ? escapeAll(name) : JSON.stringify(name)
          return `${blank}${quoted}${blank}:${blank}${JSON.stringify(inner, null, blank.length)}${blank}`
        })
        const body = Buffer.from(`${blank}{${parts.join(',')}${list.length === 0 ? blank : ''}}${blank}`)
        const scan = scanObject(body)
        assert.ok(scan.ok)
        assert.deepEqual(
          scan.fields.map(({ name, start, end }) => [name, JSON.parse(body.toString('utf8', start, end))]),
          list.map(([name, inner]) => [name, JSON.parse(JSON.stringify(inner))]),
        )
      }),
      { numRuns: 1_000 },
    )
  })

  test('never reads past the end and never claims a field that is not there, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const body = Buffer.concat([Buffer.from('{"a":'), noise])
        const scan = scanObject(body)
        if (!scan.ok) return
        for (const { start, end } of scan.fields) assert.ok(start < end && end <= body.length)
      }),
      { numRuns: 2_000 },
    )
  })

  test('accepts whatever JSON.parse accepts and holds an object, and nothing that was cut off', () => {
    fc.assert(
      fc.property(members, fc.nat(), (list, cut) => {
        const whole = `{${list.map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(inner)}`).join(',')}}`
        assert.equal(problemOf(whole), null)
        assert.notEqual(problemOf(whole.slice(0, cut % whole.length)), null)
      }),
    )
  })

  test('names are compared as JSON means them, so an escape hides nothing', () => {
    assert.deepEqual(
      fieldsOf('{"mod\\u0065l":1,"\\u0073tream":2,"a\\/b":3,"größe":4}').map(({ name }) => name),
      ['model', 'stream', 'a/b', 'größe'],
    )
  })

  test('long strings with quotes and backslashes in them end where they end', () => {
    for (const length of [0, 1, 126, 127, 128, 129, 130, 255, 256, 257, 5_000]) {
      for (const tail of ['', '\\', '"', '\\"', '\\\\', '"\\']) {
        const long = `${'x'.repeat(length)}${tail}${'y'.repeat(length)}${tail}`
        const [first, second] = fieldsOf(JSON.stringify({ long, after: 1 }))
        assert.equal(first === undefined ? null : first.end - first.start, JSON.stringify(long).length)
        assert.equal(second?.name, 'after')
      }
    }
  })

  test('what is not an object is named as such', () => {
    for (const body of ['', '[]', '"x"', '1', 'null', '  [1]']) assert.equal(problemOf(body), 'not an object', body)
    for (const body of ['{', '{"a"}', '{"a":}', '{a:1}', '{"a":1,}', '{"a":1', '{"a":[1}', '{"a":"x}', "{'a':1}"]) {
      assert.notEqual(problemOf(body), null, body)
    }
  })

  test('depth, values and fields are bounded', () => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    assert.equal(problemOf(nested(DEPTH_MAX - 1)), null)
    assert.equal(problemOf(nested(DEPTH_MAX)), 'too deep')
    assert.equal(problemOf(`{"a":${'['.repeat(1_000_000)}`), 'too deep')
    assert.equal(problemOf(`{"a":[${'0,'.repeat(VALUES_MAX)}0]}`), null)
    assert.equal(problemOf(`{"a":[${'0,'.repeat(VALUES_MAX - 9)}0],"b":[${'0,'.repeat(10)}0]}`), 'too many values')
    const fields = (count: number) => `{${Array.from({ length: count }, (_, index) => `"f${index}":0`).join(',')}}`
    assert.equal(problemOf(fields(FIELDS_MAX)), null)
    assert.equal(problemOf(fields(FIELDS_MAX + 1)), 'too many values')
  })
})

/** The same string with every character written as an escape. */
function escapeAll(name: string): string {
  let escaped = ''
  for (let index = 0; index < name.length; index += 1) {
    escaped += `\\u${name.charCodeAt(index).toString(16).padStart(4, '0')}`
  }
  return `"${escaped}"`
}
