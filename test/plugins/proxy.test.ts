import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { linesOf } from '../../src/ledger/charges.ts'
import { formatUsd } from '../../src/units/money.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway } from '../helpers/gateway.ts'
import { deadUrl, json, startUpstream, stream } from '../helpers/upstream.ts'

const USAGE = { prompt_tokens: 12, completion_tokens: 34, total_tokens: 46 }
/** 12 × $0.15 + 34 × $0.60 per million. */
const COST = 12n * 150n + 34n * 600n
const ANSWER = { id: 'chatcmpl-1', model: 'gpt-4o-mini', choices: [{ message: { content: 'Hello' } }], usage: USAGE }
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 }
const CHAT = '/v1/chat/completions'

describe('a collected answer', () => {
  test('T01 T03 F02 is charged to the nano-dollar on every metric, once, in one event', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK, { 'x-bursar-tags': 'a,b' })
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), ANSWER)
    await gateway.settled()
    const posted = Object.fromEntries(
      (['requests', 'tokens', 'input_tokens', 'output_tokens', 'concurrency', 'cost'] as const).map((metric) => [
        metric,
        gateway.meter(metric).posted,
      ]),
    )
    assert.deepEqual(posted, {
      requests: 1n,
      tokens: 46n,
      input_tokens: 12n,
      output_tokens: 34n,
      concurrency: 0n,
      cost: COST,
    })
    const [event, ...others] = gateway.events()
    assert.equal(others.length, 0)
    assert.equal(event?.requestId, response.headers.get('x-bursar-request-id'))
    assert.deepEqual(
      [event?.attempt, event?.provider, event?.model, event?.endpoint, event?.stream, event?.status, event?.success],
      [1, 'openai', 'gpt-4o-mini', 'chat', false, 200, true],
    )
    assert.deepEqual([event?.usageSource, event?.requests, event?.overageNanoUsd], ['reported', 1, '0'])
    assert.deepEqual(event?.tags, ['a', 'b'])
    const charged = Object.fromEntries(linesOf(event?.charges ?? []).map((line) => [line[3], line[4]]))
    assert.deepEqual(charged, {
      requests: '1',
      tokens: '46',
      input_tokens: '12',
      output_tokens: '34',
      cost: COST.toString(),
    })
  })

  test('carries who served it, its exact cost, and the limits after it', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const { headers } = await gateway.post(CHAT, ASK)
    assert.equal(headers.get('x-bursar-provider'), 'openai')
    assert.equal(headers.get('x-bursar-model'), 'gpt-4o-mini')
    assert.equal(headers.get('x-bursar-cost-usd'), formatUsd(COST))
    assert.equal(headers.get('x-bursar-budget-remaining-usd'), formatUsd(10n ** 15n - COST))
    assert.equal(headers.get('x-ratelimit-remaining-requests'), '999')
    assert.equal(headers.get('x-ratelimit-remaining-tokens'), String(10 ** 9 - 46))
    assert.equal(headers.get('x-bursar-error-source'), null)
  })

  test('has the type that the provider has given it, however small or large it is', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    for (const type of ['application/json', 'Application/JSON', 'application/vnd.x+json']) {
      for (const body of ['', 'ä', 'a'.repeat(8_192), 'a'.repeat(8_193)]) {
        upstream.answer = json(200, `{"text":"${body}"}`, { 'content-type': type })
        const response = await gateway.post(CHAT, ASK)
        assert.equal(response.headers.get('content-type'), type)
        assert.equal(await response.text(), `{"text":"${body}"}`)
      }
    }
    const untyped = new Set<string | null>()
    for (const body of ['{}', '{"text":"ä"}']) {
      upstream.answer = ({ response }) => response.writeHead(200).end(body)
      untyped.add((await gateway.post(CHAT, ASK)).headers.get('content-type'))
    }
    assert.equal(untyped.size, 1)
  })

  test('that a hook fails to send is an error in its place', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t, {
      plugins: (scope) =>
        scope.addHook('onSend', (_request, reply, payload, done) => {
          if (reply.statusCode === 200) done(new Error('not today'))
          else done(null, payload)
        }),
    })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 500)
    const { error } = (await response.json()) as { error: { code: string } }
    assert.equal(error.code, 'internal')
  })

  test('of a model with a name beyond Latin-1 arrives, collected or as a stream', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t, { settings: { pricing: { unknown: 'free' } } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const model = 'openai/通义'
    const collected = await gateway.post(CHAT, { ...ASK, model })
    assert.deepEqual([collected.status, collected.headers.get('x-bursar-model')], [200, '%E9%80%9A%E4%B9%89'])
    await collected.text()
    upstream.answer = (received) => {
      stream('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n', 'data: [DONE]\n\n')(received)
      received.response.end()
    }
    const streamed = await gateway.post(CHAT, { ...ASK, model, stream: true })
    assert.equal(streamed.headers.get('x-bursar-model'), '%E9%80%9A%E4%B9%89')
    assert.match(await streamed.text(), /DONE/)
    await gateway.settled()
    assert.equal(gateway.events()[0]?.model, '通义', 'the books have the name itself')
  })

  test('leaves only when its settlement is in the journal', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    gateway.facts.heldUp = true
    let answered = false
    const asked = gateway.post(CHAT, ASK).then((response) => {
      answered = true
      return response
    })
    while (gateway.facts.waiting === 0) await new Promise(setImmediate)
    assert.equal(gateway.facts.of('settle').length, 1)
    assert.equal(answered, false)
    gateway.facts.release()
    assert.equal((await asked).status, 200)
  })

  test('that reports nothing is estimated from the request and the text seen, and says so', async (t) => {
    const { usage: _, ...silent } = ANSWER
    const upstream = await startUpstream(t, json(200, silent))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    await (await gateway.post(CHAT, ASK)).text()
    await gateway.settled()
    const [event] = gateway.events()
    assert.equal(event?.usageSource, 'estimated')
    assert.equal(event?.success, true)
    assert.equal(event?.outputTokens, Math.ceil(5 * 0.35))
    assert.ok((event?.inputTokens ?? 0) > 0)
  })

  test('the estimator learns from what is reported', async (t) => {
    const upstream = await startUpstream(t, json(200, { ...ANSWER, usage: { ...USAGE, prompt_tokens: 1 } }))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const before = gateway.governance.estimator.ratioOf('openai', '')
    await (await gateway.post(CHAT, ASK)).text()
    assert.ok(gateway.governance.estimator.ratioOf('openai', '') < before)
  })

  test('that came compressed against our wish is read and passed on plain', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.end(gzipSync(JSON.stringify(ANSWER)))
    })
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.headers.get('content-encoding'), null)
    assert.deepEqual(await response.json(), ANSWER)
    assert.equal(gateway.events()[0]?.usageSource, 'reported')
  })

  test('over its hold is posted in full, the excess marked as overage', async (t) => {
    const upstream = await startUpstream(
      t,
      json(200, { ...ANSWER, usage: { prompt_tokens: 12, completion_tokens: 5_000_000 } }),
    )
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    await (await gateway.post(CHAT, ASK)).text()
    await gateway.settled()
    const [event] = gateway.events()
    const cost = 12n * 150n + 5_000_000n * 600n
    assert.equal(gateway.meter('cost').posted, cost)
    const [hold] = gateway.facts.of('hold')
    assert.equal(event?.overageNanoUsd, (cost - BigInt(hold?.costNanoUsd ?? 0)).toString())
  })

  test('F27 larger than we hold is an error, and what was seen of it is charged', async (t) => {
    const upstream = await startUpstream(
      t,
      json(200, { ...ANSWER, choices: [{ message: { content: 'x'.repeat(100_000) } }] }),
    )
    const gateway = await startGateway(t, { proxy: { answerMaxBytes: 10_000 } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 502)
    await gateway.settled()
    assert.equal(gateway.events()[0]?.usageSource, 'partial')
  })
})

