/** Identifiers: the millisecond inside a UUIDv7 is what partitions and pages go by. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isId, lowestIdAt, newId, timeOfId } from '../../src/units/id.ts'

test('a new id is a UUIDv7 made now, and no two are the same', () => {
  const before = Date.now()
  const ids = Array.from({ length: 10_000 }, newId)
  const after = Date.now()
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) {
    assert.ok(isId(id), id)
    assert.match(id, /^.{14}7.{4}[89ab]/)
    assert.ok(timeOfId(id) >= before && timeOfId(id) <= after, id)
  }
})

test('the lowest id of a moment is below every id made from then on, and above those of before', () => {
  const anyTime = fc.integer({ min: 0, max: 2 ** 47 })
  fc.assert(fc.property(anyTime, (at) => timeOfId(lowestIdAt(at)) === at && isId(lowestIdAt(at))))
  fc.assert(fc.property(anyTime, anyTime, (a, b) => a < b === lowestIdAt(a) < lowestIdAt(b)))
  const id = newId()
  assert.ok(lowestIdAt(timeOfId(id)) <= id && id < lowestIdAt(timeOfId(id) + 1))
})

test('what is not an id in its one written form is none', () => {
  const id = newId()
  for (const text of ['', 'x', id.toUpperCase(), `${id} `, `{${id}}`, id.replaceAll('-', ''), `${id}\n`, id.slice(1)]) {
    assert.equal(isId(text), false, JSON.stringify(text))
  }
})
