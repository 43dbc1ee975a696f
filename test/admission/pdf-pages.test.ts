import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { pdfPagesOf } from '../../src/admission/pdf-pages.ts'
import { pdfOf } from '../helpers/images.ts'

const read = (text: string | Buffer) => pdfPagesOf(Buffer.from(text).toString('base64'))

describe('the pages of a PDF', () => {
  test('are counted where they stand, however blanks are written', () => {
    assert.equal(read(pdfOf(1)), 1)
    assert.equal(read(pdfOf(120)), 120)
    assert.equal(
      read('%PDF-1.4\n<</Type/Pages/Count 2>> <</Type/Page>> <</Type\r\n/Page/MediaBox[]>> <</Type /PageLabel>>'),
      2,
    )
  })

  test('are counted in compressed streams of objects, beside those that stand outside', () => {
    assert.equal(read(pdfOf(250, { compressed: true })), 250)
    assert.equal(read(Buffer.concat([pdfOf(3), pdfOf(250, { compressed: true })])), 253)
  })

  test('are unknown where they cannot be seen, and of what is no PDF', () => {
    assert.equal(read('%PDF-1.7\nnothing'), null)
    assert.equal(read('hello /Type /Page'), null)
    assert.equal(
      read(
        Buffer.concat([
          Buffer.from('%PDF-1.7\n<</Type/ObjStm>>stream\n'),
          Buffer.from('not deflated'),
          Buffer.from('endstream'),
        ]),
      ),
      null,
    )
    assert.equal(read('%PDF-1.7\n<</Type/ObjStm>>stream'), null)
  })

  test('a stream that swells when it is opened is left shut', () => {
    const bomb = deflateSync(Buffer.alloc(200_000_000))
    const before = performance.now()
    assert.equal(
      read(Buffer.concat([Buffer.from('%PDF-1.7\n<</Type/ObjStm>>stream\n'), bomb, Buffer.from('\nendstream')])),
      null,
    )
    assert.ok(performance.now() - before < 500)
  })

  test('whatever the bytes, it is a number or none, and nothing is thrown', () => {
    const part = fc.constantFrom('/Type', '/Page', '/ObjStm', 'stream', 'endstream', '\n', ' ', 's', 'x\x9c')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const pages = read(`%PDF-${parts.join('')}`)
        assert.ok(pages === null || pages > 0)
      }),
    )
  })
})
