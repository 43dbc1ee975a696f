/** Providers that lie, in their reports and in their HTTP: no crash, no charge below nothing, and nobody is served by what nobody can read. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { ProviderKind } from '../../src/store/entities.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'

const SHORT_MS = 400

/** The bytes of an answer, or what else is done to the connection. */
type Answer = Buffer | ((socket: Socket) => void)

interface RawProvider {
  readonly url: string
  answer: Answer
}

/** A server that takes whole requests and answers them with whatever bytes it is told to. */
async function startRaw(t: TestContext): Promise<RawProvider> {
  const sockets = new Set<Socket>()
  const provider: { url: string; answer: Answer } = { url: '', answer: Buffer.alloc(0) }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      const end = received.indexOf('\r\n\r\n')
      const length = Number(/^content-length: (\d+)/im.exec(received)?.[1] ?? 0)
      if (end === -1 || received.length < end + 4 + length) return
      received = ''
      if (typeof provider.answer === 'function') provider.answer(socket)
      else socket.write(provider.answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  provider.url = `http://127.0.0.1:${address.port}`
  return provider
}

async function start(t: TestContext, kind: ProviderKind) {
  const provider = await startRaw(t)
  const gateway = await startGateway(t, { server: { headersTimeoutMs: SHORT_MS, idleTimeoutMs: SHORT_MS } })
  gateway.provider({ name: 'liar', kind, baseUrl: kind === 'openai' ? `${provider.url}/v1` : provider.url })
  gateway.key()
  return { provider, gateway }
}

const JSON_TYPE = 'content-type: application/json'
const SSE_TYPE = 'content-type: text/event-stream'

function head(status: string, ...headers: string[]): Buffer {
  return Buffer.from(`HTTP/1.1 ${status}\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`, 'latin1')
}

function whole(body: string | Buffer, ...headers: string[]): Buffer {
  return Buffer.concat([head('200 OK', `content-length: ${Buffer.byteLength(body)}`, ...headers), Buffer.from(body)])
}

/** Repeats until the other side has had enough. */
function forEver(first: string | Buffer, more: string, everyMs: number): Answer {
  return (socket) => {
    socket.write(first)
    const timer = setInterval(() => socket.write(more), everyMs)
    socket.once('close', () => clearInterval(timer))
  }
}

/** The event of the one attempt that was made since, whose cost is what the meter has gained. */
async function charged(gateway: TestGateway, costBefore: bigint, what: string) {
  await gateway.settled()
  const event = gateway.events().at(-1)
  assert.ok(event !== undefined, what)
  const cost = BigInt(event.costNanoUsd)
  assert.ok(cost >= 0n && event.inputTokens >= 0 && event.outputTokens >= 0, `${what}: ${event.costNanoUsd}`)
  assert.equal(gateway.meter('cost').posted - costBefore, cost, what)
  return event
}

interface Flavour {
  readonly kind: ProviderKind
  readonly path: string
  readonly streamPath: string
  readonly ask: object
  /** The names of what came in and of what went out. */
  readonly counts: readonly [input: string, output: string]
  readonly collected: (report: string) => string
  readonly streamed: (report: string) => string
}

const messages = [{ role: 'user', content: 'Hi' }]
const FLAVOURS: readonly Flavour[] = [
  {
    kind: 'openai',
    path: '/v1/chat/completions',
    streamPath: '/v1/chat/completions',
    ask: { model: 'gpt-4o-mini', messages, max_tokens: 100 },
    counts: ['prompt_tokens', 'completion_tokens'],
    collected: (report) => `{"choices":[{"message":{"content":"Hello"}}],"usage":${report}}`,
    streamed: (report) =>
      `data: {"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":${report}}\n\ndata: [DONE]\n\n`,
  },
  {
    kind: 'anthropic',
    path: '/v1/messages',
    streamPath: '/v1/messages',
    ask: { model: 'claude-haiku-4-5', messages, max_tokens: 100 },
    counts: ['input_tokens', 'output_tokens'],
    collected: (report) => `{"type":"message","content":[{"type":"text","text":"Hello"}],"usage":${report}}`,
    streamed: (report) =>
      [
        `event: message_start\ndata: {"type":"message_start","message":{"usage":${report}}}\n\n`,
        'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello"}}\n\n',
        `event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":${report}}\n\n`,
        'event: message_stop\ndata: {"type":"message_stop"}\n\n',
      ].join(''),
  },
  {
    kind: 'google',
    path: '/v1beta/models/gemini-2.5-flash:generateContent',
    streamPath: '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    ask: { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }], generationConfig: { maxOutputTokens: 100 } },
    counts: ['promptTokenCount', 'candidatesTokenCount'],
    collected: (report) => `{"candidates":[{"content":{"parts":[{"text":"Hello"}]}}],"usageMetadata":${report}}`,
    streamed: (report) =>
      `data: {"candidates":[{"content":{"parts":[{"text":"Hello"}]},"finishReason":"STOP"}],"usageMetadata":${report}}\r\n\r\n`,
  },
]

/** Counts that are none, as they stand in JSON. */
const COUNTS: readonly (readonly [input: string, output: string])[] = [
  ['-12', '-34'],
  ['-9007199254740993', '5'],
  ['"12"', '"34"'],
  ['1e300', '34'],
  ['1e999', '1e999'],
  ['18446744073709551616', '1'],
  ['1.5', '2.5'],
  ['null', 'null'],
  ['[12]', '{"a":34}'],
  ['true', 'false'],
]

for (const { kind, path, streamPath, ask, counts, collected, streamed } of FLAVOURS) {
  test(`F07 ${kind}: a report that cannot be is no report: the answer passes as it is, and is charged by estimate`, async (t) => {
    const { provider, gateway } = await start(t, kind)
    const [inputName, outputName] = counts
    const reports = [
      ...COUNTS.map(([input, output]) => `{"${inputName}":${input},"${outputName}":${output}}`),
      ...['null', '5', '[]', '"none"', '{}', `{"${outputName}":7}`],
    ]
    for (const report of reports) {
      for (const stream of [false, true]) {
        const what = `${report}, ${stream ? 'as a stream' : 'collected'}`
        const body = stream ? streamed(report) : collected(report)
        provider.answer = whole(body, stream ? SSE_TYPE : JSON_TYPE)
        const before = gateway.meter('cost').posted
        const response = await gateway.post(stream ? streamPath : path, kind === 'google' ? ask : { ...ask, stream })
        assert.equal(response.status, 200, what)
        const text = await response.text()
        if (stream) assert.match(text, /Hello/, what)
        else assert.equal(text, body, what)
        const event = await charged(gateway, before, what)
        assert.deepEqual([event.usageSource, event.success, event.requests], ['estimated', true, 1], what)
        assert.ok(BigInt(event.costNanoUsd) > 0n, what)
      }
    }
  })
}

const USAGE = '{"prompt_tokens":12,"completion_tokens":34}'
const REPORTED = 12n * 150n + 34n * 600n
const GOOD = `{"choices":[{"message":{"content":"Hello"}}],"usage":${USAGE}}`
const HTML = '<html>Welcome to the hotel’s network</html>'

interface Lie {
  readonly name: string
  readonly answer: Answer
  /** What the client gets: these bytes with 200, or an error of ours with this code. */
  readonly body?: string | Buffer
  readonly code?: string
  readonly source: 'reported' | 'estimated' | 'partial' | null
}

const LIES: readonly Lie[] = [
  { name: 'HTML as JSON', answer: whole(HTML, JSON_TYPE), body: HTML, source: 'estimated' },
  { name: 'HTML', answer: whole(HTML, 'content-type: text/html'), body: HTML, source: 'estimated' },
  { name: 'nothing at all', answer: whole('', JSON_TYPE), body: '', source: 'estimated' },
  { name: 'no type', answer: whole(GOOD), body: GOOD, source: 'reported' },
  { name: 'two types', answer: whole(GOOD, JSON_TYPE, 'content-type: text/plain'), body: GOOD, source: 'reported' },
  {
    name: 'a mark before the JSON',
    answer: whole(`\ufeff${GOOD}`, JSON_TYPE),
    body: `\ufeff${GOOD}`,
    source: 'reported',
  },
  {
    name: 'a nest of arrays',
    answer: whole('['.repeat(100_000), JSON_TYPE),
    body: '['.repeat(100_000),
    source: 'estimated',
  },
  {
    name: 'a stream as JSON',
    answer: whole(`data: ${GOOD}\n\ndata: [DONE]\n\n`, JSON_TYPE),
    body: `data: ${GOOD}\n\ndata: [DONE]\n\n`,
    source: 'estimated',
  },
  {
    name: 'gzip unasked for',
    answer: whole(gzipSync(GOOD), JSON_TYPE, 'content-encoding: gzip'),
    body: GOOD,
    source: 'reported',
  },
  {
    name: 'gzip unsaid',
    answer: whole(gzipSync(GOOD), JSON_TYPE),
    body: gzipSync(GOOD),
    source: 'estimated',
  },
  {
    name: 'other names in the head',
    answer: whole(GOOD, JSON_TYPE, '__proto__: x', 'x-n: caf\xe9'),
    body: GOOD,
    source: 'reported',
  },
  {
    name: 'HTTP/1.0',
    answer: (socket) => void socket.end(`HTTP/1.0 200 OK\r\n${JSON_TYPE}\r\n\r\n${GOOD}`),
    body: GOOD,
    source: 'reported',
  },
  {
    name: 'a cost of its own behind the body',
    answer: Buffer.concat([
      head('200 OK', JSON_TYPE, 'transfer-encoding: chunked', 'trailer: x-bursar-cost-usd'),
      Buffer.from(`${GOOD.length.toString(16)}\r\n${GOOD}\r\n0\r\nx-bursar-cost-usd: 0\r\n\r\n`),
    ]),
    body: GOOD,
    source: 'reported',
  },
  {
    name: 'a thousand early hints',
    answer: Buffer.concat([
      ...Array.from({ length: 1_000 }, () => head('103 Early Hints', 'link: </x>')),
      whole(GOOD, JSON_TYPE),
    ]),
    body: GOOD,
    source: 'reported',
  },
  {
    name: 'hints for ever',
    answer: forEver('', 'HTTP/1.1 102 Processing\r\n\r\n', 10),
    code: 'upstream_timeout',
    source: 'estimated',
  },
  {
    name: 'headers for ever',
    answer: forEver('HTTP/1.1 200 OK\r\n', 'x-a: b\r\n', 10),
    code: 'upstream_timeout',
    source: 'estimated',
  },
  {
    name: 'headers without bounds',
    answer: forEver('HTTP/1.1 200 OK\r\n', `x-${'a'.repeat(1_000)}: ${'b'.repeat(5_000)}\r\n`, 1),
    code: 'upstream_unreachable',
    source: null,
  },
  { name: 'a header that is none', answer: whole(GOOD, 'x name: 1'), code: 'upstream_unreachable', source: null },
  { name: 'control characters', answer: whole(GOOD, 'x-a: \x01'), code: 'upstream_unreachable', source: null },
  {
    name: 'another protocol',
    answer: head('101 Switching Protocols', 'upgrade: h2c', 'connection: upgrade'),
    code: 'upstream_unreachable',
    source: null,
  },
  { name: 'no HTTP', answer: (socket) => void socket.end(GOOD), code: 'upstream_unreachable', source: null },
  {
    name: 'two lengths',
    answer: Buffer.concat([head('200 OK', 'content-length: 5', 'content-length: 7'), Buffer.from('{"a":1}')]),
    code: 'upstream_unreachable',
    source: null,
  },
  {
    name: 'a length below nothing',
    answer: head('200 OK', 'content-length: -5'),
    code: 'upstream_unreachable',
    source: null,
  },
  {
    name: 'two framings',
    answer: Buffer.concat([
      head('200 OK', 'content-length: 5', 'transfer-encoding: chunked'),
      Buffer.from('5\r\nhello\r\n0\r\n\r\n'),
    ]),
    code: 'upstream_unreachable',
    source: null,
  },
  {
    name: 'a chunk larger than numbers go',
    answer: Buffer.concat([head('200 OK', 'transfer-encoding: chunked'), Buffer.from('ffffffffffffffffff\r\n')]),
    code: 'upstream_unreachable',
    source: 'partial',
  },
  {
    name: 'a redirect to itself',
    answer: head('307 Temporary Redirect', 'location: /v1/chat/completions', 'content-length: 0'),
    code: 'upstream_unreachable',
    source: null,
  },
  { name: '304 to a POST', answer: head('304 Not Modified'), code: 'upstream_unreachable', source: null },
  {
    name: 'a status that is none',
    answer: head('999 What', JSON_TYPE, 'content-length: 0'),
    code: 'upstream_unreachable',
    source: null,
  },
]

for (const stream of [false, true]) {
  test(`F02 F07 HTTP that lies to ${stream ? 'who asked for a stream' : 'who asks for an answer'}: it passes as it is or is an error, never a crash`, async (t) => {
    const { provider, gateway } = await start(t, 'openai')
    const ask = { model: 'gpt-4o-mini', messages, max_tokens: 100, stream }
    for (const { name, answer, body, code, source } of LIES) {
      provider.answer = answer
      const before = gateway.meter('cost').posted
      const response = await gateway.post('/v1/chat/completions', ask)
      const got = Buffer.from(await response.arrayBuffer())
      if (code === undefined) {
        assert.equal(response.status, 200, `${name}: ${got}`)
        assert.ok(got.equals(Buffer.from(body ?? '')), `${name}: ${got}`)
      } else {
        assert.equal((JSON.parse(got.toString()) as { error: { code: string } }).error.code, code, name)
        assert.equal(response.headers.get('x-bursar-error-source'), 'gateway', name)
        assert.equal(response.headers.get('location'), null, name)
      }
      const event = await charged(gateway, before, name)
      assert.equal(event.usageSource, source, name)
      if (source === 'reported') assert.equal(BigInt(event.costNanoUsd), REPORTED, name)
    }
  })
}

test('F02 F07 a body that its coding contradicts passes as it is, and what was held is charged', async (t) => {
  const { provider, gateway } = await start(t, 'openai')
  const bomb = gzipSync(Buffer.alloc(100 * 1_024 * 1_024))
  const answers = [
    whole('no gzip', JSON_TYPE, 'content-encoding: gzip'),
    whole('no such', JSON_TYPE, 'content-encoding: gzip', 'content-encoding: br'),
    whole(bomb, JSON_TYPE, 'content-encoding: gzip'),
  ]
  for (const answer of answers) {
    provider.answer = answer
    const before = gateway.meter('cost').posted
    const response = await gateway.post('/v1/chat/completions', { model: 'gpt-4o-mini', messages, max_tokens: 100 })
    assert.equal(response.status, 200)
    assert.ok(Number(response.headers.get('content-length')) <= bomb.length)
    await response.body?.cancel()
    const event = await charged(gateway, before, 'coded')
    assert.deepEqual([event.usageSource, event.outputTokens], ['estimated', 100])
  }
})

test('F27 an event without an end is not kept, and what breaks off is no whole answer', async (t) => {
  const { provider, gateway } = await start(t, 'openai')
  const piece = Buffer.alloc(64 * 1_024, 'a')
  provider.answer = (socket) => {
    socket.write(head('200 OK', SSE_TYPE))
    for (let sent = 0; sent < 300; sent += 1) socket.write(piece)
    socket.end()
  }
  const before = gateway.meter('cost').posted
  const response = await gateway.post('/v1/chat/completions', { model: 'gpt-4o-mini', messages, stream: true })
  await assert.rejects(response.text())
  const event = await charged(gateway, before, 'endless')
  assert.deepEqual([event.usageSource, event.success], ['partial', false])
})
