import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { formatUsd } from '../../src/units/money.ts'
import { aLimit } from '../helpers/entities.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway, type TestGateway, type TestGatewayOptions } from '../helpers/gateway.ts'
import { deadUrl, json, type Received, startUpstream, stream, type Upstream } from '../helpers/upstream.ts'

const CHAT = '/v1/chat/completions'
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 }
const USAGE = { prompt_tokens: 12, completion_tokens: 34 }
const OK = json(200, { choices: [], usage: USAGE })
const COST = 12n * 150n + 34n * 600n

interface World {
  readonly gateway: TestGateway
  readonly upstreams: readonly Upstream[]
}

/** Providers `p1`, `p2` … of one kind, tried in this order. */
async function world(
  t: TestContext,
  answers: readonly ((received: Received) => void)[],
  options?: TestGatewayOptions,
): Promise<World> {
  const gateway = await startGateway(t, options)
  const upstreams: Upstream[] = []
  for (const [index, answer] of answers.entries()) {
    const upstream = await startUpstream(t, answer)
    upstreams.push(upstream)
    gateway.provider({ name: `p${index + 1}`, kind: 'openai', baseUrl: `${upstream.url}/v1` })
  }
  gateway.key()
  return { gateway, upstreams }
}

/** `attempt provider status source requests` of each event. */
function story({ gateway }: World): string[] {
  return gateway
    .events()
    .map(({ attempt, provider, status, usageSource, requests }) =>
      [attempt, provider, status, usageSource, requests].join(' '),
    )
}

