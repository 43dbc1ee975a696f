/** Who may use the admin API, and for what. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newId } from '../../../src/units/id.ts'
import { emptiedDatabase, makeAdmin, ROOT_KEY } from '../../helpers/control.ts'

const open = emptiedDatabase()
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

describe('authentication', () => {
  test('without a valid key every route but the documentation is 401', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    for (const headers of [
      {},
      { authorization: '' },
      { authorization: ROOT_KEY },
      bearer('x'),
      bearer(`${ROOT_KEY}x`),
    ]) {
      const { statusCode, payload } = await admin.app.inject({ url: '/api/customers', headers })
      assert.equal(statusCode, 401)
      assert.equal(JSON.parse(payload).error.code, 'unauthorized')
    }
    for (const url of ['/api/openapi.json', '/docs/', '/docs/js/scalar.js']) {
      assert.equal((await admin.app.inject({ url })).statusCode, 200, url)
    }
    const lower = { authorization: `bearer ${ROOT_KEY}` }
    assert.equal((await admin.app.inject({ url: '/api/customers', headers: lower })).statusCode, 200)
  })

  test('a viewer reads and asks, and changes nothing', async (t) => {
    const admin = await makeAdmin(t, await open(t), {
      explain: () => ({
        verdict: 'allow',
        code: null,
        provider: null,
        model: null,
        attempts: [],
        estimate: null,
        limits: [],
      }),
    })
    const { key, id } = await admin.create('/management-keys', { name: 'eyes', role: 'viewer' })
    const customer = await admin.create('/customers', { name: 'acme' })
    const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) =>
      admin.call(method, path, body, bearer(key))
    assert.equal((await call('GET', `/customers/${customer.id}`)).status, 200)
    assert.equal((await call('GET', '/audit')).status, 200)
    const asked = { virtual_key_id: customer.id, path: '/v1/chat/completions', body: {} }
    assert.equal((await call('POST', '/explain', asked)).status, 200)
    for (const [method, path, body] of [
      ['POST', '/customers', { name: 'x' }],
      ['PATCH', `/customers/${customer.id}`, { name: 'x' }],
      ['DELETE', `/customers/${customer.id}`],
      ['POST', '/reload'],
      ['POST', '/management-keys', { name: 'more', role: 'admin' }],
    ] as const) {
      const answer = await call(method, path, body)
      assert.deepEqual([answer.status, answer.body.error.code], [403, 'forbidden'], `${method} ${path}`)
    }
    await admin.call('PATCH', `/management-keys/${id}`, { role: 'admin' })
    assert.equal((await call('POST', '/customers', { name: 'x' })).status, 201)
  })

  test('F16 a management key works from its creation to its deletion or its expiry, and not a moment longer', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const lasting = await admin.create('/management-keys', { name: 'a', role: 'admin' })
    const passing = await admin.create('/management-keys', {
      name: 'b',
      role: 'admin',
      expires_at: '2026-11-21T13:00:00Z',
    })
    const status = async (key: string) => (await admin.call('GET', '/customers', undefined, bearer(key))).status
    assert.deepEqual([await status(lasting.key), await status(passing.key)], [200, 200])
    admin.clock.advance(3_600_000)
    assert.deepEqual([await status(lasting.key), await status(passing.key)], [200, 401])
    await admin.call('DELETE', `/management-keys/${lasting.id}`)
    assert.equal(await status(lasting.key), 401)
  })

  test('a key can be bound to a customer, and freed again, with effect on its next call', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id: customerId } = await admin.create('/customers', { name: 'acme' })
    const { id, key } = await admin.create('/management-keys', { name: 'a', role: 'admin' })
    const status = async () => (await admin.call('GET', '/customers', undefined, bearer(key))).status
    const bind = (to: string | null) => admin.call('PATCH', `/management-keys/${id}`, { customer_id: to })
    assert.equal((await bind(customerId)).body.customer_id, customerId)
    assert.equal(await status(), 403)
    assert.equal((await admin.call('DELETE', `/customers/${customerId}`)).status, 409)
    assert.equal((await bind(newId())).body.error.details[0].path, 'customer_id')
    assert.equal((await bind(null)).body.customer_id, null)
    assert.equal(await status(), 200)
  })

  test('keys are loaded again after a restart, and only their hashes are stored', async (t) => {
    const database = await open(t)
    const first = await makeAdmin(t, database)
    const { key } = await first.create('/management-keys', { name: 'a', role: 'admin' })
    const second = await makeAdmin(t, database)
    assert.equal((await second.call('GET', '/customers', undefined, bearer(key))).status, 200)
    const rows = await database.db.selectFrom('management_keys').selectAll().execute()
    assert.ok(!JSON.stringify(rows).includes(key))
  })

  test('every change is in the audit log, with who, from where, before and after', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const manager = await admin.create('/management-keys', { name: 'ci', role: 'admin' })
    const by = bearer(manager.key)
    const { body: team } = await admin.call('POST', '/teams', { name: 'research' }, by)
    await admin.call('PATCH', `/teams/${team.id}`, { name: 'science' }, by)
    await admin.call('PATCH', `/teams/${team.id}`, { name: 'science' }, by)
    await admin.call('DELETE', `/teams/${team.id}`, undefined, by)
    const { data } = (await admin.call('GET', `/audit?entity_id=${team.id}`)).body
    assert.deepEqual(
      data.map((entry: Record<string, Record<string, unknown> | null>) => [
        entry.action,
        entry.before?.name,
        entry.after?.name,
      ]),
      [
        ['team.delete', 'science', undefined],
        ['team.update', 'research', 'science'],
        ['team.create', undefined, 'research'],
      ],
    )
    assert.deepEqual(data[0].actor, { id: manager.id, name: 'ci' })
    assert.equal(data[0].address, '127.0.0.1')
    assert.equal((await admin.call('GET', `/audit?actor_id=${manager.id}`)).body.data.length, 3)
    assert.equal((await admin.call('GET', '/audit?entity_kind=management_key')).body.data.length, 1)
    assert.equal((await admin.call('GET', '/audit?actor=ci&action=team.update')).body.data.length, 1)
    assert.equal((await admin.call('GET', '/audit?actor=root')).body.data.length, 1)
    assert.equal((await admin.call('GET', '/audit?entity_kind=teams')).status, 400)
  })
})
