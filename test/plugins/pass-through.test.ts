/** Providers' own APIs under their names: governed where a model is named, and closed elsewhere unless an admin opens it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { ProviderKind } from '../../src/store/entities.ts'
import { newId } from '../../src/units/id.ts'
import { aLimit } from '../helpers/entities.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway } from '../helpers/gateway.ts'
import { json, type Received, startUpstream } from '../helpers/upstream.ts'

const OPENAI = { usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }
const ANTHROPIC = { usage: { input_tokens: 11, output_tokens: 7 } }
const GOOGLE = { usageMetadata: { promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 } }
const messages = [{ role: 'user', content: 'Good day' }]
const contents = [{ role: 'user', parts: [{ text: 'Good day' }] }]

async function start(t: TestContext, kind: ProviderKind = 'openai', base = '/v1', more: object = {}) {
  const upstream = await startUpstream(t, json(200, OPENAI))
  const gateway = await startGateway(t)
  const id = newId()
  const keys = [{ id, name: 'main', value: 'operator-credential', keyStart: 'oper', weight: 1 }]
  const provider = gateway.provider({ name: 'house', kind, baseUrl: upstream.url + base, keys, ...more })
  gateway.key()
  return { upstream, gateway, provider }
}

interface GovernedCall {
  readonly kind: ProviderKind
  readonly base: string
  readonly path: string
  readonly body: object
  readonly reaches: string
  readonly answer: object
  readonly credential: string
  readonly model: string
  readonly more?: object
}

const chat = { model: 'gpt-4o-mini', messages, max_tokens: 20 }
const GOVERNED: readonly GovernedCall[] = [
  {
    kind: 'openai',
    base: '/v1',
    path: '/v1/chat/completions',
    body: chat,
    reaches: '/v1/chat/completions',
    answer: OPENAI,
    credential: 'authorization',
    model: 'gpt-4o-mini',
  },
  {
    kind: 'openai',
    base: '/v1',
    path: '/chat/completions',
    body: chat,
    reaches: '/v1/chat/completions',
    answer: OPENAI,
    credential: 'authorization',
    model: 'gpt-4o-mini',
  },
  {
    kind: 'openai',
    base: '',
    path: '/v1/chat/completions',
    body: chat,
    reaches: '/v1/chat/completions',
    answer: OPENAI,
    credential: 'authorization',
    model: 'gpt-4o-mini',
  },
  {
    kind: 'openai_compatible',
    base: '/openai/v1',
    path: '/openai/v1/chat/completions',
    body: { ...chat, model: 'openai/gpt-4o-mini' },
    reaches: '/openai/v1/chat/completions',
    answer: OPENAI,
    credential: 'authorization',
    model: 'openai/gpt-4o-mini',
  },
  {
    kind: 'anthropic',
    base: '',
    path: '/v1/messages',
    body: { model: 'claude-haiku-4-5', messages, max_tokens: 20 },
    reaches: '/v1/messages',
    answer: ANTHROPIC,
    credential: 'x-api-key',
    model: 'claude-haiku-4-5',
  },
  {
    kind: 'google',
    base: '/v1beta',
    path: '/v1beta/models/gemini-2.5-flash:generateContent',
    body: { contents },
    reaches: '/v1beta/models/gemini-2.5-flash:generateContent',
    answer: GOOGLE,
    credential: 'x-goog-api-key',
    model: 'gemini-2.5-flash',
  },
  {
    kind: 'azure',
    base: '',
    path: '/openai/deployments/prod/chat/completions?api-version=2024-10-21',
    body: { messages, max_tokens: 20 },
    reaches: '/openai/deployments/prod/chat/completions?api-version=2024-10-21',
    answer: OPENAI,
    credential: 'api-key',
    model: 'gpt-4o-mini',
    more: { deployments: { 'gpt-4o-mini': 'prod' } },
  },
  {
    kind: 'azure',
    base: '',
    path: '/openai/v1/chat/completions',
    body: { ...chat, model: 'prod' },
    reaches: '/openai/v1/chat/completions',
    answer: OPENAI,
    credential: 'api-key',
    model: 'gpt-4o-mini',
    more: { deployments: { 'gpt-4o-mini': 'prod' } },
  },
]

test('F19 a native path that names a model is refused and charged like the rest, and its body stays as it is', async (t) => {
  for (const { kind, base, path, body, reaches, answer, credential, model, more } of GOVERNED) {
    await t.test(`${kind} ${path}`, async (t) => {
      const { upstream, gateway, provider } = await start(t, kind, base, more)
      const input = 1_000_000_000n
      const price = {
        inputPerMillion: input,
        outputPerMillion: input,
        cacheReadPerMillion: null,
        cacheWritePerMillion: null,
        perRequest: null,
        effectiveFrom: 0,
      }
      const made = { id: newId(), managedBy: 'api', createdAt: 0, updatedAt: 0 } as const
      gateway.put({ op: 'put', kind: 'price', entity: { ...made, provider: 'house', model: '*', ...price } })
      upstream.answer = json(200, answer)
      const text = ` ${JSON.stringify(body)} `
      const response = await gateway.post(`/house${path}`, text)
      assert.equal(response.status, 200, await response.clone().text())
      assert.equal(response.headers.get('x-bursar-model'), model)
      await gateway.settled()
      const received = upstream.received.at(-1)
      assert.deepEqual([received?.method, received?.url, received?.body.toString()], ['POST', reaches, text])
      assert.match(String(received?.headers[credential]), /operator-credential$/)
      assert.equal(received?.headers['x-bursar-key'], undefined)
      assert.equal(gateway.meter('cost').posted, 18_000n)
      assert.equal(gateway.meter('requests').posted, 1n)
      assert.equal(gateway.events().at(-1)?.model, model)

      gateway.key({
        access: [
          { provider: provider.name, models: null, blockedModels: [model.toUpperCase()], keyIds: null, weight: 1 },
        ],
        passthrough: true,
      })
      const blocked = await gateway.post(`/house${path}`, text)
      assert.equal(blocked.status, 403)
      assert.equal(((await blocked.json()) as { error: { code: string } }).error.code, 'model_not_allowed')

      const key = newId()
      gateway.key({ id: key, passthrough: true })
      const scope = { kind: 'virtual_key', id: key } as const
      gateway.put({ op: 'put', kind: 'limit', entity: aLimit({ scope, metric: 'cost', max: 1n, window: '1d' }) })
      const refused = await gateway.post(`/house${path}`, text)
      assert.equal(refused.status, 402, 'the body in one form for all: OpenAI’s')
      assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'limit_unreachable')
      assert.equal(upstream.received.length, 1)
    })
  }
})

test('F19 streams under a provider’s name are metered', async (t) => {
  const { upstream, gateway } = await start(t)
  upstream.answer = ({ response, body }) => {
    assert.match(body.toString(), /include_usage/)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(
      `data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\ndata: [DONE]\n\n`,
    )
  }
  const response = await gateway.post('/house/v1/chat/completions', { ...chat, stream: true })
  assert.match(await response.text(), /: bursar cost_usd=.*\n\ndata: \[DONE]/)
  await gateway.settled()
  assert.equal(gateway.meter('tokens').posted, 6n)
})

const OTHERS = [
  '/v1/files',
  '/v1/batches',
  '/v1/models',
  '/v1/threads/t1/messages',
  '/',
  '/v1/fine_tuning/jobs?limit=3',
] as const

test('every other native path is closed to keys without passthrough, and leaves no trace', async (t) => {
  const { upstream, gateway } = await start(t)
  for (const path of OTHERS) {
    for (const method of ['GET', 'POST', 'DELETE', 'PATCH']) {
      const response = await fetch(`${gateway.url}/house${path}`, {
        method,
        headers: { 'x-bursar-key': gateway.currentKey() },
      })
      assert.equal(response.status, 403, `${method} ${path}`)
      const { error } = (await response.json()) as { error: { code: string; type: string } }
      assert.deepEqual([error.code, error.type], ['endpoint_not_allowed', 'permission_error'])
    }
  }
  assert.equal(upstream.received.length, 0)
  assert.equal(gateway.meter('requests').posted, 0n)
})

test('with passthrough every other path goes through byte for byte, with our credential, and counts as a request', async (t) => {
  const { upstream, gateway } = await start(t)
  gateway.key({ passthrough: true })
  upstream.answer = ({ response, body }) => {
    response.writeHead(201, { 'content-type': 'application/x-own', 'openai-organization': 'secret' })
    response.end(body)
  }
  for (let round = 0; round < 20; round += 1) {
    const body = randomBytes([0, 1, 100, 65_536, 1_000_003][round % 5] ?? 0)
    const path = OTHERS[round % OTHERS.length] ?? '/'
    const type = ['application/octet-stream', 'application/json', 'multipart/form-data', 'audio/mpeg'][round % 4] ?? ''
    const response = await gateway.post(`/house${path}`, body, { 'content-type': type, cookie: 'a=b' })
    assert.equal(response.status, 201)
    assert.equal(response.headers.get('content-type'), 'application/x-own')
    assert.equal(response.headers.get('openai-organization'), null)
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(body))
    const received = upstream.received.at(-1) as Received
    assert.ok(received.body.equals(body))
    assert.equal(received.url, path === '/' ? '/v1/' : path)
    assert.equal(received.headers.authorization, 'Bearer operator-credential')
    assert.deepEqual(
      [received.headers.cookie, received.headers['x-bursar-key'], received.headers['content-type']],
      [undefined, undefined, type],
    )
  }
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 20n)
  assert.equal(gateway.meter('cost').posted, 0n)
  assert.ok(
    gateway
      .events()
      .every(({ endpoint, model, provider }) => endpoint === 'passthrough' && model === null && provider === 'house'),
  )
})

test('unmetered calls meet limits on requests and concurrency, and global ones on their provider', async (t) => {
  const { upstream, gateway } = await start(t)
  const id = newId()
  gateway.key({ id, passthrough: true })
  const scope = { kind: 'virtual_key', id } as const
  const limit = aLimit({ scope, metric: 'concurrency', max: 1n })
  gateway.put({ op: 'put', kind: 'limit', entity: limit })
  upstream.answer = () => {}
  const open = gateway.post('/house/v1/files', 'a')
  await eventually(() => assert.equal(upstream.received.length, 1))
  const second = await gateway.post('/house/v1/files', 'a')
  assert.equal(second.status, 429)
  json(200, {})(upstream.received[0] as Received)
  assert.equal((await open).status, 200)
  upstream.answer = json(200, {})
  gateway.put({
    op: 'put',
    kind: 'limit',
    entity: aLimit({ metric: 'requests', max: 2n, provider: 'HOUSE', window: '1d', anchor: 0 }),
  })
  assert.equal((await gateway.post('/house/v1/files', 'a')).status, 200)
  assert.equal((await gateway.post('/house/v1/files', 'a')).status, 200)
  assert.equal((await gateway.post('/house/v1/files', 'a')).status, 429)
  await gateway.settled()
})

/** Ways to write a governed path that some server might take for it. */
const TRICKS = [
  '/v1/chat/Completions',
  '/v1/CHAT/COMPLETIONS',
  '/v1/chat/completions;x=1',
  '/v1/chat;x/completions',
  '/v1/chat/completions%3bx',
  '/v1/chat/%63ompletions',
  '/v1/chat/completion%73',
  '/v1/chat/completions%20',
  '/v1/chat/completions%00',
  '/v1/chat/completions%0a',
  '/v1/chat%252fcompletions',
  '/v1/chat/completions/%',
  '/v1/v1/chat/completions',
  '/V1/chat/completions',
  '/v2/chat/completions',
  '/beta/completions',
  '/v1/engines/gpt-4o/completions',
  '/v1/./chat/completions',
  '/v1/x/%2e%2e/chat/completions',
  '/v1/x/../chat/completions',
  '/v1//chat/completions',
  '/v1/chat\\completions',
  '/v1/chat/completions?_method=GET',
  '/v1/files?_method=POST',
  '/v1/files?%5fmethod=POST',
  '/v1/files?$httpMethod=POST',
  '/v1/embeddings#x',
  '/anthropic/v1/messages',
  '/v1/Messages',
  '/v1/responses/resp_1',
  '/v1/Responses/resp_1/input_items',
  '/v1/images/Generations',
  '/v1/audio/Speech',
  '/v1beta/models/gemini-2.5-flash:GenerateContent',
  '/v1beta/models/gemini-2.5-flash%3agenerateContent',
  '/v1beta/tunedModels/x:generateContent',
  '/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent',
] as const