describe('attempts', () => {
  for (const status of [401, 408, 409, 429, 500, 503, 529]) {
    test(`T01 ${status} moves on to the next candidate; the first attempt is voided, the request counts once`, async (t) => {
      const here = await world(t, [json(status, { error: { message: 'no' } }), OK])
      const response = await here.gateway.post(CHAT, ASK)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('x-bursar-provider'), 'p2')
      await response.text()
      await here.gateway.settled()
      assert.deepEqual(story(here), [`1 p1 ${status}  0`, '2 p2 200 reported 1'])
      assert.equal(here.gateway.meter('requests').posted, 1n)
      assert.equal(here.gateway.meter('cost').posted, COST)
      assert.equal(here.gateway.facts.of('hold').length, 2)
    })
  }

  for (const status of [400, 404, 413, 422]) {
    test(`${status} is the caller’s own and is not tried elsewhere`, async (t) => {
      const here = await world(t, [json(status, { error: { message: 'no' } }), OK])
      assert.equal((await here.gateway.post(CHAT, ASK)).status, status)
      assert.equal(here.upstreams[1]?.received.length, 0)
      await here.gateway.settled()
    })
  }

  test('a refused connection, a broken one and a silent provider move on', async (t) => {
    const here = await world(t, [OK, ({ response }) => response.destroy(), () => {}, OK], {
      server: { headersTimeoutMs: 100, maxAttempts: 4 },
    })
    const [first] = here.gateway.governance.store.providers.values()
    assert.ok(first !== undefined)
    here.gateway.put({ op: 'put', kind: 'provider', entity: { ...first, baseUrl: await deadUrl() } })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 200)
    await response.text()
    await here.gateway.settled()
    assert.deepEqual(story(here), ['1 p1   0', '2 p2   0', '3 p3  estimated 0', '4 p4 200 reported 1'])
    assert.equal(here.gateway.meter('requests').posted, 1n)
    assert.ok(here.gateway.meter('cost').posted > COST, 'the silent provider’s input is charged as well')
  })

  test('a stream moves on as long as no byte has reached the client', async (t) => {
    const whole = (received: Received) => {
      stream('data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n', 'data: [DONE]\n\n')(received)
      received.response.end()
    }
    const here = await world(t, [json(503, {}), whole])
    const response = await here.gateway.post(CHAT, { ...ASK, stream: true })
    assert.equal(response.headers.get('x-bursar-provider'), 'p2')
    assert.match(await response.text(), /DONE/)
    await here.gateway.settled()
    assert.deepEqual(story(here), ['1 p1 503  0', '2 p2 200 estimated 1'])
  })

  test('the keys of one provider are tried before the next provider', async (t) => {
    const here = await world(t, [
      (received) => (received.headers.authorization === 'Bearer two' ? OK : json(429, {}))(received),
    ])
    const key = (name: string) => ({ id: name, name, value: name, keyStart: name, weight: 1 })
    const [provider] = here.gateway.governance.store.providers.values()
    if (provider !== undefined) {
      here.gateway.put({ op: 'put', kind: 'provider', entity: { ...provider, keys: [key('one'), key('two')] } })
    }
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 200)
    await response.text()
    await here.gateway.settled()
    assert.deepEqual(
      here.gateway.events().map(({ providerKeyId }) => providerKeyId),
      ['one', 'two'],
    )
  })

  test('a key that was answered 429 rests for its retry-after: the next request begins with another', async (t) => {
    const here = await world(t, [json(429, {}, { 'retry-after': '30' }), OK])
    await (await here.gateway.post(CHAT, ASK)).text()
    assert.equal((await here.gateway.post(CHAT, ASK)).headers.get('x-bursar-provider'), 'p2')
    await here.gateway.settled()
    assert.equal(here.upstreams[0]?.received.length, 1)
    assert.deepEqual(story(here), ['1 p1 429  0', '2 p2 200 reported 1', '1 p2 200 reported 1'])
  })

  test('F19 the next key of the provider is asked where one is refused, and pass-through leaves that one alone too', async (t) => {
    const here = await world(t, [
      (received) => (received.headers.authorization === 'Bearer good' ? OK : json(401, {}))(received),
    ])
    const keys = ['revoked', 'good'].map((value) => ({ id: value, name: value, value, keyStart: value, weight: 1 }))
    const [provider] = here.gateway.governance.store.providers.values()
    here.gateway.provider({ ...provider, keys })
    here.gateway.key({ passthrough: true })
    for (let asked = 0; asked < 2; asked += 1) assert.equal((await here.gateway.post(CHAT, ASK)).status, 200)
    assert.equal((await here.gateway.post('/p1/v1/files', 'a file')).status, 200)
    await here.gateway.settled()
    const sent = here.upstreams[0]?.received.map(({ headers }) => headers.authorization)
    assert.deepEqual(
      sent,
      ['revoked', 'good', 'good', 'good'].map((value) => `Bearer ${value}`),
    )
    assert.equal(here.gateway.meter('cost').posted, 2n * COST)
    assert.equal(here.gateway.meter('requests').posted, 3n)
  })

  test('a key that was answered 401 rests, and is asked all the same where there is no other', async (t) => {
    const here = await world(t, [json(401, {})])
    for (let asked = 0; asked < 2; asked += 1) assert.equal((await here.gateway.post(CHAT, ASK)).status, 502)
    const upstream = await startUpstream(t, OK)
    here.gateway.provider({ name: 'p2', kind: 'openai', baseUrl: `${upstream.url}/v1` })
    assert.equal((await here.gateway.post(CHAT, ASK)).headers.get('x-bursar-provider'), 'p2')
    await here.gateway.settled()
    assert.equal(here.upstreams[0]?.received.length, 2)
  })

  test('at most max_attempts; then the last provider’s error is the answer', async (t) => {
    const refusal = (n: number) => json(500 + n, { error: { message: `number ${n}` } })
    const here = await world(t, [refusal(0), refusal(2), refusal(3), refusal(4)], { server: { maxAttempts: 3 } })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 503)
    assert.match(await response.text(), /number 3/)
    assert.equal(response.headers.get('x-bursar-provider'), 'p3')
    assert.equal(response.headers.get('x-bursar-error-source'), 'provider')
    await here.gateway.settled()
    assert.deepEqual(story(here), ['1 p1 500  0', '2 p2 502  0', '3 p3 503  0'])
    assert.equal(here.upstreams[3]?.received.length, 0)
    assert.equal(here.gateway.meter('requests').posted, 0n)
  })

  test('F20 a candidate without room is passed over, and its limit is not charged', async (t) => {
    const here = await world(t, [json(503, {}), OK, OK])
    const full = aLimit({ metric: 'requests', max: 1n, provider: 'p2', scope: { kind: 'global', id: null } })
    here.gateway.put({ op: 'put', kind: 'limit', entity: full })
    const first = await here.gateway.post(CHAT, { ...ASK, model: 'p2/gpt-4o-mini' })
    await first.text()
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.headers.get('x-bursar-provider'), 'p3')
    await response.text()
    await here.gateway.settled()
    assert.deepEqual(story(here).slice(1), ['1 p1 503  0', '2 p3 200 reported 1'])
    assert.equal(here.gateway.governance.ledger.read(full.id, Date.now())?.posted, 1n)
  })

  test('F02 a fallback whose hold cannot be written down: the caller is told to come again, and each hold is resolved once', async (t) => {
    const usage = { prompt_tokens: 12, completion_tokens: 34 }
    let fill = () => {}
    const failing = (received: Received) => {
      fill()
      json(503, { error: { message: 'no' }, usage })(received)
    }
    const here = await world(t, [failing, OK])
    fill = () => {
      here.gateway.facts.takesHolds = false
    }
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 503)
    assert.match(await response.text(), /"code":"overloaded"/)
    assert.equal(response.headers.get('x-bursar-cost-usd'), formatUsd(COST))
    assert.equal(response.headers.get('x-bursar-error-source'), 'gateway')
    await here.gateway.settled()
    assert.equal(here.upstreams[1]?.received.length, 0)
    assert.deepEqual(story(here), ['1 p1 503 reported 0'])
    assert.equal(here.gateway.meter('cost').posted, COST)
  })

  test('F28 a client that has gone is not taken elsewhere', async (t) => {
    const here = await world(t, [() => {}, OK])
    const leaving = new AbortController()
    const asked = here.gateway.post(CHAT, ASK, {}, leaving.signal)
    await eventually(() => assert.equal(here.upstreams[0]?.received.length, 1))
    leaving.abort()
    await assert.rejects(asked)
    await here.gateway.unconnected()
    const answer = here.upstreams[0]?.received[0]
    if (answer !== undefined) json(503, {})(answer)
    await here.gateway.settled()
    assert.equal(here.upstreams[1]?.received.length, 0)
    assert.deepEqual(story(here), ['1 p1 503  0'])
  })
})

