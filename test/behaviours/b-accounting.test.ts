/** Cases 62 to 82 of another gateway's own tests: what an attempt charges, and whom. Through the whole flow, on real sockets. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Limit, Scope } from '../../src/store/entities.ts'
import { aCustomer, aLimit, aTeam, aUser } from '../helpers/entities.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway, type TestGateway, type TestGatewayOptions } from '../helpers/gateway.ts'
import { json, type Received, startUpstream, stream, type Upstream } from '../helpers/upstream.ts'

const CHAT = '/v1/chat/completions'
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 }
const USAGE = { prompt_tokens: 12, completion_tokens: 34, total_tokens: 46 }
const OK = json(200, { choices: [], usage: USAGE })
/** Nano-dollars: $0.15 and $0.60 per million tokens. */
const COST = 12n * 150n + 34n * 600n

type Posted = readonly [cost: bigint, requests: bigint, tokens: bigint]
const NOTHING: Posted = [0n, 0n, 0n]
const ONE: Posted = [COST, 1n, 46n]

interface World {
  readonly gateway: TestGateway
  readonly upstreams: readonly Upstream[]
  readonly scopes: Readonly<Record<'user' | 'virtual_key' | 'team' | 'customer', Scope>>
  /** Limits of cost, requests and tokens with room for all. */
  limits(scope: Scope, fields?: Partial<Limit>): readonly Limit[]
  posted(limits: readonly Limit[]): Posted
}

/** A key with user, team and customer in front of providers `p1`, `p2` …, tried in this order. */
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
  const customer = aCustomer()
  const team = aTeam({ customerId: customer.id })
  const user = aUser()
  gateway.put(
    { op: 'put', kind: 'customer', entity: customer },
    { op: 'put', kind: 'team', entity: team },
    { op: 'put', kind: 'user', entity: user },
  )
  gateway.key({ teamId: team.id, userId: user.id })
  const [key] = gateway.governance.store.virtualKeys.values()
  assert.ok(key !== undefined)
  return {
    gateway,
    upstreams,
    scopes: {
      user: { kind: 'user', id: user.id },
      virtual_key: { kind: 'virtual_key', id: key.id },
      team: { kind: 'team', id: team.id },
      customer: { kind: 'customer', id: customer.id },
    },
    limits(scope, fields = {}) {
      const made = (['cost', 'requests', 'tokens'] as const).map((metric) =>
        aLimit({ metric, max: 10n ** 15n, window: '1d', scope, ...fields }),
      )
      gateway.put(...made.map((entity) => ({ op: 'put', kind: 'limit', entity }) as const))
      return made
    },
    posted(limits) {
      const [cost, requests, tokens] = limits.map(
        ({ id }) => gateway.governance.ledger.read(id, gateway.governance.clock.now())?.posted ?? -1n,
      )
      return [cost ?? -1n, requests ?? -1n, tokens ?? -1n]
    },
  }
}

async function ask({ gateway }: World, fields: object = {}): Promise<number> {
  const response = await gateway.post(CHAT, { ...ASK, ...fields })
  await response.text()
  return response.status
}

