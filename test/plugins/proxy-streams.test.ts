import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { formatUsd } from '../../src/units/money.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway, type TestGateway, type TestGatewayOptions } from '../helpers/gateway.ts'
import { json, type Received, startUpstream, stream, type Upstream } from '../helpers/upstream.ts'

const CHAT = '/v1/chat/completions'
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100, stream: true }
const HELLO = 'data: {"choices":[{"delta":{"content":"Hello"},"finish_reason":null}],"usage":null}\n\n'
const WORLD = 'data: {"choices":[{"delta":{"content":" world"},"finish_reason":null}],"usage":null}\n\n'
const FINISH = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}\n\n'
const DONE = 'data: [DONE]\n\n'
const COST = 12n * 150n + 34n * 600n
const COMMENT = `: bursar cost_usd=${formatUsd(COST)} input_tokens=12 output_tokens=34\n\n`

interface World {
  readonly gateway: TestGateway
  readonly upstream: Upstream
}

async function world(
  t: TestContext,
  answer: (received: Received) => void,
  options?: TestGatewayOptions,
): Promise<World> {
  const upstream = await startUpstream(t, answer)
  const gateway = await startGateway(t, options)
  gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
  gateway.key()
  return { gateway, upstream }
}

function whole(...parts: string[]): (received: Received) => void {
  return (received) => {
    stream(...parts)(received)
    received.response.end()
  }
}

/** Reads a stream piece by piece. */
function reader(response: Response) {
  assert.ok(response.body !== null)
  const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    /** Everything read so far, once it contains `part`. */
    async until(part: string): Promise<string> {
      while (!text.includes(part)) {
        const { done, value } = await pieces.read()
        assert.ok(!done, `the stream ended without ${part}: ${text}`)
        text += value
      }
      return text
    },
    /** Everything, and how it ended. */
    async rest(): Promise<{ text: string; ended: 'cleanly' | 'broken' }> {
      try {
        for (;;) {
          const { done, value } = await pieces.read()
          if (done) return { text, ended: 'cleanly' }
          text += value
        }
      } catch {
        return { text, ended: 'broken' }
      }
    },
  }
}

function summary({ gateway }: World) {
  const events = gateway.events()
  assert.equal(events.length, 1, 'one event')
  const [event] = events
  return [event?.usageSource, event?.requests, event?.inputTokens, event?.outputTokens, event?.success]
}