describe('an error says what it cost', () => {
  const COST_HEADER = 'x-bursar-cost-usd'

  test('a provider that never answers is charged its input, and the 504 says so', async (t) => {
    const here = await world(t, [() => {}], { server: { headersTimeoutMs: 100 } })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 504)
    await response.text()
    await here.gateway.settled()
    const posted = here.gateway.meter('cost').posted
    assert.ok(posted > 0n)
    assert.equal(response.headers.get(COST_HEADER), formatUsd(posted))
  })

  test('an answer that took several attempts says what all of them cost, collected or streamed, served or refused', async (t) => {
    const refusing = json(503, { error: { message: 'no' }, usage: { prompt_tokens: 12, completion_tokens: 34 } })
    const served = await world(t, [refusing, refusing, OK])
    const collected = await served.gateway.post(CHAT, ASK)
    await collected.text()
    assert.deepEqual([collected.status, collected.headers.get(COST_HEADER)], [200, formatUsd(3n * COST)])
    const last = 'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34}}\n\n'
    const [, , third] = served.upstreams
    assert.ok(third !== undefined)
    third.answer = (received) => {
      stream('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n', last, 'data: [DONE]\n\n')(received)
      received.response.end()
    }
    const streamed = await served.gateway.post(CHAT, { ...ASK, stream: true })
    assert.ok((await streamed.text()).includes(`: bursar cost_usd=${formatUsd(3n * COST)} input_tokens=12`))
    third.answer = refusing
    const refused = await served.gateway.post(CHAT, ASK)
    await refused.text()
    assert.deepEqual([refused.status, refused.headers.get(COST_HEADER)], [503, formatUsd(3n * COST)])
    await served.gateway.settled()
    assert.equal(served.gateway.meter('cost').posted, 9n * COST)
  })

  test('so does a collected answer that broke off', async (t) => {
    const here = await world(t, [
      ({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
        response.write('{"choices":[', () => setImmediate(() => response.destroy()))
      },
    ])
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 502)
    await response.text()
    await here.gateway.settled()
    const posted = here.gateway.meter('cost').posted
    assert.ok(posted > 0n)
    assert.equal(response.headers.get(COST_HEADER), formatUsd(posted))
  })

  test('and a refusal of ours that reports usage; one that costs nothing says nothing was spent', async (t) => {
    const here = await world(t, [json(401, { usage: { prompt_tokens: 12, completion_tokens: 34 } })])
    const charged = await here.gateway.post(CHAT, ASK)
    await charged.text()
    assert.deepEqual([charged.status, charged.headers.get(COST_HEADER)], [502, formatUsd(COST)])
    const [upstream] = here.upstreams
    if (upstream !== undefined) upstream.answer = json(401, {})
    const free = await here.gateway.post(CHAT, ASK)
    await free.text()
    assert.deepEqual([free.status, free.headers.get(COST_HEADER)], [502, '0.00'])
    await here.gateway.settled()
  })
})