describe('accounting', () => {
  test('B62 T12 a success charges tokens, one request and its cost on every level', async (t) => {
    const here = await world(t, [OK])
    const levels = Object.values(here.scopes).map((scope) => here.limits(scope))
    const global = here.limits({ kind: 'global', id: null }, { provider: 'p1', model: 'gpt-4o*' })
    assert.equal(await ask(here), 200)
    await here.gateway.settled()
    for (const limits of [...levels, global]) assert.deepEqual(here.posted(limits), ONE)
  })

  test('B63 B71 T02 a failure without usage, or with none that costs, changes nothing', async (t) => {
    const here = await world(t, [json(400, { error: { message: 'no' } })])
    const limits = here.limits(here.scopes.team)
    assert.equal(await ask(here), 400)
    const [upstream] = here.upstreams
    assert.ok(upstream !== undefined)
    upstream.answer = json(400, { error: { message: 'no' }, usage: { prompt_tokens: 0, completion_tokens: 0 } })
    assert.equal(await ask(here), 400)
    await here.gateway.settled()
    assert.deepEqual(here.posted(limits), NOTHING)
  })

  test('B65 T05 usage that comes before a stream’s end is posted at the end, once, with its request', async (t) => {
    const chunk = { choices: [{ index: 0, delta: { content: 'Hi' } }] }
    const report = { choices: [], usage: USAGE }
    const last = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
    const lines = (...values: object[]) => values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join('')
    const here = await world(t, [stream(lines(chunk, report))])
    const limits = here.limits(here.scopes.virtual_key)
    const response = await here.gateway.post(CHAT, { ...ASK, stream: true })
    const reader = response.body?.getReader()
    await reader?.read()
    assert.deepEqual(here.posted(limits), NOTHING)
    here.upstreams[0]?.received[0]?.response.end(`${lines(last)}data: [DONE]\n\n`)
    while ((await reader?.read())?.done === false);
    await here.gateway.settled()
    assert.deepEqual(here.posted(limits), ONE)
    assert.equal(here.gateway.events().length, 1)
  })

  for (const streaming of [false, true]) {
    test(`${streaming ? 'B69' : 'B68'} three failed attempts that report usage are each paid for and count no request`, async (t) => {
      const failing = json(503, { error: { message: 'no' }, usage: USAGE })
      const here = await world(t, [failing, failing, failing])
      const limits = here.limits(here.scopes.customer)
      assert.equal(await ask(here, { stream: streaming }), 503)
      await here.gateway.settled()
      assert.deepEqual(here.posted(limits), [3n * COST, 0n, 3n * 46n])
      assert.equal(here.gateway.events().length, 3)
    })
  }

  test('B72 B78 three calls are three times the cost, each in one event, however often it is asked about', async (t) => {
    const here = await world(t, [OK])
    const limits = here.limits(here.scopes.user)
    for (let n = 0; n < 3; n++) assert.equal(await ask(here), 200)
    await here.gateway.settled()
    assert.deepEqual(here.posted(limits), [3n * COST, 3n, 138n])
    const events = here.gateway.events()
    assert.equal(new Set(events.map(({ requestId, attempt }) => `${requestId} ${attempt}`)).size, 3)
  })

  for (const what of ['deleted', 'disabled'] as const) {
    test(`B73 T11 T06 a key ${what} in flight: provider and model limits are charged, and the event keeps its id`, async (t) => {
      const waiting: Received[] = []
      const here = await world(t, [(received) => void waiting.push(received)])
      const global = here.limits({ kind: 'global', id: null }, { provider: 'p1' })
      const { id } = here.scopes.virtual_key
      const key = here.gateway.governance.store.virtualKeys.get(id ?? '')
      assert.ok(id !== null && key !== undefined)
      const asked = ask(here)
      await eventually(() => assert.equal(waiting.length, 1))
      if (what === 'deleted') here.gateway.put({ op: 'delete', kind: 'virtual_key', id })
      else here.gateway.put({ op: 'put', kind: 'virtual_key', entity: { ...key, active: false } })
      for (const received of waiting) OK(received)
      assert.equal(await asked, 200)
      await eventually(() => assert.equal(here.gateway.tracker.openAttempts, 0))
      assert.deepEqual(here.posted(global), ONE)
      assert.equal(here.gateway.events()[0]?.virtualKeyId, id)
      assert.equal(here.gateway.governance.ledger.openHoldCount, 0)
      assert.equal(await ask(here), what === 'deleted' ? 401 : 403, 'the next request is refused')
    })
  }

  test('B74 T10 what costs nothing leaves budgets alone; requests and tokens count', async (t) => {
    const here = await world(t, [OK], { settings: { pricing: { unknown: 'free' } } })
    const limits = here.limits(here.scopes.team)
    assert.equal(await ask(here, { model: 'p1/a-model-without-a-price' }), 200)
    await here.gateway.settled()
    assert.deepEqual(here.posted(limits), [0n, 1n, 46n])
  })

  test('B76 T09 only the provider that served is charged; key and team are, whoever served', async (t) => {
    const here = await world(t, [OK, OK])
    const [ofFirst, ofSecond] = ['p1', 'p2'].map((provider) => here.limits(here.scopes.virtual_key, { provider }))
    const ofTeam = here.limits(here.scopes.team)
    assert.ok(ofFirst !== undefined && ofSecond !== undefined)
    await ask(here, { model: 'p1/gpt-4o-mini' })
    await here.gateway.settled()
    assert.deepEqual([here.posted(ofFirst), here.posted(ofSecond), here.posted(ofTeam)], [ONE, NOTHING, ONE])
    await ask(here, { model: 'p2/gpt-4o-mini' })
    await here.gateway.settled()
    assert.deepEqual([here.posted(ofFirst), here.posted(ofSecond)], [ONE, ONE])
    assert.deepEqual(here.posted(ofTeam), [2n * COST, 2n, 92n])
  })

  test('B77 what is edited between check and charge changes nothing: charged is exactly what was held', async (t) => {
    const waiting: Received[] = []
    const here = await world(t, [(received) => void waiting.push(received)])
    const before = here.limits(here.scopes.team)
    const asked = ask(here)
    await eventually(() => assert.equal(waiting.length, 1))
    const other = aTeam({ name: 'other' })
    const key = here.gateway.governance.store.virtualKeys.get(here.scopes.virtual_key.id ?? '')
    assert.ok(key !== undefined)
    here.gateway.put(
      { op: 'put', kind: 'team', entity: other },
      { op: 'put', kind: 'virtual_key', entity: { ...key, teamId: other.id } },
    )
    const added = here.limits({ kind: 'team', id: other.id })
    const late = here.limits(here.scopes.team, { window: '1h' })
    for (const received of waiting) OK(received)
    assert.equal(await asked, 200)
    await here.gateway.settled()
    assert.deepEqual([here.posted(before), here.posted(added), here.posted(late)], [ONE, NOTHING, NOTHING])
  })

  test('B81 ten thousand looks at one key while it is used find the same key', async (t) => {
    const here = await world(t, [OK])
    const { store } = here.gateway.governance
    const key = store.virtualKeys.get(here.scopes.virtual_key.id ?? '')
    assert.ok(key !== undefined)
    const asked = Array.from({ length: 20 }, () => ask(here))
    const looked = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const found = new Set()
        for (let look = 0; look < 100; look++) {
          found.add(store.principalByHash(key.hash, here.gateway.governance.clock.now())?.key)
          if (look % 10 === 0) await new Promise(setImmediate)
        }
        return found
      }),
    )
    assert.deepEqual(
      await Promise.all(asked),
      asked.map(() => 200),
    )
    for (const found of looked) assert.deepEqual([...found], [key])
  })

  test('B82 T19 close with work done ends everything, and closing again is harmless', async (t) => {
    const here = await world(t, [OK])
    for (let n = 0; n < 3; n++) assert.equal(await ask(here), 200)
    await here.gateway.app.close()
    await here.gateway.app.close()
    assert.equal(here.gateway.tracker.openAttempts, 0)
    assert.equal(here.gateway.governance.ledger.openHoldCount, 0)
    assert.equal(here.gateway.events().length, 3)
  })

  test('B22 B120 one provider named by two rules is one that both allow', async (t) => {
    const here = await world(t, [OK])
    const key = here.gateway.governance.store.virtualKeys.get(here.scopes.virtual_key.id ?? '')
    assert.ok(key !== undefined)
    const rule = { provider: 'p1', blockedModels: [], keyIds: null, weight: 1 }
    const access = ['gpt-4o-mini', 'gpt-4.1'].map((model) => ({ ...rule, models: [model] }))
    here.gateway.put({ op: 'put', kind: 'virtual_key', entity: { ...key, access } })
    const statuses: number[] = []
    for (const model of ['gpt-4o-mini', 'gpt-4.1', 'gpt-4o']) statuses.push(await ask(here, { model }))
    assert.deepEqual(statuses, [200, 200, 403])
  })

  test('B124 what a key may use is asked only where there is a key: without one everything is, with an empty list nothing', async (t) => {
    const here = await world(t, [OK], { settings: { requireKey: false } })
    const key = here.gateway.governance.store.virtualKeys.get(here.scopes.virtual_key.id ?? '')
    assert.ok(key !== undefined)
    here.gateway.put({ op: 'put', kind: 'virtual_key', entity: { ...key, access: [] } })
    assert.equal(await ask(here), 403)
    const anonymous = await fetch(`${here.gateway.url}${CHAT}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ASK),
    })
    assert.equal(anonymous.status, 200, await anonymous.text())
  })
})