describe('what a provider is sent', () => {
  test('F26 the body byte for byte, with the query, where nothing has to change', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const body = `{ "z":1.0, "model" : "gpt-4o-mini","seed":12345678901234567890,\n"messages":[{"role":"user","content":"h\\u00e9 ü"}] }`
    await (await gateway.post(`${CHAT}?a=%20b&c`, body)).text()
    const [received] = upstream.received
    assert.equal(received?.url, '/v1/chat/completions?a=%20b&c')
    assert.equal(sha256(received?.body ?? ''), sha256(body))
    assert.equal(received?.headers['content-length'], String(Buffer.byteLength(body)))
  })

  test('F23 F24 the provider’s credential and none of the client’s', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t)
    const keys = [{ id: 'k', name: 'main', value: 'sk-real', keyStart: 'sk-r', weight: 1 }]
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1`, keys, headers: { 'X-Team': 'blue' } })
    const key = gateway.key()
    const secret = {
      'x-bf-vk': 'secret-1',
      authorization: 'Bearer secret-2',
      'x-api-key': 'secret-3',
      'x-goog-api-key': 'secret-4',
      'api-key': 'secret-5',
      cookie: 'session=secret-6',
      'openai-organization': 'secret-7',
      'openai-project': 'secret-8',
      'x-bursar-anything': 'secret-9',
      'x-forwarded-for': '203.0.113.9',
    }
    await (await gateway.post(CHAT, ASK, { ...secret, 'x-custom': 'stays', 'x-sim-latency-ms': '0' })).text()
    const headers = upstream.received[0]?.headers ?? {}
    const text = JSON.stringify(headers)
    assert.doesNotMatch(text, /secret-|203\.0\.113/)
    assert.ok(!text.includes(key))
    assert.equal(headers.authorization, 'Bearer sk-real')
    assert.equal(headers['x-team'], 'blue')
    assert.equal(headers['x-custom'], 'stays')
    assert.equal(headers['x-sim-latency-ms'], '0')
    assert.equal(headers['accept-encoding'], 'identity')
    assert.equal(headers.host, new URL(upstream.url).host)
  })

  test('the model’s own name, and nothing else, where the client wrote a prefix or an alias', async (t) => {
    const upstream = await startUpstream(t, json(200, ANSWER))
    const gateway = await startGateway(t, { settings: { aliases: new Map([['fast', 'openai/gpt-4o-mini']]) } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    for (const model of ['openai/gpt-4o-mini', 'fast']) {
      const response = await gateway.post(CHAT, `{"big":12345678901234567890, "model": "${model}", "messages":[]}`)
      assert.equal(response.headers.get('x-bursar-model'), 'gpt-4o-mini')
      await response.text()
      assert.equal(
        upstream.received.at(-1)?.body.toString(),
        '{"big":12345678901234567890, "model": "gpt-4o-mini", "messages":[]}',
      )
    }
  })

  test('each API at its own path with its own credential header', async (t) => {
    const upstream = await startUpstream(t, json(200, {}))
    const gateway = await startGateway(t)
    const keys = [{ id: 'k', name: 'main', value: 'real', keyStart: 'real', weight: 1 }]
    const put = (name: string, kind: 'anthropic' | 'google' | 'azure', rest: object = {}) =>
      gateway.provider({ name, kind, baseUrl: upstream.url, keys, ...rest })
    put('anthropic', 'anthropic')
    put('google', 'google')
    put('azure', 'azure', { apiVersion: '2024-10-21', deployments: { 'gpt-4o': 'prod gpt' } })
    gateway.key()
    const contents = { contents: [{ parts: [{ text: 'Hi' }] }] }
    const message = { messages: [], max_tokens: 5 }
    const calls: readonly [path: string, body: object, url: string, header: string, value: string][] = [
      ['/v1/messages', { model: 'claude-sonnet-4-5', ...message }, '/v1/messages', 'x-api-key', 'real'],
      [
        '/v1/messages/count_tokens?beta=true',
        { model: 'claude-sonnet-4-5', messages: [] },
        '/v1/messages/count_tokens?beta=true',
        'x-api-key',
        'real',
      ],
      [
        '/v1beta/models/gemini-2.5-flash:generateContent',
        contents,
        '/v1beta/models/gemini-2.5-flash:generateContent',
        'x-goog-api-key',
        'real',
      ],
      [
        '/v1beta/models/google/gemini-2.5-flash:streamGenerateContent?alt=sse',
        contents,
        '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
        'x-goog-api-key',
        'real',
      ],
      [
        '/v1beta/models/gemini-2.5-flash:countTokens',
        contents,
        '/v1beta/models/gemini-2.5-flash:countTokens',
        'x-goog-api-key',
        'real',
      ],
      [
        '/v1beta/models/gemini-embedding-001:embedContent',
        { content: { parts: [{ text: 'Hi' }] } },
        '/v1beta/models/gemini-embedding-001:embedContent',
        'x-goog-api-key',
        'real',
      ],
      [
        CHAT,
        { ...ASK, model: 'google/gemini-2.5-flash' },
        '/v1beta/openai/chat/completions',
        'authorization',
        'Bearer real',
      ],
      [CHAT, { ...ASK, model: 'claude-sonnet-4-5' }, '/v1/chat/completions', 'authorization', 'Bearer real'],
      [
        CHAT,
        { ...ASK, model: 'gpt-4o' },
        '/openai/deployments/prod%20gpt/chat/completions?api-version=2024-10-21',
        'api-key',
        'real',
      ],
    ]
    for (const [path, body, url, header, value] of calls) {
      const response = await gateway.post(path, body)
      assert.equal(response.status, 200, `${path}: ${await response.text()}`)
      const received = upstream.received.at(-1)
      assert.equal(received?.url, url)
      assert.equal(received?.headers[header], value)
    }
    assert.equal(upstream.received[0]?.headers['anthropic-version'], '2023-06-01')
  })

  test('background responses are refused', async (t) => {
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai' })
    gateway.key()
    const response = await gateway.post('/v1/responses', { model: 'gpt-4o-mini', input: 'Hi', background: true })
    assert.equal(response.status, 400)
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'invalid_request')
    await gateway.settled()
  })
})

describe('what a client is sent back', () => {
  test('F23 without the operator’s account, with the provider’s own rate limits under another name', async (t) => {
    const headers = {
      'set-cookie': ['a=1', 'b=2'],
      'openai-organization': 'org-acme',
      'openai-project': 'proj-acme',
      'anthropic-organization-id': 'org-acme',
      'x-ratelimit-limit-requests': '10000',
      'x-ratelimit-reset-tokens': '6ms',
      'x-bursar-cost-usd': '0.00',
      'x-request-id': 'req_1',
      'alt-svc': 'h3=":443"',
      connection: 'keep-alive, x-hop',
      'x-hop': 'by-hop',
    }
    const upstream = await startUpstream(t, json(200, ANSWER, headers))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    const back = response.headers
    for (const name of ['set-cookie', 'openai-organization', 'openai-project', 'alt-svc', 'x-hop']) {
      assert.equal(back.get(name), null, name)
    }
    assert.doesNotMatch(JSON.stringify([...back]), /acme/)
    assert.equal(back.get('x-upstream-ratelimit-limit-requests'), '10000')
    assert.equal(back.get('x-upstream-ratelimit-reset-tokens'), '6ms')
    assert.equal(back.get('x-ratelimit-limit-requests'), '1000')
    assert.equal(back.get('x-bursar-cost-usd'), formatUsd(COST))
    assert.equal(back.get('x-request-id'), 'req_1')
    assert.equal(back.get('content-length'), String(Buffer.byteLength(JSON.stringify(ANSWER))))
  })
})

describe('a provider’s error', () => {
  test('T02 passes with its status and body, marked as the provider’s, and costs nothing', async (t) => {
    const error = { error: { message: 'max_tokens is too large', type: 'invalid_request_error' } }
    const upstream = await startUpstream(t, json(400, error))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 400)
    assert.deepEqual(await response.json(), error)
    assert.equal(response.headers.get('x-bursar-error-source'), 'provider')
    assert.equal(response.headers.get('x-bursar-cost-usd'), '0.00')
    await gateway.settled()
    assert.equal(gateway.meter('requests').posted, 0n)
    assert.equal(gateway.meter('cost').posted, 0n)
    const [event] = gateway.events()
    assert.deepEqual(
      [event?.status, event?.success, event?.usageSource, event?.requests, linesOf(event?.charges ?? []).length],
      [400, false, null, 0, 0],
    )
    assert.equal(gateway.facts.of('void').length, 1)
  })

  test('F23 without keys and account ids', async (t) => {
    const message =
      'Rate limit reached for gpt-4o in organization org-AbCdEf123456 with key sk-proj-****wxyz and sk-real-key-1 (project proj_AbCdEf123456, organization 0a1b2c3d-0000-4000-8000-0123456789ab)'
    const upstream = await startUpstream(t, json(422, { error: { message } }))
    const gateway = await startGateway(t)
    const keys = [{ id: 'k', name: 'main', value: 'sk-real-key-1', keyStart: 'sk-r', weight: 1 }]
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1`, keys })
    gateway.key()
    const text = await (await gateway.post(CHAT, ASK)).text()
    assert.doesNotMatch(text, /AbCdEf|wxyz|real|0a1b2c3d/)
    assert.match(text, /Rate limit reached for gpt-4o in organization \*\*\*/)
  })

  test('that refuses our credential is 502 without a word of its text', async (t) => {
    for (const status of [401, 403]) {
      const upstream = await startUpstream(t, json(status, { error: { message: 'Incorrect API key sk-real' } }))
      const gateway = await startGateway(t)
      gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
      gateway.key()
      const response = await gateway.post(CHAT, ASK)
      assert.equal(response.status, 502)
      const body = (await response.json()) as { error: { code: string; message: string } }
      assert.equal(body.error.code, 'upstream_auth_failed')
      assert.doesNotMatch(body.error.message, /Incorrect/)
      assert.equal(response.headers.get('x-bursar-error-source'), 'gateway')
      await gateway.settled()
    }
  })

  test('that redirects is not followed', async (t) => {
    const elsewhere = await startUpstream(t, json(200, ANSWER))
    const upstream = await startUpstream(t, json(307, '', { location: elsewhere.url }))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 502)
    assert.equal(response.headers.get('location'), null)
    assert.equal(elsewhere.received.length, 0)
    await gateway.settled()
  })

  test('B64 that reports usage is charged for it and counts no request', async (t) => {
    const upstream = await startUpstream(t, json(500, { error: { message: 'late' }, usage: USAGE }))
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 500)
    assert.equal(response.headers.get('x-bursar-cost-usd'), formatUsd(COST))
    await gateway.settled()
    assert.equal(gateway.meter('cost').posted, COST)
    assert.equal(gateway.meter('requests').posted, 0n)
  })

  test('early hints and other 1xx are not its answer', async (t) => {
    const upstream = await startUpstream(t, (received) => {
      received.response.writeEarlyHints({ link: '</x>; rel=preload' }, () => json(200, ANSWER)(received))
    })
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 200)
    await response.text()
    await gateway.settled()
  })
})