describe('a bug of ours', () => {
  test('before the head is answered with the request id and no more, and the hold is returned', async (t) => {
    const here = await world(t, [OK])
    const [provider] = here.gateway.governance.store.providers.values()
    assert.ok(provider !== undefined)
    here.gateway.put({ op: 'put', kind: 'provider', entity: { ...provider, baseUrl: 'no url' } })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 500)
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    const requestId = response.headers.get('x-bursar-request-id')
    assert.deepEqual([error.code, error.message], ['internal', `Internal error. The request id is ${requestId}.`])
    assert.equal(response.headers.get('x-bursar-cost-usd'), '0.00')
    await here.gateway.settled()
    assert.deepEqual(story(here), ['1 p1   0'])
  })

  test('after the head breaks the connection, so that the stream is not taken for whole', async (t) => {
    const here = await world(t, [
      (received) => {
        // From here on, so that admission could still estimate the request.
        here.gateway.governance.estimator.tokensOfText = () => {
          throw new Error('a bug')
        }
        stream('data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n')(received)
      },
    ])
    const response = await here.gateway.post(CHAT, { ...ASK, stream: true })
    assert.equal(response.status, 200)
    here.upstreams[0]?.received[0]?.response.end()
    await assert.rejects(response.text())
    await here.gateway.settled()
  })
})

