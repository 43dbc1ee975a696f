/** Providers and prices: credentials go in and never come out, and what names a provider keeps it there. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sql } from 'kysely'
import { emptiedDatabase, makeAdmin } from '../../helpers/control.ts'

const open = emptiedDatabase()
const CREDENTIAL = 'sk-very-secret-credential'

describe('providers', () => {
  test('F23 credentials and header values are encrypted at rest, in memory for use, and in no answer', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const body = {
      name: 'openai',
      kind: 'openai',
      keys: [{ name: 'main', value: CREDENTIAL }],
      headers: { 'x-team': CREDENTIAL },
    }
    const created = await admin.call('POST', '/providers', body)
    assert.deepEqual(created.body.headers, { 'x-team': null })
    assert.equal(created.body.base_url, 'https://api.openai.com/v1')
    const live = admin.store.providerByName('OPENAI')
    assert.deepEqual([live?.keys[0]?.value, live?.headers['x-team']], [CREDENTIAL, CREDENTIAL])
    for (const path of ['/providers', `/providers/${created.body.id}`, '/audit']) {
      assert.ok(!(await admin.call('GET', path)).text.includes(CREDENTIAL), path)
    }
    assert.ok(!created.text.includes(CREDENTIAL))
    const { rows } = await sql`select providers, provider_keys from providers, provider_keys`.execute(database.db)
    assert.ok(!JSON.stringify(rows).includes(CREDENTIAL))
  })

  test('keys that stay may leave out their value; they keep their id', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id, keys } = await admin.create('/providers', {
      name: 'p',
      kind: 'openai',
      keys: [{ name: 'a', value: CREDENTIAL }],
    })
    const patched = await admin.call('PATCH', `/providers/${id}`, {
      keys: [
        { name: 'a', weight: 3 },
        { name: 'b', value: 'sk-b' },
      ],
    })
    assert.equal(patched.status, 200, patched.text)
    assert.equal(patched.body.keys[0].id, keys[0].id)
    assert.deepEqual(
      admin.store.providers.get(id)?.keys.map(({ name, value, weight }) => [name, value, weight]),
      [
        ['a', CREDENTIAL, 3],
        ['b', 'sk-b', 1],
      ],
    )
    const missing = await admin.call('PATCH', `/providers/${id}`, { keys: [{ name: 'c' }] })
    assert.equal(missing.body.error.param, 'keys[0].value')
    const twice = await admin.call('PATCH', `/providers/${id}`, { keys: [{ name: 'a' }, { name: 'a' }] })
    assert.equal(twice.body.error.param, 'keys[1].name')
    const cleared = await admin.call('PATCH', `/providers/${id}`, { keys: null })
    assert.deepEqual([cleared.status, cleared.body.keys], [200, []], cleared.text)
  })

  test('changing base_url demands the credentials again, so that nobody can send them elsewhere', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/providers', {
      name: 'p',
      kind: 'openai',
      keys: [{ name: 'a', value: CREDENTIAL }],
      headers: { 'x-a': 'b' },
    })
    const elsewhere = { base_url: 'https://elsewhere.example' }
    for (const [patch, paths] of [
      [elsewhere, ['headers', 'keys']],
      [{ ...elsewhere, headers: {}, keys: [{ name: 'a' }] }, ['keys[0].value']],
      [{ kind: 'anthropic' }, ['headers', 'keys']],
    ] as const) {
      const answer = await admin.call('PATCH', `/providers/${id}`, patch)
      assert.equal(answer.status, 400, answer.text)
      assert.deepEqual(
        answer.body.error.details.map(({ path }: { path: string }) => path),
        paths,
      )
    }
    const same = await admin.call('PATCH', `/providers/${id}`, { base_url: 'https://api.openai.com/v1/' })
    assert.equal(same.status, 200, same.text)
    const moved = await admin.call('PATCH', `/providers/${id}`, {
      ...elsewhere,
      headers: null,
      keys: [{ name: 'a', value: 'new' }],
    })
    assert.equal(moved.body.base_url, 'https://elsewhere.example')
  })

  test('B113 a provider that limits or keys name can be neither deleted nor renamed', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const provider = await admin.create('/providers', {
      name: 'p',
      kind: 'openai',
      keys: [{ name: 'a', value: CREDENTIAL }],
    })
    const access = [{ provider: 'P', key_ids: [provider.keys[0].id] }]
    const key = await admin.create('/virtual-keys', { name: 'k', access })
    for (const [method, body] of [
      ['DELETE', undefined],
      ['PATCH', { name: 'q' }],
      ['PATCH', { keys: [] }],
    ] as const) {
      const answer = await admin.call(method, `/providers/${provider.id}`, body)
      assert.equal(answer.status, 409, answer.text)
    }
    await admin.call('DELETE', `/virtual-keys/${key.id}`)
    const limit = await admin.create('/limits', {
      scope: { kind: 'global' },
      metric: 'requests',
      max: 1,
      window: '1m',
      provider: 'P',
    })
    assert.equal(limit.provider, 'p')
    assert.equal((await admin.call('DELETE', `/providers/${provider.id}`)).status, 409)
    await admin.call('DELETE', `/limits/${limit.id}`)
    assert.equal((await admin.call('DELETE', `/providers/${provider.id}`)).status, 204)
    assert.equal(admin.store.providerByName('p'), null)
  })

  test('names are the same in any case, and paths of the gateway are no names', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    await admin.create('/providers', { name: 'OpenAI', kind: 'openai' })
    assert.equal((await admin.call('POST', '/providers', { name: 'openai', kind: 'openai' })).status, 409)
    for (const name of ['v1', 'V1beta', 'livez', 'readyz']) {
      assert.equal((await admin.call('POST', '/providers', { name, kind: 'openai' })).body.error.param, 'name')
    }
    for (const kind of ['azure', 'openai_compatible', 'sim']) {
      const answer = await admin.call('POST', '/providers', { name: 'x', kind })
      assert.deepEqual([answer.status, answer.body.error.param], [400, 'base_url'], answer.text)
    }
  })
})

describe('prices', () => {
  test('a price has at least one rate, exact to nine decimals', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    assert.equal((await admin.call('POST', '/prices', { provider: 'p', model: 'm' })).status, 400)
    const { id } = await admin.create('/prices', { provider: 'p', model: 'm', input_usd_per_million: '0.037500001' })
    assert.equal(admin.store.prices.get(id)?.inputPerMillion, 37_500_001n)
    assert.equal((await admin.call('PATCH', `/prices/${id}`, { input_usd_per_million: null })).status, 400)
    const patched = await admin.call('PATCH', `/prices/${id}`, { input_usd_per_million: null, usd_per_request: '1' })
    assert.deepEqual([patched.body.input_usd_per_million, patched.body.usd_per_request], [null, '1.00'])
  })

  test('two prices of one model cannot begin at the same moment', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const price = { provider: 'p', model: 'm', input_usd_per_million: '1', effective_from: '2026-12-01T00:00:00Z' }
    await admin.create('/prices', price)
    assert.equal((await admin.call('POST', '/prices', price)).status, 409)
    await admin.create('/prices', { ...price, effective_from: '2027-01-01T00:00:00Z' })
    assert.equal((await admin.call('GET', '/prices?provider=p')).body.data.length, 2)
    assert.equal((await admin.call('GET', '/prices?provider=q')).body.data.length, 0)
  })
})
