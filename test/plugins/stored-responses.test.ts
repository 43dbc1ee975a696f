/** What a provider keeps for a key is reached by that key alone. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Sim, startSim } from '../../src/sim/server.ts'
import { newId } from '../../src/units/id.ts'
import type { StoredObject } from '../../src/usage/stored-objects.ts'
import { startGateway, type TestGatewayOptions } from '../helpers/gateway.ts'

async function start(t: TestContext, options: TestGatewayOptions = {}) {
  const sim = await startSim()
  t.after(() => sim.close())
  const gateway = await startGateway(t, options)
  gateway.provider({ name: 'sim', kind: 'sim', baseUrl: sim.url })
  const [own, others] = [gateway.key({ name: 'own' }), gateway.key({ name: 'other', passthrough: true })]
  const as = (key: string) => ({ 'x-bursar-key': key })
  const get = (path: string, key: string, method = 'GET') =>
    fetch(`${gateway.url}${path}`, { method, headers: as(key) })
  const create = async (key: string, more: object = {}) => {
    const response = await gateway.post('/v1/responses', { model: 'sim-small', input: 'Hello', ...more }, as(key))
    return { status: response.status, text: await response.text() }
  }
  return { sim, gateway, own, others, get, create }
}

interface Made {
  readonly id: string
  readonly output: readonly { readonly id: string }[]
}

test('a stored response is read, listed and deleted by the key that made it, and exists for nobody else', async (t) => {
  const { sim, own, others, get, create } = await start(t)
  const unknown = await get('/v1/responses/resp_unknown', own)
  const nothing = await unknown.text()
  assert.equal(unknown.status, 404)
  for (const stream of [false, true]) {
    const { status, text } = await create(own, { stream })
    assert.equal(status, 200, text)
    const id = /"id":"(resp_[^"]+)"/.exec(text)?.[1] ?? ''
    for (const below of ['', '/input_items', '/cancel']) {
      const method = below === '/cancel' ? 'POST' : 'GET'
      const foreign = await get(`/v1/responses/${id}${below}`, others, method)
      assert.equal(foreign.status, 404)
      assert.equal(await foreign.text(), nothing, 'another key’s and nobody’s read alike')
      const mine = await get(`/v1/responses/${id}${below}`, own, method)
      assert.equal(mine.status, below === '/cancel' ? 400 : 200)
      assert.ok((await mine.text()).includes(below === '/cancel' ? 'background' : id))
    }
    assert.equal((await get(`/v1/responses/${id}`, others, 'DELETE')).status, 404)
    assert.equal((await get(`/v1/responses/${id}`, own, 'DELETE')).status, 200)
    assert.equal((await get(`/v1/responses/${id}`, own)).status, 404)
  }
  assert.ok(sim.ledger().every(({ path }) => !path.includes('unknown')))
})

test('no key goes on with another key’s response, item or conversation', async (t) => {
  const { sim, own, others, create } = await start(t)
  const made = JSON.parse((await create(own)).text) as Made
  const item = made.output[0]?.id ?? ''
  const references: readonly (readonly [what: string, body: object])[] = [
    ['response', { previous_response_id: made.id }],
    ['item', { input: [{ type: 'item_reference', id: item }] }],
    ['item without its type', { input: [{ id: item }] }],
  ]
  const calls = () => sim.ledger().length
  for (const [what, body] of references) {
    const before = calls()
    const foreign = await create(others, body)
    const unknown = await create(
      own,
      JSON.parse(JSON.stringify(body).replaceAll(made.id, 'resp_x').replaceAll(item, 'msg_x')),
    )
    assert.deepEqual([foreign.status, unknown.status], [404, 404], what)
    assert.equal(foreign.text, unknown.text)
    assert.equal(calls(), before)
    assert.equal((await create(own, body)).status, 200, what)
  }
  const before = calls()
  assert.equal((await create(own, { conversation: 'conv_1' })).status, 404)
  assert.equal((await create(own, { conversation: { id: 'conv_1' } })).status, 404)
  assert.equal((await create(own, { previous_response_id: 7 })).status, 400)
  assert.equal((await create(own, { background: true })).status, 400)
  const many = Array.from({ length: 1_001 }, () => ({ type: 'item_reference', id: item }))
  assert.equal((await create(own, { input: many })).status, 400)
  assert.equal((await create(own, { previous_response_id: 'resp\0' })).status, 404)
  assert.equal((await create(own, { previous_response_id: made.id, Previous_Response_Id: 'x' })).status, 400)
  assert.equal(calls(), before)
})

test('what the provider is not to keep belongs to nobody', async (t) => {
  const { own, get, create } = await start(t)
  const { id } = JSON.parse((await create(own, { store: false })).text) as Made
  assert.equal((await get(`/v1/responses/${id}`, own)).status, 404)
})

test('a conversation belongs to the first key that uses it, and only keys that pass through can bring one', async (t) => {
  const { gateway, own, others, create } = await start(t)
  // The simulated provider knows no conversations; that the request has reached it is what counts here.
  assert.equal((await create(others, { conversation: 'conv_1' })).status, 200)
  gateway.governance.stored.made(identity(gateway.events().at(-1)), ['conv_1'])
  assert.equal((await create(others, { conversation: 'conv_1' })).status, 200)
  gateway.key({ passthrough: true })
  assert.equal((await create(gateway.currentKey(), { conversation: 'conv_1' })).status, 404)
  assert.equal((await create(own, { conversation: 'conv_1' })).status, 404)
})

function identity<T>(event: T | undefined): T {
  assert.ok(event)
  return event
}

test('what is older than memory is looked up in the books; where they are away nothing is guessed', async (t) => {
  const books = new Map<string, StoredObject>()
  let away = false
  const find = async (id: string) => {
    if (away) throw new Error('no connection')
    return books.get(id) ?? null
  }
  const { sim, gateway, own, get, create } = await start(t, { find })
  const made = JSON.parse((await create(own)).text) as Made
  const { virtualKeyId } = identity(gateway.events().at(-1))
  assert.ok(virtualKeyId)
  // The same response under the name of an earlier process.
  books.set('resp_old', { virtualKeyId, provider: 'sim', providerKeyId: null })
  books.set('resp_theirs', { virtualKeyId: newId(), provider: 'sim', providerKeyId: null })
  assert.equal((await get('/v1/responses/resp_old', own)).headers.get('x-bursar-error-source'), 'provider')
  assert.equal((await get('/v1/responses/resp_theirs', own)).headers.get('x-bursar-error-source'), 'gateway')
  away = true
  const unknown = await get('/v1/responses/resp_new', own)
  assert.deepEqual([unknown.status, unknown.headers.has('retry-after')], [503, true])
  assert.equal((await get(`/v1/responses/${made.id}`, own)).status, 200)
  assert.equal(sim.ledger().filter(({ path }) => path.includes('resp_theirs')).length, 0)
})

test('what lies at one provider is not looked for at another, nor in another account', async (t) => {
  const { gateway, own, create } = await start(t)
  const second = await startSim({ anyModel: true })
  t.after(() => second.close())
  const made = JSON.parse((await create(own, { model: 'sim/sim-small' })).text) as Made
  const keys = ['a', 'b'].map((name) => ({
    id: newId(),
    name,
    value: `credential-${name}`,
    keyStart: 'cred',
    weight: 1,
  }))
  gateway.provider({ name: 'second', kind: 'sim', baseUrl: second.url, keys })
  const elsewhere = await create(own, { model: 'second/sim-small', previous_response_id: made.id })
  assert.equal(elsewhere.status, 400)
  // Of two accounts the one that has made it is asked, again and again.
  await served(second, () => create(own, { model: 'second/sim-small' }))
  const there = JSON.parse((await create(own, { model: 'second/sim-small' })).text) as Made
  const account = gateway.events().at(-1)?.providerKeyId
  for (let round = 0; round < 8; round += 1) {
    assert.equal((await create(own, { model: 'second/sim-small', previous_response_id: there.id })).status, 200)
    assert.equal(gateway.events().at(-1)?.providerKeyId, account)
  }
})

async function served(sim: Sim, call: () => Promise<unknown>): Promise<void> {
  const before = sim.ledger().length
  await call()
  assert.equal(sim.ledger().length, before + 1)
}

test('reading what is stored counts as a request, and a key over its limit is refused', async (t) => {
  const { gateway, get, create } = await start(t)
  const own = gateway.key()
  const { id } = JSON.parse((await create(own)).text) as Made
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 1n)
  assert.equal((await get(`/v1/responses/${id}`, own)).status, 200)
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 2n)
  assert.equal(gateway.events().at(-1)?.costNanoUsd, '0')
})
