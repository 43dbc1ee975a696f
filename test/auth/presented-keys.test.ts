import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PresentedKeys } from '../../src/auth/presented-keys.ts'
import { hashKey } from '../../src/auth/virtual-key.ts'

test('each connection’s last key is known again, and never taken for another', () => {
  const presented = new PresentedKeys()
  const [one, other] = [{}, {}]
  for (const [key, connection] of [
    ['a', one],
    ['a', one],
    ['b', other],
    ['b', one],
    ['a', one],
    ['a', other],
  ] as const) {
    assert.equal(presented.hashOf(key, connection), hashKey(key))
  }
})
