import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { EventForm } from '../../src/usage/event-form.ts'
import { dialectOf } from '../../src/usage/stream-dialect.ts'
import { StreamReading } from '../../src/usage/stream-reading.ts'
import { StreamTap } from '../../src/usage/stream-tap.ts'

const chat = dialectOf('openai', 'chat')
const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'gpt-4o-mini' }
const choice = (fields: object) => ({ ...head, choices: [{ index: 0, ...fields }] })

/** Events that are alike but for a text, and some that look alike and are not. */
const event = fc.oneof(
  { weight: 12, arbitrary: fc.string({ unit: 'binary' }).map((content) => choice({ delta: { content } })) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.string(), fc.string())
      .map(([content, obfuscation]) => ({ ...choice({ delta: { content } }), usage: null, obfuscation })),
  },
  fc.string().map((content) => choice({ delta: { content }, finish_reason: 'stop' })),
  fc.string().map((content) => ({ ...choice({ delta: { content } }), usage: { prompt_tokens: 1 } })),
  fc.string({ minLength: 300 }).map((content) => choice({ delta: { content } })),
  fc.string().map((model) => ({ ...choice({ delta: { content: 'a' } }), model })),
  fc.constant({ error: { message: 'overloaded' } }),
)

describe('events that differ only in their text', () => {
  test('T04 are read as if each had been looked into, however the network cuts the stream', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 6 })
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 40 }), cuts, (events, places) => {
        const units = events.map((of) => Buffer.from(`data: ${JSON.stringify(of)}\n\n`))
        const looked = new StreamReading(chat)
        for (const unit of units) looked.take(unit)
        const whole = Buffer.concat(units)
        const ends = [...new Set(places.map((place) => place % whole.length)), whole.length].sort((a, b) => a - b)
        const tap = new StreamTap({ dialect: chat, framing: 'events', dropReport: false })
        const left = ends.map((end, index) => tap.push(Buffer.from(whole.subarray(ends[index - 1] ?? 0, end))))
        assert.deepEqual(Buffer.concat(left), whole)
        for (const name of ['textBytes', 'finished', 'failed', 'whole'] as const) {
          assert.equal(tap.reading[name], looked[name], name)
        }
        assert.deepEqual(tap.reading.usage(), looked.usage())
      }),
      { numRuns: 400 },
    )
  })

  test('are taken without being looked into, also where their texts are escaped or hidden behind padding', () => {
    const reading = new StreamReading(chat)
    const unit = (content: string, obfuscation: string) =>
      Buffer.from(`data: ${JSON.stringify({ ...choice({ delta: { content } }), obfuscation })}\n\n`)
    reading.take(unit('first', 'abc'))
    const next = unit('say "hi"\n', '')
    assert.equal(reading.takeAlike(next, 0), next.length)
    assert.equal(reading.textBytes, 'first'.length + JSON.stringify('say "hi"\n').length - 2)
  })
})

test('a form ends where its event does: not before the end has come, nor behind a string that none may be', () => {
  const unit = Buffer.from('data: {"content":"a"}\n\n')
  const form = new EventForm(unit, [{ start: 18, end: 19, isText: true }])
  const endIn = (text: string, from = 0) => form.endIn(Buffer.from(text), from)
  assert.equal(endIn('data: {"content":"bc"}\n\ndata: '), 24)
  assert.equal(form.textBytes, 2)
  assert.equal(endIn('x data: {"content":""}\n\n', 2), 24)
  for (const text of [
    'data: {"content":"bc"}\n',
    'data: {"content":"b',
    'data: {"content":"b\\',
    'data: {"content":"b\n"}\n\n',
    'data: {"content":"b","usage":{}}\n\n',
    'data: {"content": "b"}\n\n',
    `data: {"content":"${'b'.repeat(300)}"}\n\n`,
  ]) {
    assert.equal(endIn(text), -1, text)
  }
})
