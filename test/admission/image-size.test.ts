import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { pixelsOf } from '../../src/admission/image-size.ts'
import { jpegOf, pngOf, segment, webpOf } from '../helpers/images.ts'

const size = { width: 1_920, height: 1_080 }
const read = (bytes: Buffer) => pixelsOf(bytes.toString('base64'))

describe('the size of an image', () => {
  test('is read from PNG, JPEG and each kind of WebP', () => {
    const rows: readonly [string, Buffer][] = [
      ['png', pngOf(size)],
      ['jpeg', jpegOf(size)],
      ['progressive jpeg', jpegOf(size, { marker: 0xc2 })],
      ['jpeg with fill bytes', jpegOf(size, { before: Buffer.from('ffff', 'hex') })],
      ...(['VP8X', 'VP8 ', 'VP8L'] as const).map((kind): [string, Buffer] => [kind, webpOf(size, kind)]),
    ]
    for (const [name, bytes] of rows) assert.deepEqual(read(bytes), size, name)
  })

  test('is found behind profiles and previews, up to 384 KB of them', () => {
    const preview = jpegOf({ width: 16, height: 16 })
    const before = (segments: number) =>
      Buffer.concat(
        Array.from({ length: segments }, () => segment(0xe1, Buffer.concat([preview, Buffer.alloc(65_000)]))),
      )
    assert.deepEqual(read(jpegOf(size, { before: before(1) })), size)
    assert.deepEqual(read(jpegOf(size, { before: before(5) })), size)
    assert.equal(read(jpegOf(size, { before: before(7) })), null)
  })

  test('F05 is not told of what departs from its format, where decoders may see another one', () => {
    const small = { width: 1, height: 1 }
    const rows: readonly [string, Buffer][] = [
      ['nothing', Buffer.alloc(0)],
      ['a GIF, whose frames may be larger than its screen', Buffer.from('GIF89a0100010000', 'latin1')],
      ['garbage between two segments', jpegOf(small, { before: Buffer.from('00') })],
      ['a frame behind the scan', jpegOf(small, { before: segment(0xda, Buffer.alloc(10)) })],
      ['a JPEG without height, which comes later', jpegOf({ width: 1, height: 0 })],
      [
        'a PNG whose first chunk is another',
        Buffer.concat([pngOf(small).subarray(0, 8), Buffer.from('0000000443674249', 'hex'), pngOf(small).subarray(8)]),
      ],
      ['a WebP of an unknown kind', webpOf(small, 'ALPH')],
    ]
    for (const [name, bytes] of rows) assert.equal(read(bytes), null, name)
    const base64 = pngOf(small).toString('base64')
    assert.equal(pixelsOf(`\n${base64}`), null, 'a line before')
    assert.equal(pixelsOf(`${base64.slice(0, 4)}=${base64.slice(4)}`), null, 'padding inside')
    assert.equal(pixelsOf(base64.replaceAll('/', '_').replaceAll('i', '-')), null, 'another alphabet')
  })

  test('whatever the bytes, it is a size or none, and nothing is thrown', () => {
    const starts = [pngOf(size), jpegOf(size), webpOf(size, 'VP8X'), webpOf(size, 'VP8L')]
    fc.assert(
      fc.property(fc.constantFrom(...starts), fc.nat(40), fc.uint8Array({ maxLength: 60 }), (start, kept, rest) => {
        const pixels = read(Buffer.concat([start.subarray(0, kept), rest]))
        assert.ok(pixels === null || (pixels.width > 0 && pixels.height > 0))
      }),
    )
  })
})
