import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { dialectOf } from '../../src/usage/stream-dialect.ts'
import { StreamTap } from '../../src/usage/stream-tap.ts'
import { SAMPLES, type Sample } from './stream-samples.ts'

const COMMENT = 'bursar cost_usd=0.000123 input_tokens=12 output_tokens=34'

function tapOf(sample: Sample, unitMaxBytes?: number): StreamTap {
  const { format, endpoint, framing, dropReport } = sample
  const dialect = dialectOf(format, endpoint)
  return new StreamTap({ dialect, framing, dropReport, ...(unitMaxBytes === undefined ? {} : { unitMaxBytes }) })
}

function bytesOf(sample: Sample): Buffer {
  return Buffer.from(sample.pieces.join(''))
}

/** Cuts at the given positions. */
function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const positions = [0, ...[...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b), bytes.length]
  // Copies, so that no two chunks lie side by side in memory by chance.
  return positions.slice(1).map((end, index) => Buffer.from(bytes.subarray(positions[index] ?? 0, end)))
}

function feed(tap: StreamTap, chunks: readonly Buffer[]): { before: string; after: string; endedEarly: boolean } {
  const before = Buffer.concat(chunks.map((chunk) => tap.push(chunk))).toString()
  const endedEarly = tap.ended
  tap.end()
  return { before, after: tap.release(COMMENT).toString(), endedEarly }
}

function expected(sample: Sample): { before: string; after: string } {
  const { pieces, heldFrom, dropped, framing } = sample
  const kept = pieces.map((piece, index) => (index === dropped ? '' : piece))
  const comment = framing === 'events' ? `: ${COMMENT}\n\n` : ''
  return { before: kept.slice(0, heldFrom).join(''), after: comment + kept.slice(heldFrom).join('') }
}

/** Everything a stream's reading says. */
function said({ reading }: StreamTap) {
  const { textBytes, finished, failed, whole } = reading
  return { usage: reading.usage(), textBytes, finished, failed, whole }
}

