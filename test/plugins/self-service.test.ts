import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { amountsOf } from '../../src/ledger/hold.ts'
import type { Limit } from '../../src/store/entities.ts'
import { newId } from '../../src/units/id.ts'
import { aCustomer, aLimit, aProvider, aTeam, aUser } from '../helpers/entities.ts'
import { buildFront, type Front, NOW } from '../helpers/front.ts'

async function get({ app }: Front, url: string, value: string | null, headers: Record<string, string> = {}) {
  return app.inject({ url, headers: { ...(value === null ? {} : { 'x-bursar-key': value }), ...headers } })
}

/** Holds and settles amounts on every limit of the key, as requests to a model would. */
function use({ governance, clock }: Front, keyId: string, posted: bigint, held: bigint): void {
  const { admission, ledger, store } = governance
  const principal = store.principalOfKey(keyId)
  assert.ok(principal !== null)
  const chain = admission.chains.of(store, principal, 'sim', 'gpt-4o-mini').limits
  const amounts = (count: bigint) => amountsOf({ requests: count, cost: count * 1_000_000_000n })
  const hold = (count: bigint) => {
    const outcome = ledger.hold(
      { requestId: newId(), attempt: 1, chain, amounts: amounts(count), deadline: 1e9 },
      clock.now(),
    )
    assert.ok(outcome.ok)
    return outcome.hold
  }
  ledger.settle(hold(posted), amounts(posted))
  hold(held)
}

describe('GET /v1/key', () => {
  test('says who the key is, whom it is charged to, and what every limit has used, held and left', async (t) => {
    const front = await buildFront(t)
    const customer = aCustomer()
    const team = aTeam({ customerId: customer.id })
    const user = aUser()
    const id = newId()
    front.put(
      { op: 'put', kind: 'customer', entity: customer },
      { op: 'put', kind: 'team', entity: team },
      { op: 'put', kind: 'user', entity: user },
    )
    const value = front.key({ id, name: 'notebook', userId: user.id, teamId: team.id, expiresAt: NOW + 1_000 })
    const limits: Limit[] = [
      aLimit({ metric: 'cost', max: 25_000_000_000n, scope: { kind: 'team', id: team.id }, window: 'lifetime' }),
      aLimit({ metric: 'requests', max: 60n, scope: { kind: 'virtual_key', id }, anchor: NOW }),
      aLimit({ metric: 'requests', max: 50n, scope: { kind: 'user', id: user.id }, anchor: NOW, mode: 'observe' }),
      aLimit({ metric: 'requests', max: 1_000n, provider: 'sim', anchor: NOW }),
    ]
    front.put(...limits.map((entity) => ({ op: 'put', kind: 'limit', entity }) as const))
    use(front, id, 12n, 3n)

    const response = await get(front, '/v1/key', value)
    assert.equal(response.statusCode, 200, response.body)
    const own = response.json()
    assert.deepEqual([own.id, own.name, own.expires_at], [id, 'notebook', '2026-11-20T12:00:01Z'])
    assert.deepEqual(own.user, { id: user.id, name: 'ada', kind: 'normal', expires_at: null })
    assert.deepEqual(own.team, { id: team.id, name: 'research' })
    assert.deepEqual(own.customer, { id: customer.id, name: 'acme' })

    const [ofTeam, ofKey, ofUser, global] = limits.map(({ id: limitId }) =>
      own.limits.find((limit: { limit_id: string }) => limit.limit_id === limitId),
    )
    const resetsAt = '2026-11-20T13:00:00Z'
    assert.deepEqual(
      [ofKey.max, ofKey.posted, ofKey.held, ofKey.used, ofKey.remaining, ofKey.resets_at],
      [60, 12, 3, 15, 45, resetsAt],
    )
    assert.deepEqual([ofUser.scope, ofUser.scope_name, ofUser.mode, ofUser.used], ['user', 'ada', 'observe', 15])
    assert.deepEqual([ofTeam.max, ofTeam.posted, ofTeam.held, ofTeam.remaining], ['25.00', '12.00', '3.00', '10.00'])
    assert.equal(ofTeam.resets_at, null)
    // Other people's traffic: which limit, what it counts and when it begins again, and no numbers.
    assert.deepEqual([global.metric, global.window, global.resets_at], ['requests', '1h', resetsAt])
    for (const number of ['max', 'posted', 'held', 'used', 'remaining']) assert.equal(global[number], null, number)
    assert.deepEqual(
      own.limits.map(({ scope }: { scope: string }) => scope),
      ['user', 'virtual_key', 'global', 'team'],
    )
  })

  test('answers a key that is over its limits, and charges it nothing', async (t) => {
    const front = await buildFront(t)
    const id = newId()
    const value = front.key({ id })
    const limit = aLimit({ metric: 'requests', max: 2n, scope: { kind: 'virtual_key', id }, anchor: NOW })
    front.put({ op: 'put', kind: 'limit', entity: limit })
    use(front, id, 1n, 1n)
    for (let run = 0; run < 3; run += 1) {
      const [own] = (await get(front, '/v1/key', value)).json().limits
      assert.deepEqual([own.used, own.remaining], [2, 0])
    }
    assert.deepEqual(front.facts.of('hold'), [])
  })

  test('T17 names a limit that cannot be read', async (t) => {
    const front = await buildFront(t)
    const id = newId()
    const value = front.key({ id })
    const scope = { kind: 'virtual_key', id } as const
    const entity = {
      ...aLimit({ metric: 'requests', max: 2n, scope }),
      spec: null,
      invalid: 'window "1x" is no duration',
    }
    front.put({ op: 'put', kind: 'limit', entity })
    const [own] = (await get(front, '/v1/key', value)).json().limits
    assert.deepEqual([own.limit_id, own.used, own.invalid], [entity.id, null, 'window "1x" is no duration'])
  })

  test('F23 shows neither the key nor its hash, and no limit of anybody else', async (t) => {
    const front = await buildFront(t)
    const value = front.key({ name: 'notebook' })
    front.put({
      op: 'put',
      kind: 'limit',
      entity: aLimit({ metric: 'requests', max: 2n, scope: { kind: 'team', id: newId() } }),
    })
    const response = await get(front, '/v1/key', value)
    const [key] = front.governance.store.virtualKeys.values()
    assert.ok(key !== undefined && !response.body.includes(key.hash) && !response.body.includes(value))
    assert.deepEqual(response.json().limits, [])
  })

  test('without a key there is none to show', async (t) => {
    const front = await buildFront(t, { settings: { requireKey: false } })
    const response = await get(front, '/v1/key', null)
    assert.equal(response.statusCode, 401)
    assert.equal(response.json().error.code, 'key_missing')
  })
})

