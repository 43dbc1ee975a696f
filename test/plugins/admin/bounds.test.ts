/** Management keys bound to a customer: what lies below it, and nothing else. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type Answer, emptiedDatabase, makeAdmin } from '../../helpers/control.ts'

const open = emptiedDatabase()
const requests = { metric: 'requests', max: 5, window: '1m' }

/** Two customers with a team, a key, a user and limits each, and an admin of the first. */
async function twoCustomers(t: TestContext) {
  const admin = await makeAdmin(t, await open(t))
  const make = async (name: string) => {
    const customer = await admin.create('/customers', { name, limits: [requests] })
    const team = await admin.create('/teams', { name: `${name} team`, customer_id: customer.id, limits: [requests] })
    const user = await admin.create('/users', {
      name: `${name} user`,
      virtual_key: { team_id: team.id, limits: [requests] },
    })
    return { customer, team, user, key: user.virtual_key }
  }
  const [own, other] = [await make('own'), await make('other')]
  const global = await admin.create('/limits', { ...requests, scope: { kind: 'global' } })
  const { key } = await admin.create('/management-keys', { name: 'a', role: 'admin', customer_id: own.customer.id })
  const call = (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Answer> =>
    admin.call(method, path, body, { authorization: `Bearer ${key}` })
  return { admin, own, other, global, call }
}

describe('management keys bound to a customer', () => {
  test('F23 lists show what lies below it, reads of anything else are 404 or 403', async (t) => {
    const { own, other, global, call } = await twoCustomers(t)
    const idsOf = async (path: string) => (await call('GET', path)).body.data.map(({ id }: { id: string }) => id)
    assert.deepEqual(await idsOf('/teams'), [own.team.id])
    assert.deepEqual(await idsOf('/users'), [own.user.id])
    assert.deepEqual(await idsOf('/virtual-keys'), [own.key.id])
    assert.deepEqual((await idsOf('/limits')).toSorted(), [own.team.limits[0].id, own.key.limits[0].id].toSorted())
    assert.deepEqual(await idsOf(`/teams?customer_id=${other.customer.id}`), [])
    assert.equal((await call('GET', `/teams/${own.team.id}`)).status, 200)
    for (const path of [
      `/teams/${other.team.id}`,
      `/users/${other.user.id}`,
      `/virtual-keys/${other.key.id}`,
      `/limits/${other.team.limits[0].id}`,
      `/limits/${own.customer.limits[0].id}`,
      `/limits/${global.id}`,
    ]) {
      assert.equal((await call('GET', path)).status, 404, path)
    }
    for (const path of [
      '/customers',
      `/customers/${own.customer.id}`,
      '/providers',
      '/prices',
      '/management-keys',
      '/events',
      '/usage',
      '/audit',
      '/status',
    ]) {
      assert.equal((await call('GET', path)).status, 403, path)
    }
  })

  test('it changes what lies below it', async (t) => {
    const { own, call } = await twoCustomers(t)
    const team = await call('POST', '/teams', { name: 'new', customer_id: own.customer.id })
    assert.equal(team.status, 201, team.text)
    const user = await call('POST', '/users', { name: 'eve', virtual_key: { team_id: team.body.id } })
    assert.equal(user.status, 201, user.text)
    const limit = await call('POST', '/limits', { ...requests, scope: { kind: 'user', id: user.body.id } })
    assert.equal(limit.status, 201, limit.text)
    for (const [method, path, body] of [
      ['PATCH', `/teams/${own.team.id}`, { name: 'renamed' }],
      ['POST', `/users/${own.user.id}/disable`, { reason: 'x' }],
      ['POST', `/virtual-keys/${own.key.id}/rotate`, {}],
      ['POST', `/limits/${own.key.limits[0].id}/reset`],
      ['PUT', `/limits/${own.key.limits[0].id}/override`, { max: 9 }],
      ['DELETE', `/virtual-keys/${user.body.virtual_key.id}`],
    ] as const) {
      const answer = await call(method, path, body)
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`)
    }
  })

  test('F24 it can neither make, nor move, nor take over anything outside', async (t) => {
    const { admin, own, other, call } = await twoCustomers(t)
    const before = admin.store.version
    for (const [method, path, body, status] of [
      ['POST', '/teams', { name: 'x' }, 403],
      ['POST', '/teams', { name: 'x', customer_id: other.customer.id }, 403],
      ['PATCH', `/teams/${own.team.id}`, { customer_id: other.customer.id }, 403],
      ['PATCH', `/teams/${other.team.id}`, { customer_id: own.customer.id }, 404],
      ['POST', '/users', { name: 'x' }, 403],
      ['PUT', `/users/${other.user.id}`, { name: 'x' }, 404],
      ['POST', '/users/bulk', { users: [{ id: other.user.id, note: 'x' }] }, 403],
      ['POST', `/users/${other.user.id}/reset-usage`, {}, 404],
      ['POST', '/virtual-keys', { name: 'x' }, 403],
      ['POST', '/virtual-keys', { name: 'x', team_id: own.team.id, user_id: other.user.id }, 403],
      ['POST', '/virtual-keys', { name: 'x', customer_id: own.customer.id, team_id: other.team.id }, 403],
      ['PATCH', `/virtual-keys/${own.key.id}`, { customer_id: other.customer.id }, 403],
      ['DELETE', `/virtual-keys/${other.key.id}`, undefined, 404],
      ['POST', '/limits', { ...requests, max: 1, window: '1h', scope: { kind: 'global' } }, 403],
      // Not 409: whether there is such a limit is none of its business.
      ['POST', '/limits', { ...requests, scope: { kind: 'global' } }, 403],
      ['POST', '/limits', { ...requests, scope: { kind: 'customer', id: own.customer.id } }, 403],
      ['POST', '/limits', { ...requests, scope: { kind: 'team', id: other.team.id } }, 403],
      ['POST', '/limits', { ...requests, window: '1h', scope: { kind: 'customer', id: own.customer.id } }, 403],
      ['POST', '/limits', { ...requests, window: '1h', scope: { kind: 'team', id: other.team.id } }, 403],
      ['POST', `/limits/${own.customer.limits[0].id}/reset`, {}, 404],
      ['POST', '/customers', { name: 'x' }, 403],
      ['POST', '/providers', { name: 'x', kind: 'openai' }, 403],
      ['POST', '/management-keys', { name: 'x', role: 'admin' }, 403],
      ['POST', '/reload', {}, 403],
    ] as const) {
      const answer = await call(method, path, body)
      assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`)
    }
    assert.equal(admin.store.version, before)
    assert.equal((await admin.call('GET', '/users')).body.data.length, 2)
  })
})