describe('a stream on its way', () => {
  for (const sample of SAMPLES) {
    test(`T04 ${sample.name}: usage is read, the last event is held back, our own report is taken out, nothing else changes`, () => {
      const tap = tapOf(sample)
      const { before, after } = feed(tap, [bytesOf(sample)])
      assert.deepEqual({ before, after }, expected(sample))
      assert.deepEqual(tap.reading.usage(), sample.usage)
      assert.equal(tap.reading.whole, true)
      assert.equal(tap.reading.finished, true)
      assert.equal(tap.reading.textBytes, sample.usage === null ? sample.text : 0)
    })

    test(`F26 ${sample.name}: however the network cuts it, the same bytes leave and the same is read`, () => {
      const bytes = bytesOf(sample)
      const whole = tapOf(sample)
      feed(whole, [bytes])
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (cuts) => {
          const tap = tapOf(sample)
          const { before, after } = feed(tap, cutAt(bytes, cuts))
          assert.deepEqual({ before, after }, expected(sample))
          assert.deepEqual(said(tap), said(whole))
        }),
        { numRuns: 200 },
      )
      const single = tapOf(sample)
      const { before, after } = feed(single, cutAt(bytes, [...bytes.keys()]))
      assert.deepEqual({ before, after }, expected(sample), 'byte by byte')
      assert.deepEqual(said(single), said(whole))
    })

    test(`F07 ${sample.name}: cut off anywhere, only whole events have left, and the text so far is known`, () => {
      const bytes = bytesOf(sample)
      const reference = tapOf(sample)
      const all = feed(reference, [bytes])
      for (let length = 0; length < bytes.length; length += 1) {
        const tap = tapOf(sample)
        const left = tap.push(Buffer.from(bytes.subarray(0, length))).toString()
        assert.ok(all.before.startsWith(left))
        assert.ok(tap.reading.textBytes <= sample.text)
        if (sample.framing === 'events' && left !== '') assert.match(left, /\n\r?\n$/)
        const error = tap.cut('{"error":{}}', null).toString()
        if (sample.framing === 'array') assert.doesNotThrow(() => JSON.parse(left + error), `${left}${error}`)
        else assert.match(error, /(^|\n\r?\n)data: \{"error":\{\}\}\n\n$/)
      }
    })
  }

  test('F07 F26 whatever a provider makes of a stream: it is read alike however it is cut, counts nothing below zero, and loses no byte', () => {
    const strange = fc.constantFrom(
      '\n',
      '\r\n\r\n',
      'data: ',
      'data: [DONE]\n\n',
      'event: error\n',
      ':',
      '{',
      ']',
      '"',
      '\\',
      '-1',
      '1e999',
      'null',
      '"usage":{"prompt_tokens":-5,"completion_tokens":7}',
      '\ufeff',
      '\u0000',
    )
    const change = fc.record({ at: fc.nat(5_000), gone: fc.nat(12), put: fc.option(strange, { nil: '' }) })
    fc.assert(
      fc.property(
        fc.constantFrom(...SAMPLES),
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(5_000), { maxLength: 10 }),
        (sample, changes, cuts) => {
          let bytes = bytesOf(sample)
          for (const { at, gone, put } of changes) {
            const from = at % bytes.length
            bytes = Buffer.concat([bytes.subarray(0, from), Buffer.from(put), bytes.subarray(from + gone)])
            if (bytes.length === 0) return
          }
          const kept = { ...sample, dropReport: false }
          const whole = tapOf(kept)
          const { before, after } = feed(whole, [bytes])
          const left = before + after.replace(`: ${COMMENT}\n\n`, '')
          assert.equal(left.replace(/\ufffd/g, ''), bytes.toString().replace(/\ufffd/g, ''))
          const usage = whole.reading.usage()
          for (const count of Object.values(usage ?? {})) if (typeof count === 'number') assert.ok(count >= 0)
          assert.ok(whole.reading.textBytes >= 0)
          const cut = tapOf(kept)
          const again = feed(cut, cutAt(bytes, cuts))
          assert.equal(again.before + again.after, before + after)
          assert.deepEqual(said(cut), said(whole))
        },
      ),
      { numRuns: 3_000 },
    )
  })

  test('F07 an event whose text has no end hides nothing that follows it', () => {
    const event = (content: string, rest = '') => `data: {"choices":[{"delta":{"content":"${content}"}}]${rest}}\n\n`
    const tap = new StreamTap({ dialect: dialectOf('openai', 'chat'), framing: 'events', dropReport: false })
    const usage = ',"usage":{"prompt_tokens":12,"completion_tokens":34}'
    tap.push(Buffer.from(`${event('a').slice(0, -'"}}]}\n\n'.length)}\n\n${event('b')}${event('c', usage)}`))
    assert.equal(tap.reading.usage()?.outputTokens, 34)
  })

  test('the last event waits even when it arrives together with everything before it', () => {
    const sample = SAMPLES[0] as Sample
    const tap = tapOf(sample)
    const left = tap.push(bytesOf(sample)).toString()
    assert.equal(tap.ended, true)
    assert.ok(!left.includes('\ndata: [DONE]\n'))
  })

  test('what arrives after the last event waits with it, and passes once it has been released', () => {
    const sample = SAMPLES[0] as Sample
    const tap = tapOf(sample)
    tap.push(bytesOf(sample))
    assert.equal(tap.push(Buffer.from(': after\n\n')).length, 0)
    assert.equal(tap.release(null).toString(), 'data: [DONE]\n\n: after\n\n')
    assert.equal(tap.push(Buffer.from('more')).toString(), 'more')
  })

  test('chunks that carry only text leave as the very bytes that came, uncopied', () => {
    const tap = tapOf(SAMPLES[0] as Sample)
    const chunk = Buffer.from(
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\n',
    )
    const left = tap.push(chunk)
    assert.equal(left.buffer, chunk.buffer)
    assert.equal(left.length, chunk.length)
  })

  test('F27 an event that is too large to be kept passes unread, and the stream goes on being read', () => {
    const sample = SAMPLES[1] as Sample
    const tap = tapOf(sample, 1_000)
    const head = Buffer.from('data: {"choices":[{"delta":{"content":"')
    let left = tap.push(head).length
    assert.equal(left, 0)
    for (let n = 0; n < 10; n += 1) left += tap.push(Buffer.alloc(500, 'x')).length
    left += tap.push(Buffer.from('"}}]}\n\n')).length
    assert.equal(left, head.length + 5_000 + 7)
    const { before, after } = feed(tap, [bytesOf(sample)])
    assert.deepEqual({ before, after }, expected(sample))
    assert.deepEqual(tap.reading.usage(), sample.usage)
  })

  test('a stream that stops before its named end is not whole, one that only lacks [DONE] after its finish is', () => {
    for (const sample of SAMPLES.filter(({ name }) => name === 'message' || name === 'response')) {
      const tap = tapOf(sample)
      feed(tap, [Buffer.from(sample.pieces.slice(0, -1).join(''))])
      assert.equal(tap.reading.whole, false, sample.name)
    }
    const chat = tapOf(SAMPLES[0] as Sample)
    feed(chat, [Buffer.from((SAMPLES[0] as Sample).pieces.slice(0, 3).join(''))])
    assert.equal(chat.reading.whole, false, 'no finish reason yet')
  })

  test('a provider’s own error event makes a stream a failed one', () => {
    const events: readonly [Sample['format'], Sample['endpoint'], string][] = [
      ['openai', 'chat', 'data: {"error":{"message":"boom"}}\n\n'],
      ['openai', 'responses', 'event: error\ndata: {"type":"error","message":"boom"}\n\n'],
      ['openai', 'responses', 'data: {"type":"response.failed","response":{"error":{"code":"server_error"}}}\n\n'],
      ['anthropic', 'messages', 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'],
      ['google', 'stream_generate_content', 'data: {"error": {"code": 500}}\r\n\r\n'],
    ]
    for (const [format, endpoint, event] of events) {
      const tap = new StreamTap({ dialect: dialectOf(format, endpoint), framing: 'events', dropReport: true })
      tap.push(Buffer.from(event))
      assert.equal(tap.reading.failed, true, event)
      assert.equal(tap.reading.whole, false, event)
    }
  })

  test('F07 text after a report counts beside it; a report that counts output takes the text before it in', () => {
    const message = SAMPLES.find(({ name }) => name === 'message') as Sample
    const tap = tapOf(message)
    for (const piece of message.pieces.slice(0, 4)) tap.push(Buffer.from(piece))
    assert.equal(tap.reading.usage()?.inputTokens, 12)
    assert.equal(tap.reading.usage()?.outputTokens, 1)
    assert.equal(tap.reading.textBytes, 12)
    assert.equal(tap.reading.finished, false)
    const each = SAMPLES.find(({ name }) => name.includes('every chunk')) as Sample
    const counted = tapOf(each)
    for (const piece of each.pieces.slice(0, 2)) counted.push(Buffer.from(piece))
    assert.equal(counted.reading.usage()?.outputTokens, 2)
    assert.equal(counted.reading.textBytes, 0)
  })
})