describe('GET /v1/models', () => {
  const only = (...models: string[]) => [{ provider: 'sim', models, blockedModels: [], keyIds: null, weight: 1 }]

  async function idsOf(front: Front, value: string): Promise<string[]> {
    return (await get(front, '/v1/models', value)).json().data.map(({ id }: { id: string }) => id)
  }

  test('B29 lists exactly what the key may use', async (t) => {
    const front = await buildFront(t)
    const all = await idsOf(front, front.key())
    const [first = '', second = ''] = all
    assert.ok(all.length > 2)
    assert.deepEqual((await idsOf(front, front.key({ access: only(first, second) }))).sort(), [first, second].sort())
    assert.deepEqual(await idsOf(front, front.key({ access: [] })), [])
    const allowed = [
      { ...only('*')[0], provider: 'sim', models: null, blockedModels: [first], keyIds: null, weight: null },
    ]
    assert.deepEqual(
      await idsOf(front, front.key({ access: allowed })),
      all.filter((id) => id !== first),
    )
  })

  test('B28 a key that is not known lists nothing', async (t) => {
    const front = await buildFront(t)
    assert.equal((await get(front, '/v1/models', 'nobody')).statusCode, 401)
  })

  test('answers each SDK in its own shape', async (t) => {
    const front = await buildFront(t)
    const value = front.key({ access: only('a-model') })
    const openai = (await get(front, '/v1/models', value)).json()
    assert.deepEqual([openai.object, openai.data.length], ['list', 1])
    const { id, object, created, owned_by } = openai.data[0]
    assert.deepEqual([id, object, typeof created, owned_by], ['a-model', 'model', 'number', 'sim'])

    const version = { 'anthropic-version': '2023-06-01' }
    const anthropic = (await get(front, '/v1/models', value, version)).json()
    assert.deepEqual(anthropic, {
      data: [{ type: 'model', id: 'a-model', display_name: 'a-model', created_at: '2026-11-01T00:00:00Z' }],
      has_more: false,
      first_id: 'a-model',
      last_id: 'a-model',
    })
    const google = (await get(front, '/v1beta/models', value)).json()
    assert.equal(google.models[0].name, 'models/a-model')
    assert.ok(google.models[0].supportedGenerationMethods.includes('generateContent'))
  })

  test('tells prices and context where they are known, with the admins’ own prices first', async (t) => {
    const front = await buildFront(t)
    const value = front.key()
    const pricing = (input: string, output: string, cacheRead: string) => ({
      input_usd_per_million: input,
      output_usd_per_million: output,
      cache_read_usd_per_million: cacheRead,
    })
    const openai = (await get(front, '/v1/models/gpt-4o-mini', value)).json()
    assert.deepEqual([openai.context_length, openai.pricing], [128_000, pricing('0.15', '0.60', '0.075')])
    const version = { 'anthropic-version': '2023-06-01' }
    const anthropic = (await get(front, '/v1/models/claude-haiku-4-5', value, version)).json()
    assert.deepEqual([anthropic.max_input_tokens, anthropic.pricing], [200_000, pricing('1.00', '5.00', '0.10')])
    const google = (await get(front, '/v1beta/models/gemini-2.5-flash', value)).json()
    assert.deepEqual([google.name, google.inputTokenLimit], ['models/gemini-2.5-flash', 1_048_576])
    assert.equal(google.pricing.output_usd_per_million, '2.50')

    const rates = { inputPerMillion: 1_000_000_000n, outputPerMillion: 2_000_000_000n, cacheReadPerMillion: 5n }
    const made = { id: newId(), managedBy: 'api', createdAt: NOW, updatedAt: NOW, effectiveFrom: 0 } as const
    const price = {
      ...made,
      ...rates,
      provider: 'sim',
      model: 'gpt-4o-mini',
      cacheWritePerMillion: null,
      perRequest: null,
    }
    front.put({ op: 'put', kind: 'price', entity: price })
    const own = (await get(front, '/v1/models/gpt-4o-mini', value)).json()
    assert.deepEqual(own.pricing, pricing('1.00', '2.00', '0.000000005'))
    const unpriced = (await get(front, '/v1/models/a-model', front.key({ access: only('a-model') }))).json()
    assert.deepEqual([unpriced.pricing, unpriced.context_length], [undefined, undefined])
  })

  test('one model is found by its listed name and under its provider, and no other', async (t) => {
    const front = await buildFront(t)
    const value = front.key({ access: only('a-model') })
    for (const id of ['a-model', 'sim/a-model']) {
      const response = await get(front, `/v1/models/${id}`, value)
      assert.deepEqual([response.statusCode, response.json().id], [200, id])
    }
    const anthropic = await get(front, '/v1/models/a-model', value, { 'anthropic-version': '2023-06-01' })
    assert.equal(anthropic.json().type, 'model')
    for (const id of ['other', 'sim/other', 'openai/a-model']) {
      const response = await get(front, `/v1/models/${id}`, value)
      assert.deepEqual([response.statusCode, response.json().error.code], [404, 'model_not_found'])
    }
    const refused = await get(front, '/v1/models/other', value, { 'anthropic-version': '2023-06-01' })
    assert.equal(refused.json().type, 'error')
  })

  test('a model that several providers have is listed once; one whose name reads as provider/model under its provider', async (t) => {
    const front = await buildFront(t)
    front.put({ op: 'put', kind: 'provider', entity: aProvider({ name: 'second', kind: 'sim' }) })
    const rule = { blockedModels: [], keyIds: null, weight: 1 }
    const access = [
      { ...rule, provider: 'sim', models: ['both'] },
      { ...rule, provider: 'second', models: ['both', 'sim/both', 'meta/llama'] },
    ]
    const value = front.key({ access })
    assert.deepEqual(await idsOf(front, value), ['both', 'meta/llama', 'second/sim/both'])
    const both = (await get(front, '/v1/models/both', value)).json()
    assert.deepEqual(both.providers, ['sim', 'second'])
  })
})
