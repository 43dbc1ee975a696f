/** Of three candidates two die, in every phase in which a provider can die before the client has seen a byte of its answer. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { aLimit } from '../helpers/entities.ts'
import { startGateway } from '../helpers/gateway.ts'
import { deadUrl, json, type Received, startUpstream, stream } from '../helpers/upstream.ts'

const CHAT = '/v1/chat/completions'
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 }
const USAGE = { prompt_tokens: 12, completion_tokens: 34, total_tokens: 46 }
const COST = 12n * 150n + 34n * 600n
const ANSWER = json(200, { choices: [{ message: { content: 'A good answer.' }, finish_reason: 'stop' }], usage: USAGE })
const STREAM = (received: Received) => {
  stream(
    'data: {"choices":[{"delta":{"content":"A good answer."},"finish_reason":"stop"}],"usage":null}\n\n',
    `data: {"choices":[],"usage":${JSON.stringify(USAGE)}}\n\n`,
    'data: [DONE]\n\n',
  )(received)
  received.response.end()
}

/** What is charged for an attempt that dies so: nothing, what was asked, or what was asked and what was seen. */
type Charged = 'nothing' | 'input' | 'seen'

interface Phase {
  readonly name: string
  readonly charged: Charged
  /** Where the provider listens. */
  start(t: TestContext): Promise<string>
  /** A stream's head is the client's as soon as it comes: from then on nothing moves on. */
  readonly beforeHead: boolean
}

const answering = (name: string, charged: Charged, answer: (received: Received) => void, beforeHead = true): Phase => ({
  name,
  charged,
  beforeHead,
  start: async (t) => (await startUpstream(t, answer)).url,
})

/** A server that answers a connection with bytes, or with nothing. */
async function rawServer(t: TestContext, talk: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    talk(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `http://127.0.0.1:${address.port}`
}

const PHASES: readonly Phase[] = [
  { name: 'refuses the connection', charged: 'nothing', beforeHead: true, start: deadUrl },
  {
    name: 'breaks the connection at once',
    charged: 'nothing',
    beforeHead: true,
    start: (t) => rawServer(t, (socket) => void socket.destroy()),
  },
  {
    name: 'answers what is no HTTP',
    charged: 'nothing',
    beforeHead: true,
    start: (t) => rawServer(t, (socket) => void socket.once('data', () => socket.end('what do you want?\r\n\r\n'))),
  },
  answering('takes the request and breaks', 'nothing', ({ response }) => void response.destroy()),
  answering('takes the request and is silent', 'input', () => {}),
  answering('answers 500', 'nothing', json(500, { error: { message: 'no' } })),
  answering('answers 503 in HTML', 'nothing', json(503, '<html>no</html>', { 'content-type': 'text/html' })),
  answering('answers 429', 'nothing', json(429, { error: { message: 'slow down' } }, { 'retry-after': '1' })),
  answering('breaks within an error', 'nothing', ({ response }) => {
    response.writeHead(502, { 'content-length': 100 })
    response.write('half of', () => setImmediate(() => response.destroy()))
  }),
  answering(
    'breaks behind its head',
    'seen',
    ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
      response.flushHeaders()
      setImmediate(() => response.destroy())
    },
    false,
  ),
  answering(
    'breaks within its answer',
    'seen',
    ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"choices":[{"message":{"content":"Half of', () => setImmediate(() => response.destroy()))
    },
    false,
  ),
  answering(
    'falls silent within its answer',
    'seen',
    ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"choices":[{"message":{"content":"Half of')
    },
    false,
  ),
]

describe('of three candidates two die', () => {
  for (const [index, first] of PHASES.entries()) {
    for (const streamed of [false, true]) {
      if (streamed && !first.beforeHead) continue
      const second = PHASES[(index * 5 + 3) % (streamed ? 9 : PHASES.length)] as Phase
      const what = `${streamed ? 'a stream' : 'an answer'}: one ${first.name}, one ${second.name}`
      test(`F20 F02 ${what}`, async (t) => {
        const gateway = await startGateway(t, { server: { headersTimeoutMs: 150, idleTimeoutMs: 150 } })
        for (const [at, phase] of [first, second].entries()) {
          gateway.provider({ name: `p${at + 1}`, kind: 'openai', baseUrl: `${await phase.start(t)}/v1` })
        }
        const forbidden = await startUpstream(t, streamed ? STREAM : ANSWER)
        gateway.provider({ name: 'forbidden', kind: 'openai', baseUrl: `${forbidden.url}/v1` })
        const good = await startUpstream(t, streamed ? STREAM : ANSWER)
        gateway.provider({ name: 'p3', kind: 'openai', baseUrl: `${good.url}/v1` })
        // Without weights they are asked in the order in which they were made.
        const allowed = { models: ['gpt-4o-mini'], blockedModels: [], keyIds: null, weight: null }
        gateway.key({ access: ['p1', 'p2', 'p3'].map((provider) => ({ provider, ...allowed })) })
        const one = aLimit({ metric: 'concurrency', max: 1n, scope: { kind: 'global', id: null } })
        gateway.put({ op: 'put', kind: 'limit', entity: one })

        const response = await gateway.post(CHAT, { ...ASK, stream: streamed })
        assert.equal(response.status, 200)
        assert.match(await response.text(), /A good answer\./)
        await gateway.settled()

        const events = gateway.events()
        assert.deepEqual(
          events.map(({ attempt, provider, requests }) => [attempt, provider, requests]),
          [
            [1, 'p1', 0],
            [2, 'p2', 0],
            [3, 'p3', 1],
          ],
        )
        for (const [at, phase] of [first, second].entries()) {
          const event = events[at]
          assert.equal((event?.inputTokens ?? 0) > 0, phase.charged !== 'nothing', phase.name)
          assert.equal((event?.outputTokens ?? 0) > 0, phase.name.endsWith('within its answer'), phase.name)
        }
        assert.equal(events[2]?.costNanoUsd, COST.toString())
        assert.equal(gateway.meter('requests').posted, 1n, 'the request counts once')
        const charged = events.reduce((sum, { costNanoUsd }) => sum + BigInt(costNanoUsd), 0n)
        assert.equal(gateway.meter('cost').posted, charged)
        assert.equal(forbidden.received.length, 0)
        assert.equal(good.received.length, 1)
      })
    }
  }
})
