/** Moderations, reranking, pictures and sound, against the simulated provider's native formats. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Sim } from '../../src/sim/server.ts'
import { startSim } from '../../src/sim/server.ts'
import { newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { Spool } from '../../src/uploads/spool.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway, type TestGatewayOptions } from '../helpers/gateway.ts'
import { json, startUpstream } from '../helpers/upstream.ts'

async function start(t: TestContext, options: TestGatewayOptions = {}) {
  const sim = await startSim({ recordHeaders: true, recordBodies: true })
  t.after(() => sim.close())
  const gateway = await startGateway(t, options)
  gateway.provider({ name: 'sim', kind: 'sim', baseUrl: sim.url })
  gateway.key()
  return { sim, gateway }
}

const CALLS: readonly (readonly [name: string, path: string, body: object, source: 'reported' | 'estimated'])[] = [
  ['images', '/v1/images/generations', { model: 'gpt-image-1', prompt: 'A ledger', n: 2, quality: 'low' }, 'reported'],
  ['image stream', '/v1/images/generations', { model: 'gpt-image-1', prompt: 'A ledger', stream: true }, 'reported'],
  ['speech', '/v1/audio/speech', { model: 'gpt-4o-mini-tts', input: 'Good day', voice: 'alloy' }, 'estimated'],
  [
    'speech stream',
    '/v1/audio/speech',
    { model: 'gpt-4o-mini-tts', input: 'Good day', voice: 'alloy', stream_format: 'sse' },
    'reported',
  ],
  ['rerank', '/v1/rerank', { model: 'sim-small', query: 'What?', documents: ['One', 'Another one'] }, 'reported'],
  [
    'Gemini batch',
    '/v1beta/models/gemini-embedding-001:batchEmbedContents',
    {
      requests: [
        { model: 'models/gemini-embedding-001', content: { parts: [{ text: 'one' }] } },
        { model: 'models/gemini-embedding-001', content: { parts: [{ text: 'two' }] } },
      ],
    },
    'reported',
  ],
]

test('T03 every endpoint is charged what its provider reports, and what was held where it reports nothing', async (t) => {
  const { sim, gateway } = await start(t)
  for (const [name, path, body, source] of CALLS) {
    await t.test(name, async () => {
      const response = await gateway.post(path, body)
      assert.equal(response.status, 200, await response.clone().text())
      await response.arrayBuffer()
      await gateway.settled()
      const served = sim.ledger().at(-1)
      const event = gateway.events().at(-1)
      assert.ok(served?.usage && event)
      assert.equal(served.bodySha256, createHash('sha256').update(JSON.stringify(body)).digest('hex'))
      assert.equal(event.usageSource, source)
      assert.ok(BigInt(event.costNanoUsd) > 0n)
      assert.equal(event.overageNanoUsd, '0')
      if (source === 'reported') {
        const { inputTokens, outputTokens } = served.usage
        assert.deepEqual([event.inputTokens, event.outputTokens], [inputTokens, outputTokens])
      } else assert.ok(event.outputTokens >= served.usage.outputTokens)
    })
  }
})

test('moderations cost nothing, and pass under a cost limit although no list has a price for them', async (t) => {
  const { gateway } = await start(t)
  const response = await gateway.post('/v1/moderations', { model: 'omni-moderation-latest', input: 'Good day' })
  assert.equal(response.status, 200, await response.clone().text())
  assert.equal(response.headers.get('x-bursar-cost-usd'), '0.00')
  await gateway.settled()
  assert.equal(gateway.events().at(-1)?.costNanoUsd, '0')
  assert.equal(gateway.meter('requests').posted, 1n)
})

test('moderations without a model are OpenAI’s default, and go on as they came', async (t) => {
  const { sim, gateway } = await start(t)
  const response = await gateway.post('/v1/moderations', '{ "input": "Good day" }')
  assert.equal(response.status, 200, await response.clone().text())
  assert.equal(response.headers.get('x-bursar-model'), 'omni-moderation-latest')
  assert.equal(sent(sim).toString(), '{ "input": "Good day" }')
})

test('F06 text to be spoken that is no text is refused, since nobody could count it', async (t) => {
  const { sim, gateway } = await start(t)
  for (const input of [['a', 'b'], { text: 'a' }, 7]) {
    const response = await gateway.post('/v1/audio/speech', { model: 'gpt-4o-mini-tts', input, voice: 'a' })
    assert.equal(response.status, 400)
  }
  assert.equal(sim.ledger().length, 0)
})

test('F19 forms under a provider’s name are governed, also where the path carries the deployment', async (t) => {
  const { sim, gateway } = await start(t)
  const { type, body } = form({ model: 'gpt-4o-mini-transcribe' }, 'file', randomBytes(1_000))
  const native = await gateway.post('/sim/v1/audio/transcriptions', body, { 'content-type': type })
  assert.equal(native.status, 200, await native.clone().text())
  assert.ok(sent(sim).equals(body))
  const upstream = await startUpstream(t, json(200, { text: 'a', usage: { type: 'duration', seconds: 2 } }))
  gateway.provider({ name: 'azure', kind: 'azure', baseUrl: upstream.url, deployments: { 'whisper-1': 'prod' } })
  gateway.key()
  const unnamed = form({ response_format: 'json' }, 'file', randomBytes(1_000))
  const path = '/azure/openai/deployments/prod/audio/transcriptions?api-version=2024-10-21'
  const classic = await gateway.post(path, unnamed.body, { 'content-type': unnamed.type })
  assert.equal(classic.status, 200, await classic.clone().text())
  assert.equal(classic.headers.get('x-bursar-model'), 'whisper-1')
  assert.ok(upstream.received.at(-1)?.body.equals(unnamed.body))
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 2n)
})

test('reranking that is billed by the search is charged for every search that is reported', async (t) => {
  const { gateway } = await start(t)
  const upstream = await startUpstream(t, json(200, { results: [], meta: { billed_units: { search_units: 3 } } }))
  gateway.provider({ name: 'cohere', kind: 'openai_compatible', baseUrl: `${upstream.url}/compatibility/v1` })
  const rates = { inputPerMillion: 0n, outputPerMillion: 0n, cacheReadPerMillion: null, cacheWritePerMillion: null }
  const made = { id: newId(), managedBy: 'api', createdAt: 0, updatedAt: 0, effectiveFrom: 0 } as const
  const price = { ...made, ...rates, provider: 'cohere', model: 'rerank-*', perRequest: 2_000_000n }
  gateway.put({ op: 'put', kind: 'price', entity: price })
  const body = { model: 'cohere/rerank-v3.5', query: 'What?', documents: ['One', 'Two'] }
  const response = await gateway.post('/v1/rerank', body)
  assert.equal(response.status, 200, await response.clone().text())
  assert.equal(upstream.received.at(-1)?.url, '/v2/rerank')
  assert.equal(response.headers.get('x-bursar-cost-usd'), '0.006')
})

test('sound reaches the client byte for byte while it is made', async (t) => {
  const { gateway } = await start(t)
  const response = await gateway.post('/v1/audio/speech', { model: 'gpt-4o-mini-tts', input: 'Good day', voice: 'a' })
  assert.equal(response.headers.get('content-type'), 'audio/mpeg')
  const sound = Buffer.from(await response.arrayBuffer())
  assert.equal(sound.length, 8 * 64)
  assert.ok(sound.every((byte, index) => byte === ((index * 167) & 0xff)))
})

interface FormCall {
  readonly name: string
  readonly path: string
  readonly fields: Readonly<Record<string, string>>
  readonly file: string
  readonly source: 'reported' | 'estimated'
}

const FORMS: readonly FormCall[] = [
  {
    name: 'transcription',
    path: '/v1/audio/transcriptions',
    fields: { model: 'gpt-4o-mini-transcribe' },
    file: 'file',
    source: 'reported',
  },
  {
    name: 'transcription stream',
    path: '/v1/audio/transcriptions',
    fields: { model: 'gpt-4o-mini-transcribe', stream: 'true' },
    file: 'file',
    source: 'reported',
  },
  {
    name: 'text',
    path: '/v1/audio/translations',
    fields: { model: 'gpt-4o-mini-transcribe', response_format: 'text' },
    file: 'file',
    source: 'estimated',
  },
  {
    name: 'image edit',
    path: '/v1/images/edits',
    fields: { model: 'gpt-image-1', prompt: 'Sharper', quality: 'low' },
    file: 'image[]',
    source: 'reported',
  },
  {
    name: 'image variation',
    path: '/v1/images/variations',
    fields: { model: 'gpt-image-1', n: '2', quality: 'low' },
    file: 'image',
    source: 'reported',
  },
]

/** A form as a client writes it. */
function form(fields: Readonly<Record<string, string>>, file: string, bytes: Buffer): { type: string; body: Buffer } {
  const boundary = `----${randomBytes(12).toString('hex')}`
  const parts = Object.entries(fields).map(([name, value]) =>
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`),
  )
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${file}"; filename="päper \u2713.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`
  const body = Buffer.concat([
    Buffer.from(head),
    bytes,
    Buffer.from('\r\n'),
    ...parts,
    Buffer.from(`--${boundary}--\r\n`),
  ])
  return { type: `multipart/form-data; boundary=${boundary}`, body }
}

function sent(sim: Sim): Buffer {
  const body = sim.ledger().at(-1)?.body
  assert.ok(body)
  return body
}

test('F26 forms reach the provider byte for byte, are charged as reported, and leave no file', async (t) => {
  const { sim, gateway } = await start(t)
  for (const { name, path, fields, file, source } of FORMS) {
    await t.test(name, async () => {
      for (const size of [0, 1, 70_000, 1_000_003]) {
        const { type, body } = form(fields, file, randomBytes(size))
        const response = await gateway.post(path, body, { 'content-type': type })
        assert.equal(response.status, 200, await response.clone().text())
        await response.text()
        await gateway.settled()
        assert.ok(sent(sim).equals(body))
        const event = gateway.events().at(-1)
        assert.equal(event?.usageSource, source)
        assert.ok(BigInt(event.costNanoUsd) > 0n)
      }
    })
  }
})

test('a model that is charged by the hour is charged for the seconds it has heard', async (t) => {
  const { gateway } = await start(t)
  const { type, body } = form({ model: 'whisper-1' }, 'file', randomBytes(40_000))
  const response = await gateway.post('/v1/audio/transcriptions', body, { 'content-type': type })
  assert.equal(response.status, 200, await response.clone().text())
  await response.text()
  await gateway.settled()
  const event = gateway.events().at(-1)
  // Three seconds at $0.36 an hour.
  assert.deepEqual([event?.usageSource, event?.costNanoUsd, event?.inputTokens], ['reported', '300000', 30])
})

test('the model of a form is replaced where it carries its provider’s name, and nothing else', async (t) => {
  const { sim, gateway } = await start(t)
  const bytes = randomBytes(300_000)
  const { type, body } = form({ model: 'sim/gpt-4o-mini-transcribe', language: 'en' }, 'file', bytes)
  const response = await gateway.post('/v1/audio/transcriptions', body, { 'content-type': type })
  assert.equal(response.status, 200, await response.clone().text())
  const expected = body.toString('latin1').replace('\r\nsim/gpt', '\r\ngpt')
  assert.equal(sent(sim).toString('latin1'), expected)
})

test('F03 hostile forms are refused in words, and leave no trace on any limit and no file', async (t) => {
  const spool = new Spool({ bodyMaxBytes: 200_000, log: silentLog })
  const { sim, gateway } = await start(t, { forms: { spool } })
  const path = '/v1/audio/transcriptions'
  const { type, body } = form({ model: 'gpt-4o-mini-transcribe' }, 'file', randomBytes(1_000))
  const twice = form({ model: 'whisper-1' }, 'file', randomBytes(10))
  const model = 'Content-Disposition: form-data; name="model"\r\n\r\n'
  const HOSTILE: readonly (readonly [what: string, status: number, type: string, body: Buffer | string])[] = [
    ['no boundary', 400, 'multipart/form-data', body],
    ['two boundaries', 400, `${type}; boundary=x`, body],
    ['no model', 400, ...pair(form({}, 'file', randomBytes(10)))],
    ['an empty form', 400, type, ''],
    ['half a form', 400, type, body.subarray(0, 500)],
    [
      'two models',
      400,
      twice.type,
      twice.body.toString('latin1').replace(model, `${model}a\r\n--${boundaryIn(twice)}\r\n${model}`),
    ],
    ['another case', 400, ...pair(form({ Model: 'whisper-1' }, 'file', randomBytes(10)))],
    [
      'a stream that is neither',
      400,
      ...pair(form({ model: 'whisper-1', stream: 'perhaps' }, 'file', randomBytes(10))),
    ],
    ['too large', 413, ...pair(form({ model: 'whisper-1' }, 'file', randomBytes(300_000)))],
    ['JSON', 415, 'application/json', '{"model":"whisper-1"}'],
    ['another encoding', 415, 'application/x-www-form-urlencoded', 'model=whisper-1'],
  ]
  for (const [what, status, contentType, sentBody] of HOSTILE) {
    const response = await gateway.post(path, sentBody, { 'content-type': contentType })
    assert.equal(response.status, status, `${what}: ${await response.clone().text()}`)
    const { error } = (await response.json()) as { error: { message: string } }
    assert.ok(error.message.length > 10, what)
  }
  const json = await gateway.post('/v1/chat/completions', body, { 'content-type': type })
  assert.equal(json.status, 415)

  // A client that leaves in the middle of its form.
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nx-bursar-key: ${gateway.key()}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`
  socket.write(head)
  socket.write(body.subarray(0, 700))
  await eventually(() => assert.equal(spool.files, 1))
  socket.destroy()
  await eventually(() => assert.equal(spool.files, 0))

  await gateway.settled()
  assert.equal(sim.ledger().length, 0)
  assert.deepEqual(gateway.events(), [])
  assert.equal(gateway.meter('requests').posted, 0n)
  const good = await gateway.post(path, body, { 'content-type': type })
  assert.equal(good.status, 200)
  await good.text()
  await eventually(() => assert.equal(spool.files, 0))
})

test('F02 forms of failing providers and leaving clients are tried again from the file, and leave none', async (t) => {
  const spool = new Spool({ bodyMaxBytes: 10_000_000, log: silentLog })
  const { sim, gateway } = await start(t, { forms: { spool } })
  const second = await startSim({ recordBodies: true })
  t.after(() => second.close())
  gateway.provider({ name: 'second', kind: 'sim', baseUrl: second.url })
  const { type, body } = form({ model: 'gpt-4o-mini-transcribe' }, 'file', randomBytes(600_000))
  for (const changes of [{ status: 503 }, { die: 'before-headers' }, { die: 'mid-body' }] as const) {
    sim.configure({ status: null, die: null, ...changes })
    const response = await gateway.post('/v1/audio/transcriptions', body, { 'content-type': type })
    await response.text()
    await gateway.settled()
    if (changes !== undefined && !('die' in changes && changes.die === 'mid-body')) {
      assert.equal(response.headers.get('x-bursar-provider'), 'second')
      assert.ok(sent(second).equals(body))
    }
    await eventually(() => assert.equal(spool.files, 0))
  }
  sim.configure({ status: null, die: null, latencyMs: 300 })
  const leaving = new AbortController()
  const left = gateway.post('/v1/audio/transcriptions', body, { 'content-type': type }, leaving.signal)
  await eventually(() => assert.equal(sim.ledger().at(-1)?.status, null))
  leaving.abort()
  await assert.rejects(left)
  await gateway.settled()
  await eventually(() => assert.equal(spool.files, 0))
})

function pair({ type, body }: { type: string; body: Buffer }): [string, Buffer] {
  return [type, body]
}

function boundaryIn({ type }: { type: string }): string {
  return type.split('boundary=')[1] ?? ''
}