describe('F02 the net', () => {
  test('what was admitted and then refused by a later hook is returned', async (t) => {
    const here = await world(t, [OK], {
      plugins: (scope) => {
        scope.addHook('preHandler', async () => {
          throw Object.assign(new Error('Closed on Sundays.'), { statusCode: 403 })
        })
      },
    })
    const response = await here.gateway.post(CHAT, ASK)
    assert.equal(response.status, 403)
    await response.text()
    await here.gateway.settled()
    assert.equal(here.upstreams[0]?.received.length, 0)
    assert.deepEqual(story(here), ['1 p1   0'])
    assert.equal(here.gateway.meter('requests').posted, 0n)
  })

  for (const place of ['before', 'after'] as const) {
    test(`a client that leaves while a hook ${place} admission waits is not forwarded, and nothing stays held`, async (t) => {
      const waiting = Promise.withResolvers<void>()
      let reached = false
      const plugins = (scope: FastifyInstance) => {
        scope.addHook(place === 'before' ? 'preValidation' : 'preHandler', async () => {
          reached = true
          await waiting.promise
        })
      }
      const here = await world(t, [OK], { plugins })
      const leaving = new AbortController()
      const asked = here.gateway.post(CHAT, ASK, {}, leaving.signal)
      await eventually(() => assert.ok(reached))
      leaving.abort()
      await assert.rejects(asked)
      await here.gateway.unconnected()
      waiting.resolve()
      await eventually(() => assert.equal(here.gateway.facts.of('hold').length, 1))
      await here.gateway.settled()
      assert.equal(here.upstreams[0]?.received.length, 0)
      assert.deepEqual(story(here), ['1 p1   0'])
    })
  }

  test('after any mix of endings nothing is held, and each attempt has one event', async (t) => {
    const endings: ((received: Received) => void)[] = [
      OK,
      json(400, {}),
      json(503, {}),
      ({ response }) => response.destroy(),
      stream('data: {"choices":[]}\n\n'),
      (received) => {
        stream('data: {"choices":[{"finish_reason":"stop"}]}\n\n', 'data: [DONE]\n\n')(received)
        received.response.end()
      },
      ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('data: {"ch', () => setImmediate(() => response.destroy()))
      },
    ]
    let asked = 0
    const answer = (received: Received) => endings[asked++ % endings.length]?.(received)
    const here = await world(t, [answer, answer])
    const clients: AbortController[] = []
    const calls = Array.from({ length: 70 }, async (_, index) => {
      const leaving = new AbortController()
      clients.push(leaving)
      try {
        const call = here.gateway.post(CHAT, { ...ASK, stream: index % 3 !== 0 }, {}, leaving.signal)
        if (index % 5 === 0) setImmediate(() => leaving.abort())
        const response = await call
        if (index % 2 === 0) setImmediate(() => leaving.abort())
        await response.text()
      } catch {
        // Broken off, by one side or the other.
      }
    })
    // Every call has reached a provider or been given up; what is still going on has a provider that never ends.
    await eventually(() => assert.ok(here.gateway.facts.of('hold').length >= 50))
    for (const client of clients) client.abort()
    await Promise.all(calls)
    await here.gateway.unconnected()
    await here.gateway.settled()
    const holds = here.gateway.facts.of('hold').map(({ identity }) => `${identity.requestId} ${identity.attempt}`)
    const events = here.gateway.events().map(({ requestId, attempt }) => `${requestId} ${attempt}`)
    assert.deepEqual(events.toSorted(), holds.toSorted())
    const requests = here.gateway.events().reduce((sum, event) => sum + event.requests, 0)
    assert.equal(here.gateway.meter('requests').posted, BigInt(requests))
    const cost = here.gateway.events().reduce((sum, event) => sum + BigInt(event.costNanoUsd), 0n)
    assert.equal(here.gateway.meter('cost').posted, cost)
  })

  test('the gateway closes although a provider never answers', async (t) => {
    const here = await world(t, [() => {}])
    const leaving = new AbortController()
    const asked = here.gateway.post(CHAT, ASK, {}, leaving.signal)
    await eventually(() => assert.equal(here.upstreams[0]?.received.length, 1))
    leaving.abort()
    await assert.rejects(asked)
    await here.gateway.app.close()
    assert.equal(here.gateway.governance.ledger.openHoldCount, 0)
    const [event] = here.gateway.events()
    assert.deepEqual([event?.usageSource, event?.requests], ['estimated', 1])
  })
})

test('the log learns why an attempt has ended badly: the error, or that the client has left', async (t) => {
  const gateway = await startGateway(t)
  const ends: string[] = []
  gateway.tracker.onEvent((_event, _admitted, { ending, cause }) => void ends.push(`${ending} ${cause}`))
  gateway.provider({ name: 'p1', kind: 'openai', baseUrl: `${await deadUrl()}/v1` })
  gateway.key()
  await (await gateway.post(CHAT, ASK)).text()
  assert.deepEqual(ends.splice(0), ['unreached ECONNREFUSED'])

  const begun = (received: Received) => {
    received.response.writeHead(200, { 'content-type': 'text/event-stream' })
    received.response.write('data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n')
  }
  const upstream = await startUpstream(t, (received) => {
    begun(received)
    setTimeout(() => received.response.destroy(), 50)
  })
  gateway.provider({ name: 'p2', kind: 'openai', baseUrl: `${upstream.url}/v1` })
  const streamed = { ...ASK, model: 'p2/gpt-4o-mini', stream: true }
  await (await gateway.post(CHAT, streamed)).text().catch(() => {})
  await gateway.settled()
  assert.deepEqual(ends.splice(0), ['cut UND_ERR_SOCKET'])

  upstream.answer = begun
  const leaving = new AbortController()
  const response = await gateway.post(CHAT, streamed, {}, leaving.signal)
  await response.body?.getReader().read()
  leaving.abort()
  await gateway.settled()
  assert.deepEqual(ends, ['cut client_left'])
})
