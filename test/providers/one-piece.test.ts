import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inOnePiece } from '../../src/providers/one-piece.ts'

test('a body stays the same bytes, whether it is sent as a string or not', () => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
    fc.nat(20_000).map((length) => Buffer.alloc(length, 'a')),
  )
  fc.assert(
    fc.property(bodies, (bytes) => {
      const body = Buffer.from(bytes)
      const sent = inOnePiece(body)
      assert.deepEqual(typeof sent === 'string' ? Buffer.from(sent, 'utf8') : sent, body)
      assert.equal(typeof sent === 'string', body.length <= 8_192 && body.every((byte) => byte < 0x80))
    }),
  )
})