describe('a stream', () => {
  test('T04 T05 is charged once, as reported; our own question stays between the provider and us', async (t) => {
    const { gateway, upstream } = await world(t, whole(HELLO, WORLD, FINISH, USAGE, DONE))
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert.equal(await response.text(), HELLO + WORLD + FINISH + COMMENT + DONE)
    assert.match(upstream.received[0]?.body.toString() ?? '', /^\{"stream_options":\{"include_usage":true\},"model"/)
    await gateway.settled()
    assert.deepEqual(summary({ gateway, upstream }), ['reported', 1, 12, 34, true])
    assert.equal(gateway.meter('cost').posted, COST)
    assert.equal(gateway.meter('requests').posted, 1n)
    const [event] = gateway.events()
    assert.equal(event?.stream, true)
    assert.ok(event !== undefined && event.ttftMs !== null && event.ttftMs <= event.latencyMs)
  })

  test('shows its usage to a client that asks for it, and is otherwise byte for byte the provider’s', async (t) => {
    const { gateway, upstream } = await world(t, whole(HELLO, FINISH, USAGE, DONE))
    const ask = { ...ASK, stream_options: { include_usage: true } }
    assert.equal(await (await gateway.post(CHAT, ask)).text(), HELLO + FINISH + USAGE + COMMENT + DONE)
    assert.equal(upstream.received[0]?.body.toString(), JSON.stringify(ask))
  })

  test('the cost comment can be switched off', async (t) => {
    const { gateway } = await world(t, whole(HELLO, FINISH, USAGE, DONE), { settings: { streamCostComment: false } })
    assert.equal(await (await gateway.post(CHAT, ASK)).text(), HELLO + FINISH + DONE)
  })

  test('F15 carries the limit headers as held', async (t) => {
    const { gateway } = await world(t, whole(HELLO, FINISH, USAGE, DONE))
    const { headers } = await gateway.post(CHAT, ASK)
    assert.equal(headers.get('x-ratelimit-remaining-requests'), '999')
    assert.notEqual(headers.get('x-bursar-budget-remaining-usd'), null)
    assert.equal(headers.get('x-bursar-provider'), 'openai')
    assert.equal(headers.get('x-bursar-cost-usd'), null)
    assert.match(headers.get('x-bursar-request-id') ?? '', /^[0-9a-f-]{36}$/)
  })

  test('its last event leaves only when its settlement is in the journal; everything before it at once', async (t) => {
    const { gateway } = await world(t, whole(HELLO, FINISH, USAGE, DONE))
    gateway.facts.heldUp = true
    const read = reader(await gateway.post(CHAT, ASK))
    await read.until('"stop"')
    await eventually(() => assert.equal(gateway.facts.of('settle').length, 1))
    assert.doesNotMatch(await read.until(FINISH), /DONE/)
    gateway.facts.release()
    assert.deepEqual(await read.rest(), { text: HELLO + FINISH + COMMENT + DONE, ended: 'cleanly' })
  })

  test('its head reaches the client before the first event', async (t) => {
    const { gateway, upstream } = await world(t, stream())
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 200)
    upstream.received[0]?.response.end(HELLO + FINISH + USAGE + DONE)
    assert.match(await response.text(), /Hello/)
  })

  test('without a report is estimated from the request and the text seen', async (t) => {
    const here = await world(t, whole(HELLO, WORLD, FINISH, DONE))
    await (await here.gateway.post(CHAT, ASK)).text()
    await here.gateway.settled()
    const [source, requests, , output, success] = summary(here)
    assert.deepEqual([source, requests, output, success], ['estimated', 1, Math.ceil(11 * 0.35), true])
  })

  test('that ends without [DONE] after its finish is whole', async (t) => {
    const here = await world(t, whole(HELLO, FINISH))
    const read = reader(await here.gateway.post(CHAT, ASK))
    assert.equal((await read.rest()).ended, 'cleanly')
    await here.gateway.settled()
    assert.equal(summary(here)[4], true)
  })

  test('compressed against our wish passes as it is and is charged by the estimates', async (t) => {
    const here = await world(t, ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'x-unknown' })
      response.end('\u0001\u0002')
    })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.headers.get('content-encoding'), 'x-unknown')
    assert.equal(await response.text(), '\u0001\u0002')
    await here.gateway.settled()
    const [source, requests, , output] = summary(here)
    assert.deepEqual([source, requests, output], ['estimated', 1, 100])
  })

  test('answered in one piece by the provider is a collected answer', async (t) => {
    const here = await world(t, ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34}}')
    })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.headers.get('x-bursar-cost-usd'), formatUsd(COST))
    await response.text()
    await here.gateway.settled()
    assert.deepEqual(summary(here), ['reported', 1, 12, 34, true])
  })
})

