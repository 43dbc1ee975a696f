/** Projection: an answer holds what its schema names, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from '@sinclair/typebox'
import { projectedJson } from '../../src/schemas/projection.ts'

const Inner = Type.Object({ name: Type.String() }, { additionalProperties: false })
const Schema = Type.Object(
  {
    list: Type.Array(Inner),
    one: Type.Union([Inner, Type.Null()]),
    either: Type.Union([Type.String(), Type.Integer()]),
    free: Type.Record(Type.String(), Type.Unknown()),
    maybe: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

test('F23 what the schema does not name stays inside, at every depth', () => {
  const secret = { name: 'a', hash: 'secret' }
  const value = {
    list: [secret],
    one: secret,
    either: 5,
    free: { any: { thing: [1] } },
    hash: 'secret',
    maybe: undefined,
  }
  assert.equal(
    projectedJson(Schema, value),
    '{"list":[{"name":"a"}],"one":{"name":"a"},"either":5,"free":{"any":{"thing":[1]}}}',
  )
  assert.equal(JSON.parse(projectedJson(Schema, { ...value, one: null, either: 'x' })).one, null)
})

test('an open schema lets everything through', () => {
  const open = Type.Object({ a: Type.String() }, { additionalProperties: true })
  assert.equal(projectedJson(open, { a: 'x', b: 1 }), '{"a":"x","b":1}')
})