test('F19 no spelling of a governed path is forwarded ungoverned, not even for a key with passthrough', async (t) => {
  for (const kind of ['openai', 'openai_compatible', 'google'] as const) {
    for (const base of ['', '/v1', '/deep/openai/v1']) {
      await t.test(`${kind} at ${base}`, async (t) => {
        const { upstream, gateway } = await start(t, kind, base)
        gateway.key({ passthrough: true })
        for (const path of TRICKS) {
          // Written by hand: fetch would tidy some of them up.
          const status = await statusOf(gateway.url, `/house${path}`, gateway.currentKey(), JSON.stringify(chat))
          const unmetered = gateway.events().filter(({ endpoint }) => endpoint === 'passthrough')
          assert.deepEqual(unmetered, [], path)
          // Our own router undoes escapes: then the request is governed, and goes out under a path that we have written.
          assert.ok([200, 400, 403, 404].includes(status), `${path}: ${status}`)
        }
        const governed = gateway.events().length
        assert.equal(upstream.received.length, governed)
        for (const { url } of upstream.received) assert.match(url, /\/(chat\/completions(\?_method=GET)?|embeddings)$/)
      })
    }
  }
})

test('F19 a base URL that ends in a governed path does not open it', async (t) => {
  for (const base of ['/v1/chat/completions', '/v1/chat', '/v1/responses']) {
    const { upstream, gateway } = await start(t, 'openai_compatible', base)
    gateway.key({ passthrough: true })
    for (const path of ['/', '/completions', '/resp_1', '//']) await (await gateway.post(`/house${path}`, chat)).text()
    await gateway.settled()
    const governed = gateway.events().filter(({ endpoint }) => endpoint !== 'passthrough')
    const reached = upstream.received.filter(({ url }) => /completions\/*$|responses\/./.test(url))
    assert.equal(reached.length, governed.length, base)
  }
})

test('F26 whatever JSON a client sends, the provider gets the same bytes, on our paths and on its own', async (t) => {
  const { upstream, gateway } = await start(t)
  const key = fc.string().filter((name) => !/^(max_|model)/i.test(name))
  const rest = fc.dictionary(
    key.map((name) => `x${name}`),
    fc.jsonValue(),
    { maxKeys: 8 },
  )
  const blank = fc.constantFrom('', ' ', '\n', '\t  ')
  await fc.assert(
    fc.asyncProperty(rest, blank, fc.bigInt(), fc.boolean(), async (fields, space, large, native) => {
      const inner = JSON.stringify(fields).slice(1, -1)
      const more = inner === '' ? '' : `,${space}${inner}`
      const body = `${space}{"model":${space}"gpt-4o-mini","messages":[],"x":${large}${more}${space}}`
      const response = await gateway.post(`${native ? '/house' : ''}/v1/chat/completions`, body)
      assert.equal(response.status, 200, await response.text())
      assert.equal(upstream.received.pop()?.body.toString(), body)
    }),
    { numRuns: 150 },
  )
  await gateway.settled()
})

test('F26 nor is a byte changed of what the other APIs are sent, streamed or not', async (t) => {
  const upstream = await startUpstream(t, json(200, {}))
  const gateway = await startGateway(t)
  for (const kind of ['openai', 'anthropic', 'google'] as const) {
    gateway.provider({ name: kind, kind, baseUrl: kind === 'openai' ? `${upstream.url}/v1` : upstream.url })
  }
  gateway.key()
  const apis = [
    ['/v1/messages', '"model": "claude-haiku-4-5","max_tokens":\t20 ,"messages":[ ]'],
    ['/v1/messages', '"model":"claude-haiku-4-5","max_tokens":20,"messages":[], "stream" : true'],
    ['/v1/messages/count_tokens', '"model":"claude-haiku-4-5" ,"messages":[]'],
    ['/v1/responses', '"input": "Good \\u0064ay","model":"gpt-4o-mini"'],
    ['/v1/responses', '"stream":true,"input":"Good day", "model":"gpt-4o-mini"'],
    ['/v1/embeddings', '"input":["a", "\\ud83d"],"model":"text-embedding-3-small"'],
    ['/v1beta/models/gemini-2.5-flash:generateContent', '"contents" : [{"parts":[{"text":"a"}]}]'],
    ['/v1beta/models/gemini-2.5-flash:streamGenerateContent', '"contents":[ {"parts":[{"text":"a"}]}]'],
    ['/v1beta/models/gemini-2.5-flash:countTokens', '"contents":[{"parts":[{"text": "a"}]}]'],
    ['/v1beta/models/gemini-embedding-001:embedContent', '"content":{"parts":[{"text":"a"} ]}'],
  ] as const
  const fields = fc.dictionary(
    fc.string().map((name) => `x${name}`),
    fc.jsonValue(),
    { maxKeys: 8 },
  )
  const blank = fc.constantFrom('', ' ', '\r\n', '\t  ')
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...apis),
      fields,
      blank,
      fc.bigInt(),
      async ([path, asked], more, space, large) => {
        const body = `${space}{${asked},"y":${large}.50e0,${space}"z":${space}${JSON.stringify(more)}}${space}`
        const response = await gateway.post(path, body)
        assert.equal(response.status, 200, await response.text())
        assert.equal(upstream.received.pop()?.body.toString(), body)
      },
    ),
    { numRuns: 200 },
  )
  await gateway.settled()
})

test('F26 twenty files go through byte for byte, of a known length or not, with a body of JSON that is none', async (t) => {
  const { upstream, gateway } = await start(t)
  gateway.key({ passthrough: true })
  for (let n = 0; n < 20; n += 1) {
    const body = randomBytes(n === 0 ? 0 : 7 ** (n % 7) + n)
    const piped = n % 2 === 1
    const headers = { 'content-type': n % 3 === 0 ? 'application/json' : 'application/octet-stream' }
    const response = await fetch(`${gateway.url}/house/v1/files/${n}`, {
      method: 'PUT',
      headers: { ...headers, 'x-bursar-key': gateway.currentKey() },
      ...(piped ? { body: new Blob([body]).stream(), duplex: 'half' } : { body }),
    })
    assert.equal(response.status, 200, await response.text())
    const received = upstream.received.at(-1)
    assert.ok(received?.body.equals(body), `file ${n} of ${body.length} bytes`)
    assert.equal(received?.headers['content-type'], headers['content-type'])
  }
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 20n)
})

test('a header that would make another method of a request is kept from the provider', async (t) => {
  const { upstream, gateway } = await start(t)
  gateway.key({ passthrough: true })
  const response = await fetch(`${gateway.url}/house/v1/chat/completions`, {
    headers: { 'x-bursar-key': gateway.currentKey(), 'x-http-method-override': 'POST', 'x-http-method': 'POST' },
  })
  assert.equal(response.status, 200)
  const received = upstream.received.at(-1)
  assert.equal(received?.method, 'GET')
  assert.ok(!Object.keys(received?.headers ?? {}).some((name) => name.includes('method')))
})

test('F27 F28 a download is no faster than its reader, and ends at the provider when the reader goes', async (t) => {
  const { upstream, gateway } = await start(t)
  gateway.key({ passthrough: true })
  const SIZE = 200 * 1024 * 1024
  let written = 0
  upstream.answer = ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const chunk = Buffer.alloc(1024 * 1024)
    const more = () => {
      while (written < SIZE) {
        written += chunk.length
        if (!response.write(chunk)) return void response.once('drain', more)
      }
      response.end()
    }
    more()
  }
  const leaving = new AbortController()
  const response = await fetch(`${gateway.url}/house/v1/files/f/content`, {
    headers: { 'x-bursar-key': gateway.currentKey() },
    signal: leaving.signal,
  })
  const reader = response.body?.getReader()
  await reader?.read()
  let seen = -1
  // Until nothing more is taken: what the kernel holds is some ten megabytes.
  await eventually(() => {
    const before = seen
    seen = written
    assert.equal(written, before)
  })
  assert.ok(written < 80 * 1024 * 1024, `${written} bytes were taken for a client that reads nothing`)
  leaving.abort()
  await eventually(() => assert.equal(upstream.received[0]?.gone, true))
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 1n)
})

test('an upload that its client breaks off ends at the provider, and holds nothing', async (t) => {
  const { gateway } = await start(t)
  gateway.key({ passthrough: true })
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  socket.write(
    `POST /house/v1/files HTTP/1.1\r\nhost: x\r\nx-bursar-key: ${gateway.currentKey()}\r\ncontent-length: 1000000\r\n\r\n`,
  )
  socket.write(Buffer.alloc(1_000))
  await eventually(() => assert.equal(gateway.meter('requests').held, 1n))
  socket.destroy()
  await gateway.settled()
})

test('an answer that has no body is whole, without anything that would say where one ends', async (t) => {
  const { gateway, upstream } = await start(t)
  gateway.key({ passthrough: true })
  for (const [method, status] of [
    ['DELETE', 204],
    ['HEAD', 200],
    // To a client that has it and asks whether it has changed.
    ['GET', 304],
  ] as const) {
    upstream.answer = ({ response }) => void response.socket?.end(`HTTP/1.1 ${status} OK\r\nx-file: f\r\n\r\n`)
    const response = await fetch(`${gateway.url}/house/v1/files/f`, {
      method,
      headers: { 'x-bursar-key': gateway.currentKey() },
    })
    assert.deepEqual([response.status, response.headers.get('x-file')], [status, 'f'], method)
    await response.text()
    await gateway.settled()
    assert.equal(gateway.events().at(-1)?.success, true, method)
  }
})

test('a provider that refuses an upload early is heard', async (t) => {
  const { gateway, upstream } = await start(t)
  gateway.key({ passthrough: true })
  upstream.answer = json(413, { error: { message: 'too large for operator-credential' } })
  const response = await gateway.post('/house/v1/files', Buffer.alloc(3_000_000))
  assert.equal(response.status, 413)
  assert.ok(!(await response.text()).includes('operator-credential'))
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 0n)
})

test('access, dry runs and strangers', async (t) => {
  const { gateway, upstream } = await start(t)
  gateway.key({
    passthrough: true,
    access: [{ provider: 'other', models: null, blockedModels: [], keyIds: null, weight: 1 }],
  })
  assert.equal((await gateway.post('/house/v1/files', 'a')).status, 403)
  gateway.key({ passthrough: true })
  const dry = await gateway.post('/house/v1/files', 'a', { 'x-bursar-dry-run': '1' })
  const { verdict, provider, model } = (await dry.json()) as Record<string, unknown>
  assert.deepEqual([verdict, provider, model], ['allow', 'house', null])
  assert.equal((await fetch(`${gateway.url}/nobody/v1/files`)).status, 404)
  assert.equal((await fetch(`${gateway.url}/house/v1/files`)).status, 401)
  assert.equal((await gateway.post('/house/v1/files', 'a', { 'content-encoding': 'gzip' })).status, 415)
  assert.equal(upstream.received.length, 0)
})

function statusOf(url: string, path: string, key: string, body: string): Promise<number> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-bursar-key: ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      ),
    )
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])))
  })
}