describe('F07 F28 a client that leaves', () => {
  test('a stream before a status stops the provider and is charged the input estimate and one request', async (t) => {
    const here = await world(t, () => {})
    const leaving = new AbortController()
    const asked = here.gateway.post(CHAT, ASK, {}, leaving.signal)
    await eventually(() => assert.equal(here.upstream.received.length, 1))
    leaving.abort()
    await assert.rejects(asked)
    await here.gateway.settled()
    const [source, requests, input, output, success] = summary(here)
    assert.deepEqual([source, requests, output, success], ['estimated', 1, 0, false])
    assert.ok(Number(input) > 0)
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
  })

  test('in the middle of a stream stops the provider at once and is charged for the text seen', async (t) => {
    const here = await world(t, stream(HELLO, WORLD))
    const leaving = new AbortController()
    const read = reader(await here.gateway.post(CHAT, ASK, {}, leaving.signal))
    await read.until('world')
    leaving.abort()
    await here.gateway.settled()
    const [source, requests, input, output, success] = summary(here)
    assert.deepEqual([source, requests, output, success], ['partial', 1, Math.ceil(11 * 0.35), false])
    assert.ok(Number(input) > 0)
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
  })

  test('after the model’s last word is charged exactly what was reported', async (t) => {
    const here = await world(t, stream(HELLO, FINISH, USAGE))
    const leaving = new AbortController()
    const read = reader(await here.gateway.post(CHAT, ASK, {}, leaving.signal))
    await read.until('stop')
    leaving.abort()
    await here.gateway.settled()
    assert.deepEqual(summary(here), ['reported', 1, 12, 34, false])
  })

  test('while the last event is held back changes nothing: it was settled', async (t) => {
    const here = await world(t, stream(HELLO, FINISH, USAGE, DONE))
    here.gateway.facts.heldUp = true
    const leaving = new AbortController()
    const read = reader(await here.gateway.post(CHAT, ASK, {}, leaving.signal))
    await read.until('stop')
    await eventually(() => assert.equal(here.gateway.facts.of('settle').length, 1))
    leaving.abort()
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
    here.gateway.facts.heldUp = false
    here.gateway.facts.release()
    await here.gateway.settled()
    assert.deepEqual(summary(here), ['reported', 1, 12, 34, true])
  })

  test('a collected answer after forwarding: the call is finished and settled as reported', async (t) => {
    const here = await world(t, () => {})
    const leaving = new AbortController()
    const asked = here.gateway.post(CHAT, { ...ASK, stream: false }, {}, leaving.signal)
    await eventually(() => assert.equal(here.upstream.received.length, 1))
    leaving.abort()
    await assert.rejects(asked)
    await here.gateway.unconnected()
    assert.equal(here.upstream.received[0]?.gone, false)
    assert.equal(here.gateway.events().length, 0)
    const answer = here.upstream.received[0]?.response
    answer?.setHeader('content-type', 'application/json')
    answer?.end('{"usage":{"prompt_tokens":12,"completion_tokens":34}}')
    await here.gateway.settled()
    assert.deepEqual(summary(here), ['reported', 1, 12, 34, true])
  })

  test('a collected answer that turns out to be a stream without end: it is not read for nobody', async (t) => {
    const here = await world(t, () => {})
    const leaving = new AbortController()
    const asked = here.gateway.post(CHAT, { ...ASK, stream: false }, {}, leaving.signal)
    await eventually(() => assert.equal(here.upstream.received.length, 1))
    leaving.abort()
    await assert.rejects(asked)
    await here.gateway.unconnected()
    stream(HELLO)(here.upstream.received[0] as Received)
    await here.gateway.settled()
    assert.deepEqual(summary(here).slice(0, 2), ['partial', 1])
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
  })

  test('a collected answer with on_abort: cancel: the provider is stopped and the hold is charged', async (t) => {
    const here = await world(t, () => {}, { settings: { onAbort: 'cancel' } })
    const leaving = new AbortController()
    const asked = here.gateway.post(CHAT, { ...ASK, stream: false }, {}, leaving.signal)
    await eventually(() => assert.equal(here.upstream.received.length, 1))
    leaving.abort()
    await assert.rejects(asked)
    await here.gateway.settled()
    const [source, requests, , output] = summary(here)
    assert.deepEqual([source, requests, output], ['estimated', 1, 100])
    const [hold] = here.gateway.facts.of('hold')
    assert.equal(here.gateway.meter('cost').posted, BigInt(hold?.costNanoUsd ?? 0))
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
  })

  test('F27 that stops reading slows the provider down instead of filling memory, and is given up after the idle time', async (t) => {
    let written = 0
    let full = false
    const here = await world(
      t,
      ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        const event = `data: {"choices":[{"delta":{"content":"${'x'.repeat(60_000)}"}}]}\n\n`
        const more = () => {
          while (!response.destroyed) {
            written += event.length
            full = !response.write(event)
            if (full) return
          }
        }
        response.on('drain', more)
        more()
      },
      { server: { idleTimeoutMs: 400 } },
    )
    const { hostname, port } = new URL(here.gateway.url)
    const client = connect(Number(port), hostname)
    t.after(() => client.destroy())
    client.pause()
    const body = JSON.stringify(ASK)
    const key = here.gateway.key()
    client.write(
      `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nx-bursar-key: ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await eventually(() => assert.ok(full && written > 100_000))
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
    assert.ok(written < 40_000_000, `${written} bytes were taken from the provider`)
    await here.gateway.settled()
    assert.equal(summary(here)[0], 'partial')
  })
})

describe('a client that does not read its collected answer', () => {
  const LARGE = JSON.stringify({
    choices: [{ message: { content: 'x'.repeat(16_000_000) } }],
    usage: { prompt_tokens: 12, completion_tokens: 34 },
  })
  const asking = async (t: TestContext, idleTimeoutMs: number) => {
    const here = await world(t, json(200, LARGE), { server: { idleTimeoutMs } })
    const { hostname, port } = new URL(here.gateway.url)
    const client = connect(Number(port), hostname)
    t.after(() => client.destroy())
    const body = JSON.stringify({ ...ASK, stream: false })
    client.write(
      `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nx-bursar-key: ${here.gateway.key()}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    return { ...here, client }
  }

  test('is given up after the idle time, and what was answered is charged', async (t) => {
    const { gateway, client } = await asking(t, 300)
    client.pause()
    await eventually(() => assert.equal(gateway.meter('cost').posted, COST))
    await gateway.settled()
    await gateway.unconnected()
  })

  test('is waited for as long as it reads, however slowly', async (t) => {
    const { gateway, client } = await asking(t, 400)
    let read = 0
    let pauses = 0
    // Reads for longer than the idle time in all, and never stands still for as long.
    client.on('data', (chunk: Buffer) => {
      read += chunk.length
      if (read < (pauses + 1) * 1_000_000) return
      pauses += 1
      client.pause()
      setTimeout(() => client.resume(), 100)
    })
    await eventually(() => assert.ok(read > LARGE.length, `${read} bytes were read`))
    await gateway.settled()
    assert.ok(pauses > 10)
  })
})

describe('F07 a provider that dies within a stream', () => {
  test('the client gets an error event and a broken connection, never a clean end', async (t) => {
    const here = await world(t, stream(HELLO))
    const read = reader(await here.gateway.post(CHAT, ASK))
    await read.until('Hello')
    here.upstream.received[0]?.response.destroy()
    const { text, ended } = await read.rest()
    assert.equal(ended, 'broken')
    assert.match(
      text,
      /^data: \{"choices.*\n\ndata: \{"error":\{"message":"[^"]+","type":"server_error","code":"upstream_unreachable"/,
    )
    await here.gateway.settled()
    const [source, requests, , output, success] = summary(here)
    assert.deepEqual([source, requests, output, success], ['partial', 1, 2, false])
  })

  test('an event that was cut in its middle does not reach the client', async (t) => {
    const here = await world(t, stream(HELLO, WORLD.slice(0, 30)))
    const read = reader(await here.gateway.post(CHAT, ASK))
    await read.until('Hello')
    here.upstream.received[0]?.response.destroy()
    const { text } = await read.rest()
    for (const line of text.split('\n')) {
      if (line.startsWith('data: ')) assert.doesNotThrow(() => JSON.parse(line.slice(6)), line)
    }
  })

  test('an end without the last event is no end either', async (t) => {
    const here = await world(t, whole(HELLO))
    const { text, ended } = await reader(await here.gateway.post(CHAT, ASK)).rest()
    assert.equal(ended, 'broken')
    assert.match(text, /"error"/)
    await here.gateway.settled()
    assert.deepEqual(summary(here).slice(0, 2), ['partial', 1])
  })

  test('its own error event passes, and nothing is added to it', async (t) => {
    const error = 'data: {"error":{"message":"overloaded"}}\n\n'
    const here = await world(t, whole(HELLO, error))
    const { text } = await reader(await here.gateway.post(CHAT, ASK)).rest()
    assert.match(text, /overloaded/)
    assert.equal(text.match(/"error"/g)?.length, 1)
    await here.gateway.settled()
    const [source, requests, , , success] = summary(here)
    assert.deepEqual([source, requests, success], ['partial', 1, false])
  })

  test('silence longer than the idle time is death', async (t) => {
    const here = await world(t, stream(HELLO), { server: { idleTimeoutMs: 100 } })
    const { text, ended } = await reader(await here.gateway.post(CHAT, ASK)).rest()
    assert.equal(ended, 'broken')
    assert.match(text, /upstream_timeout/)
    await here.gateway.settled()
    assert.equal(here.upstream.received[0]?.gone, true)
  })

  test('F27 going on for longer than the total time is death, and what was seen is charged', async (t) => {
    const trickling = (received: Received) => {
      stream(HELLO)(received)
      const trickle = setInterval(() => received.response.write(WORLD), 20)
      received.response.once('close', () => clearInterval(trickle))
    }
    const here = await world(t, trickling, { server: { totalTimeoutMs: 300 } })
    const { text, ended } = await reader(await here.gateway.post(CHAT, ASK)).rest()
    assert.equal(ended, 'broken')
    assert.match(text, /Hello.*world.*"code":"upstream_timeout"/s)
    await here.gateway.settled()
    const [source, requests] = summary(here)
    assert.deepEqual([source, requests], ['partial', 1])
    await eventually(() => assert.equal(here.upstream.received[0]?.gone, true))
  })

  test('after the last event is no death at all', async (t) => {
    const here = await world(t, stream(HELLO, FINISH, USAGE, DONE))
    const read = reader(await here.gateway.post(CHAT, ASK))
    await read.until('[DONE]')
    here.upstream.received[0]?.response.destroy()
    assert.equal((await read.rest()).ended, 'cleanly')
    await here.gateway.settled()
    assert.deepEqual(summary(here), ['reported', 1, 12, 34, true])
  })

  test('Anthropic’s and Gemini’s callers get the error in their own form', async (t) => {
    const start =
      'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}\n\n'
    const delta =
      'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello"}}\n\n'
    const upstream = await startUpstream(t, stream(start, delta))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'anthropic', kind: 'anthropic', baseUrl: upstream.url })
    gateway.key()
    const ask = { model: 'claude-sonnet-4-5', max_tokens: 50, messages: [], stream: true }
    const read = reader(await gateway.post('/v1/messages', ask))
    await read.until('Hello')
    upstream.received[0]?.response.destroy()
    assert.match((await read.rest()).text, /\n\nevent: error\ndata: \{"type":"error","error":\{"type":"api_error"/)
    await gateway.settled()
    const [event] = gateway.events()
    assert.deepEqual([event?.usageSource, event?.inputTokens, event?.outputTokens], ['partial', 9, 1 + 2])

    gateway.provider({ name: 'google', kind: 'google', baseUrl: upstream.url })
    upstream.answer = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('[{"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]}')
    }
    const array = reader(await gateway.post('/v1beta/models/gemini-2.5-flash:streamGenerateContent', { contents: [] }))
    await array.until('Hello')
    upstream.received[1]?.response.destroy()
    const elements = JSON.parse((await array.rest()).text) as { error?: { code: number; status: string } }[]
    assert.deepEqual([elements.length, elements[1]?.error?.code, elements[1]?.error?.status], [2, 502, 'UNAVAILABLE'])
    await gateway.settled()
  })
})
