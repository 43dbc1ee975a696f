import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { startSim } from '../../src/sim/server.ts'
import { events, HELLO, HELLO_TOKENS, lastServed, post, start, until } from './start.ts'

const CHAT = '/v1/chat/completions'
const STREAM = { ...HELLO, stream: true }
const MESSAGES = { ...HELLO, max_tokens: 100, stream: true }
const GEMINI = '/v1beta/models/sim-small:streamGenerateContent?alt=sse'
const CONTENTS = { contents: [{ role: 'user', parts: [{ text: 'Hello there' }] }] }

interface Seen {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[]
  readonly usage?: { readonly completion_tokens: number } | null
  readonly usageMetadata?: { readonly candidatesTokenCount: number }
  readonly type?: string
}

async function seen(response: Response): Promise<readonly Seen[]> {
  return (await events(response)) as Seen[]
}

/** A raw HTTP call whose arriving packets are kept apart. */
async function packets(port: number, body: unknown, headers: string): Promise<string[]> {
  const socket = connect(port, '127.0.0.1')
  const received: string[] = []
  socket.on('data', (data) => received.push(data.toString()))
  const text = JSON.stringify(body)
  socket.write(`POST ${CHAT} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n${headers}\r\n`)
  socket.write(`content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  await once(socket, 'close')
  return received
}

describe('how much is sent', () => {
  test('a stream comes in as many chunks as asked, and never in more than it has tokens', async (t) => {
    const sim = await start(t)
    for (const [chunks, expected] of [
      [undefined, 12],
      ['5', 5],
      ['100', 12],
    ] as const) {
      const headers = { 'x-sim-output-tokens': '12', ...(chunks && { 'x-sim-chunks': chunks }) }
      const contents = (await seen(await post(sim, CHAT, STREAM, headers))).filter(
        (e) => e.choices?.[0]?.delta?.content,
      )
      assert.equal(contents.length, expected)
      const said = contents.map((event) => event.choices?.[0]?.delta?.content).join('')
      assert.equal(said.split(' ').length, 12)
    }
  })

  test('long answers go on in the same words and no answer passes the model', async (t) => {
    const sim = await start(t)
    const response = await post(sim, CHAT, HELLO, { 'x-sim-output-tokens': '1000000' })
    const { choices, usage } = JSON.parse(await response.text())
    assert.equal(usage.completion_tokens, 16_384)
    assert.equal(choices[0].finish_reason, 'length')
    assert.equal(choices[0].message.content.split(' ').length, 16_384)
  })

  test('the parts of reported input never exceed it', async (t) => {
    const sim = await start(t)
    const headers = { 'x-sim-cached-tokens': '700', 'x-sim-cache-write-tokens': '300' }
    const { usage } = JSON.parse(await (await post(sim, CHAT, HELLO, headers)).text())
    assert.equal(usage.prompt_tokens, 1000)
    assert.equal(usage.prompt_tokens_details.cached_tokens, 700)
    const more = { ...headers, 'x-sim-input-tokens': '5000', 'x-sim-reasoning-tokens': '11' }
    const told = JSON.parse(await (await post(sim, CHAT, HELLO, more)).text())
    assert.equal(told.usage.prompt_tokens, 5000)
    assert.equal(told.usage.completion_tokens_details.reasoning_tokens, 11)
    assert.equal(told.usage.completion_tokens, told.choices[0].message.content.split(' ').length + 11)
  })
})

describe('where usage is reported', () => {
  test('none: nowhere, in every format, while the ledger knows it', async (t) => {
    const sim = await start(t, { usage: 'none' })
    const asked = { ...STREAM, stream_options: { include_usage: true } }
    const calls = [
      [CHAT, HELLO],
      [CHAT, asked],
      ['/v1/messages', MESSAGES],
      ['/v1/messages', { ...MESSAGES, stream: false }],
      ['/v1/responses', { model: 'sim-small', input: 'Hello there' }],
      ['/v1/embeddings', { model: 'sim-small', input: 'Hello there' }],
      ['/v1/completions', { model: 'sim-small', prompt: 'Hello there', stream: true }],
      [GEMINI, CONTENTS],
    ] as const
    for (const [path, body] of calls) {
      const text = await (await post(sim, path, body)).text()
      assert.doesNotMatch(text, /"(input|prompt|completion|output)_tokens"|usageMetadata|TokenCount/, path)
      const served = await lastServed(sim)
      assert.equal(served.usageReported, false, path)
      assert.ok((served.usage?.inputTokens ?? 0) > 0, path)
    }
  })

  test('early: in the chunk before the last, once, and not asked for', async (t) => {
    const sim = await start(t, { usage: 'early', outputTokens: 6 })
    const chat = await seen(await post(sim, CHAT, STREAM))
    assert.deepEqual(
      chat.map((event) => event.usage?.completion_tokens),
      [...Array(6).fill(undefined), 6, undefined],
    )
    const gemini = await seen(await post(sim, GEMINI, CONTENTS))
    assert.deepEqual(
      gemini.map((event) => event.usageMetadata?.candidatesTokenCount),
      [undefined, undefined, undefined, undefined, 6, undefined],
    )
    const messages = await seen(await post(sim, '/v1/messages', MESSAGES))
    const types = messages.map((event) => event.type)
    assert.equal(types.filter((type) => type === 'message_delta').length, 2)
    assert.ok(types.indexOf('message_delta') < types.lastIndexOf('content_block_delta'))
  })

  test('each: the sum so far on every chunk of content', async (t) => {
    const sim = await start(t, { usage: 'each', outputTokens: 4, reasoningTokens: 10 })
    const chat = await seen(await post(sim, CHAT, STREAM))
    const contents = chat.filter((event) => event.choices?.[0]?.delta?.content)
    assert.deepEqual(
      contents.map((event) => event.usage?.completion_tokens),
      [11, 12, 13, 14],
    )
    const messages = await seen(await post(sim, '/v1/messages', MESSAGES))
    assert.equal(messages.filter((event) => event.type === 'message_delta').length, 4)
  })

  test('split: the report arrives in two packets and is whole again together', async (t) => {
    const sim = await start(t, { usage: 'split', outputTokens: 3 })
    const asked = { ...STREAM, stream_options: { include_usage: true } }
    const report = /"usage":\{.*"rejected_prediction_tokens":0\}\}/
    for (const body of [HELLO, asked]) {
      let received: string[] = []
      // A busy machine may hand over both packets at once; it will not do so each time.
      for (let attempt = 0; attempt < 20 && received.length < 2; attempt++) {
        received = await packets(sim.port, body, 'accept: */*')
      }
      assert.ok(received.length >= 2)
      assert.ok(received.join('').includes('"rejected_prediction_tokens":0'))
      assert.ok(!received.some((packet) => report.test(packet)))
    }
    const { usage } = JSON.parse(await (await post(sim, CHAT, HELLO)).text())
    assert.equal(usage.completion_tokens, 3)
    const chunks = await seen(await post(sim, CHAT, asked))
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 3)
  })
})

describe('when it is sent', () => {
  test('latency comes before the headers and the delay between chunks, and neither keeps a leaving peer waiting', async (t) => {
    const sim = await start(t)
    const begun = performance.now()
    const response = await post(sim, CHAT, STREAM, {
      'x-sim-latency-ms': '40',
      'x-sim-chunk-delay-ms': '10',
      'x-sim-output-tokens': '5',
    })
    assert.ok(performance.now() - begun >= 39)
    await response.text()
    assert.ok(performance.now() - begun >= 39 + 4 * 9)

    const controller = new AbortController()
    const waiting = fetch(`${sim.url}${CHAT}`, {
      method: 'POST',
      headers: { 'x-sim-latency-ms': '3600000' },
      body: JSON.stringify(HELLO),
      signal: controller.signal,
    })
    await until(() => sim.ledger().length === 2, 'the call to arrive')
    assert.equal(sim.ledger()[1]?.outcome, 'open')
    controller.abort()
    await assert.rejects(waiting)
    const served = await lastServed(sim)
    assert.equal(served.outcome, 'aborted')
    assert.equal(served.status, null)
    assert.equal(served.usage, null)
  })
})

describe('refusing', () => {
  test('a status is answered in the body of each format, with retry-after as given', async (t) => {
    const sim = await start(t)
    const headers = { 'x-sim-status': '429', 'x-sim-retry-after': '17' }
    const openai = await post(sim, CHAT, STREAM, headers)
    assert.equal(openai.status, 429)
    assert.equal(openai.headers.get('retry-after'), '17')
    const message = 'The simulated provider was told to answer 429.'
    assert.deepEqual(await openai.json(), {
      error: { message, type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' },
    })
    const anthropic = await post(sim, '/v1/messages', MESSAGES, headers)
    assert.deepEqual(await anthropic.json(), {
      type: 'error',
      error: { type: 'rate_limit_error', message },
      request_id: anthropic.headers.get('request-id'),
    })
    const google = await post(sim, GEMINI, CONTENTS, headers)
    assert.deepEqual(await google.json(), { error: { code: 429, message, status: 'RESOURCE_EXHAUSTED' } })
    const served = await lastServed(sim)
    assert.equal(served.outcome, 'refused')
    assert.equal(served.status, 429)
    assert.equal(served.model, 'sim-small')
    assert.equal(served.usage, null)
  })

  test('an error rate fails about that share of calls, the same ones for the same seed', async (t) => {
    const sim = await start(t, { errorRate: 0.3, errorStatus: 503, seed: 7 })
    const run = async () => {
      const statuses: number[] = []
      for (let call = 0; call < 60; call++) {
        const response = await post(sim, CHAT, HELLO)
        await response.arrayBuffer()
        statuses.push(response.status)
      }
      return statuses
    }
    const first = await run()
    const failed = first.filter((status) => status === 503).length
    assert.equal(first.filter((status) => status === 200).length, 60 - failed)
    assert.ok(failed > 8 && failed < 30, `${failed} of 60 failed`)
    sim.configure({ seed: 7 })
    assert.deepEqual(await run(), first)
    sim.configure({ seed: 8 })
    assert.notDeepEqual(await run(), first)
  })

  test('unknown controls, bad values and unreadable requests are refused and named', async (t) => {
    const sim = await start(t)
    const refused = async (body: unknown, headers: Record<string, string>, path = CHAT) => {
      const response = await post(sim, path, body, headers)
      return `${response.status} ${JSON.parse(await response.text()).error.message}`
    }
    assert.match(await refused(HELLO, { 'x-sim-latency': '1' }), /^400 There is no control x-sim-latency/)
    assert.match(await refused(HELLO, { 'x-sim-error-rate': '1' }), /^400 There is no control/)
    assert.match(await refused(HELLO, { 'x-sim-status': '200' }), /^400 x-sim-status: expected a whole number from 400/)
    assert.match(await refused(HELLO, { 'x-sim-die': 'quietly' }), /^400 x-sim-die: expected before-headers, /)
    assert.match(await refused('text', {}), /^400 /)
    assert.match(await refused({ messages: [] }, {}), /^400 You must provide a model/)
    assert.match(await refused({ ...HELLO, max_tokens: -1 }, {}), /^400 Invalid type for 'max_tokens'/)
    assert.match(await refused({ ...HELLO, n: 0 }, {}), /^400 The number of choices/)
    assert.match(await refused({ ...HELLO, messages: 'hi' }, {}), /^400 Invalid type for 'messages'/)
    assert.match(await refused({ model: 'sim-small', input: [] }, {}, '/v1/embeddings'), /^400 'input' must be/)
    assert.match(await refused({}, {}, '/v1/files'), /^404 Invalid URL \(POST \/v1\/files\)/)
    const wrongMethod = await fetch(`${sim.url}${CHAT}`)
    assert.equal(wrongMethod.status, 405)
    await assert.rejects(startSim({ chunks: 0 }), /chunks: expected a whole number from 1/)
  })

  test('any other model name is unknown unless all are served', async (t) => {
    const sim = await start(t)
    const body = { ...HELLO, model: 'mistral "large"' }
    assert.equal((await post(sim, CHAT, body)).status, 404)
    sim.configure({ anyModel: true })
    const response = await post(sim, CHAT, body)
    assert.equal(JSON.parse(await response.text()).model, body.model)
  })
})

describe('failing', () => {
  test('before-headers: the connection ends without a status', async (t) => {
    const sim = await start(t, { die: 'before-headers' })
    for (const body of [HELLO, STREAM]) {
      await assert.rejects(post(sim, CHAT, body))
      const served = await lastServed(sim)
      assert.deepEqual([served.outcome, served.status, served.usage], ['died', null, null])
    }
  })

  test('after-headers: the status arrives and nothing else', async (t) => {
    const sim = await start(t, { die: 'after-headers' })
    for (const body of [HELLO, STREAM]) {
      const response = await post(sim, CHAT, body)
      assert.equal(response.status, 200)
      await assert.rejects(response.text())
      const served = await lastServed(sim)
      assert.deepEqual([served.outcome, served.status, served.sentTokens], ['died', 200, 0])
      assert.equal(served.usage?.inputTokens, HELLO_TOKENS)
    }
  })

  test('mid-body: half of a collected answer arrives, and all of it is billed', async (t) => {
    const sim = await start(t, { die: 'mid-body', outputTokens: 10 })
    const received = (await packets(sim.port, HELLO, 'accept: */*')).join('')
    const [head = '', body = ''] = received.split('\r\n\r\n')
    const promised = Number(/content-length: (\d+)/i.exec(head)?.[1])
    assert.equal(body.length, Math.floor(promised / 2))
    const served = await lastServed(sim)
    assert.deepEqual([served.outcome, served.sentTokens, served.usageReported], ['died', 5, false])
    assert.equal(served.usage?.outputTokens, 10)
  })

  test('mid-body: half of a stream arrives, and what was sent is billed', async (t) => {
    const sim = await start(t, { die: 'mid-body', outputTokens: 10 })
    const received = (await packets(sim.port, STREAM, 'accept: */*')).join('')
    assert.equal(received.match(/"delta":\{"content":"[^"]/g)?.length, 5)
    assert.ok(!received.includes('[DONE]') && !received.endsWith('0\r\n\r\n'), 'the stream must not end properly')
    const served = await lastServed(sim)
    assert.deepEqual([served.outcome, served.sentTokens, served.usage?.outputTokens], ['died', 5, 5])
    assert.equal(served.usage?.inputTokens, HELLO_TOKENS)
  })

  test('early-end: the stream ends as if it were whole, without its last events', async (t) => {
    const sim = await start(t, { die: 'early-end', outputTokens: 10 })
    const text = await (await post(sim, CHAT, STREAM)).text()
    assert.ok(!text.includes('[DONE]') && !text.includes('finish_reason":"stop"'))
    assert.equal((await lastServed(sim)).outcome, 'died')
    const messages = await (await post(sim, '/v1/messages', MESSAGES)).text()
    assert.ok(!messages.includes('message_stop'))
  })

  test('error-event: the last event of the stream is the error of its format', async (t) => {
    const sim = await start(t, { die: 'error-event' })
    const chat = await post(sim, CHAT, STREAM)
    assert.match(await chat.text(), /data: \{"error":\{"message":[^\n]+\}\n\n$/)
    const messages = await post(sim, '/v1/messages', MESSAGES)
    assert.match(
      await messages.text(),
      /event: error\ndata: \{"type":"error","error":\{"type":"api_error"[^\n]+\}\n\n$/,
    )
    const array: unknown = await (await post(sim, GEMINI.replace('?alt=sse', ''), CONTENTS)).json()
    assert.ok(Array.isArray(array))
    assert.equal(array.at(-1).error.status, 'INTERNAL')
  })

  test('stall: silence before the headers or half-way, until the peer leaves, and that is noted', async (t) => {
    const sim = await start(t)
    for (const [stall, body, status] of [
      ['headers', HELLO, null],
      ['headers', STREAM, null],
      ['body', HELLO, 200],
      ['body', STREAM, 200],
    ] as const) {
      const controller = new AbortController()
      const call = fetch(`${sim.url}${CHAT}`, {
        method: 'POST',
        headers: { 'x-sim-stall': stall, 'x-sim-output-tokens': '10' },
        body: JSON.stringify(body),
        signal: controller.signal,
      }).then((response) => response.text())
      sim.clear()
      await until(() => sim.ledger().at(-1)?.outcome === 'stalled', `a stall of ${stall}`)
      assert.equal(sim.ledger().at(-1)?.endedAt, null)
      controller.abort()
      await assert.rejects(call)
      const served = await lastServed(sim)
      assert.deepEqual([served.outcome, served.status], ['stalled', status])
      if (stall === 'body') assert.equal(served.sentTokens, 5)
    }
  })
})