describe('a provider out of reach', () => {
  test('T02 that refuses the connection is 502 and costs nothing', async (t) => {
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${await deadUrl()}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 502)
    const body = (await response.json()) as { error: { code: string; message: string } }
    assert.equal(body.error.code, 'upstream_unreachable')
    assert.doesNotMatch(body.error.message, /127\.0\.0\.1|ECONN/)
    assert.equal(response.headers.get('x-bursar-provider'), 'openai')
    assert.equal(response.headers.get('x-bursar-cost-usd'), '0.00')
    await gateway.settled()
    assert.deepEqual([gateway.events()[0]?.status, gateway.events()[0]?.usageSource], [null, null])
    assert.equal(gateway.meter('requests').posted, 0n)
  })

  test('T02 that breaks the connection before a status is 502 and costs nothing', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => response.destroy())
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    assert.equal((await gateway.post(CHAT, ASK)).status, 502)
    await gateway.settled()
    assert.equal(gateway.meter('tokens').posted, 0n)
  })

  test('that does not answer in time is 504; the input estimate is charged and no request', async (t) => {
    const upstream = await startUpstream(t, () => {})
    const gateway = await startGateway(t, { server: { headersTimeoutMs: 100 } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 504)
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'upstream_timeout')
    await gateway.settled()
    const [event] = gateway.events()
    assert.deepEqual([event?.usageSource, event?.requests, event?.outputTokens], ['estimated', 0, 0])
    assert.ok((event?.inputTokens ?? 0) > 0)
    assert.equal(gateway.meter('cost').posted, BigInt(event?.costNanoUsd ?? 0))
    assert.equal(gateway.meter('requests').posted, 0n)
    assert.equal(upstream.received[0]?.gone, true)
  })

  test('F27 that falls silent within its answer is 504, charged for what was seen', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"choices":[{"message":{"content":"Hello')
    })
    const gateway = await startGateway(t, { server: { idleTimeoutMs: 100 } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    assert.equal((await gateway.post(CHAT, ASK)).status, 504)
    await gateway.settled()
    const [event] = gateway.events()
    assert.deepEqual([event?.usageSource, event?.requests, event?.outputTokens], ['partial', 1, 2])
  })

  test('F27 that goes on for ever is 504 after the total time, charged for what was seen', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"choices":[{"message":{"content":"Hello')
      const trickle = setInterval(() => response.write('!'), 20)
      response.once('close', () => clearInterval(trickle))
    })
    const gateway = await startGateway(t, { server: { totalTimeoutMs: 300 } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    const response = await gateway.post(CHAT, ASK)
    assert.equal(response.status, 504)
    assert.match(await response.text(), /upstream_timeout/)
    await gateway.settled()
    const [event] = gateway.events()
    assert.deepEqual([event?.usageSource, event?.requests], ['partial', 1])
    await eventually(() => assert.equal(upstream.received[0]?.gone, true))
  })

  test('F27 that has said nothing by the total time is 504, and its input is charged', async (t) => {
    const upstream = await startUpstream(t, () => {})
    const gateway = await startGateway(t, { server: { totalTimeoutMs: 200 } })
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    assert.equal((await gateway.post(CHAT, ASK)).status, 504)
    await gateway.settled()
    assert.equal(gateway.events()[0]?.usageSource, 'estimated')
    await eventually(() => assert.equal(upstream.received[0]?.gone, true))
  })

  test('F07 that dies within its answer is 502, charged for what was seen', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"choices":[{"message":{"content":"Hello', () => setImmediate(() => response.destroy()))
    })
    const gateway = await startGateway(t)
    gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
    gateway.key()
    assert.equal((await gateway.post(CHAT, ASK)).status, 502)
    await gateway.settled()
    assert.equal(gateway.events()[0]?.usageSource, 'partial')
    assert.equal(gateway.meter('requests').posted, 1n)
  })
})

function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
