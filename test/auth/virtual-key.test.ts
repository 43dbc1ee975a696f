import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { generateVirtualKey, hashKey, hasValidChecksum, keyStart } from '../../src/auth/virtual-key.ts'

describe('virtual key', () => {
  test('a generated key is sk-bursar-, 43 base62 characters and a checksum of 6', () => {
    for (let run = 0; run < 200; run += 1) {
      const key = generateVirtualKey()
      assert.match(key, /^sk-bursar-[0-9A-Za-z]{49}$/)
      assert.ok(hasValidChecksum(key))
    }
  })

  test('no two generated keys are alike, and every place of the secret varies', () => {
    const keys = Array.from({ length: 500 }, generateVirtualKey)
    assert.equal(new Set(keys).size, keys.length)
    for (let place = 'sk-bursar-'.length; place < 'sk-bursar-'.length + 43; place += 1) {
      assert.ok(new Set(keys.map((key) => key[place])).size > 30, `place ${place}`)
    }
  })

  test('a key with any one character mistyped fails its checksum', () => {
    const key = generateVirtualKey()
    const letters = fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz')
    fc.assert(
      fc.property(fc.integer({ min: 10, max: key.length - 1 }), letters, (place, letter) => {
        fc.pre(key[place] !== letter)
        assert.equal(hasValidChecksum(key.slice(0, place) + letter + key.slice(place + 1)), false)
      }),
    )
  })

  test('imported keys have no checksum to be right', () => {
    for (const key of ['', 'sk-bursar-', 'my-own-key-of-twenty-characters', `${generateVirtualKey()}x`]) {
      assert.equal(hasValidChecksum(key), false)
    }
  })

  test('a key is stored as the lower-case hex of its SHA-256', () => {
    assert.equal(hashKey('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    assert.equal(hashKey('ключ'), createHash('sha256').update('ключ').digest('hex'))
  })

  test('F23 the visible start is never more than a quarter of a key', () => {
    assert.match(keyStart(generateVirtualKey()), /^sk-bursar-.{4}$/)
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 100 }), (key) => {
        const start = keyStart(key)
        assert.ok(key.startsWith(start) && start.length <= key.length / 4)
      }),
    )
  })
})
