/** Virtual keys: made, imported, rotated, and never shown twice. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hashKey, hasValidChecksum } from '../../../src/auth/virtual-key.ts'
import { newId } from '../../../src/units/id.ts'
import { emptiedDatabase, makeAdmin, NOW } from '../../helpers/control.ts'

const open = emptiedDatabase()

describe('virtual keys', () => {
  test('B100 what is made over the API is in memory at once, follows its changes, and goes with its deletion', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const key = await admin.create('/virtual-keys', {
      name: 'k',
      limits: [{ metric: 'cost', max: '10', window: '1d' }],
    })
    assert.ok(hasValidChecksum(key.key))
    assert.equal(admin.store.principalByHash(hashKey(key.key), NOW)?.key?.id, key.id)
    const [limit] = key.limits
    assert.equal(admin.ledger.read(limit.id, NOW)?.max, 10_000_000_000n)
    await admin.call('PATCH', `/limits/${limit.id}`, { max: '20' })
    assert.equal(admin.ledger.read(limit.id, NOW)?.max, 20_000_000_000n)
    await admin.call('DELETE', `/virtual-keys/${key.id}`)
    assert.equal(admin.store.principalByHash(hashKey(key.key), NOW), null)
    assert.equal(admin.ledger.read(limit.id, NOW), null)
  })

  test('F23 B116 a key is shown once: nothing answers with it or its hash again', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const { key, id, key_start: start } = await admin.create('/virtual-keys', { name: 'k' })
    assert.ok(key.startsWith(start) && start.length < 16)
    const again = await admin.call('POST', '/virtual-keys', { name: 'other', value: key })
    assert.equal(again.status, 409)
    for (const path of [`/virtual-keys/${id}`, '/virtual-keys', '/audit']) {
      const { text } = await admin.call('GET', path)
      assert.ok(!text.includes(key) && !text.includes(hashKey(key)), path)
    }
    assert.ok(!again.text.includes(key))
    const row = await database.db.selectFrom('virtual_keys').selectAll().executeTakeFirstOrThrow()
    assert.ok(!JSON.stringify(row).includes(key))
  })

  test('U17 an imported key keeps its value; one that is too short or taken is refused', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const value = 'an-old-token-of-ours-1'
    const imported = await admin.create('/virtual-keys', { name: 'k', value })
    assert.equal(imported.key, value)
    assert.equal(admin.store.principalByHash(hashKey(value), NOW)?.key?.id, imported.id)
    const taken = await admin.call('POST', '/virtual-keys', { name: 'l', value })
    assert.deepEqual([taken.status, taken.body.error.param], [409, 'value'])
    for (const short of ['x'.repeat(19), 'with a blank in it, long', '']) {
      const answer = await admin.call('POST', '/virtual-keys', { name: 'm', value: short })
      assert.deepEqual([answer.status, answer.body.error.param], [400, 'value'], short)
    }
  })

  test('B111 rotation gives a new key; the old one works until the grace is over, usage and settings stay', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const made = await admin.create('/virtual-keys', {
      name: 'k',
      limits: [{ metric: 'requests', max: 9, window: '1h' }],
    })
    const [limit] = made.limits
    admin.ledger.correct(limit.id, 4n, NOW)
    const rotated = await admin.call('POST', `/virtual-keys/${made.id}/rotate`, { grace: '1h' })
    assert.equal(rotated.status, 200, rotated.text)
    assert.notEqual(rotated.body.key, made.key)
    assert.equal(rotated.body.rotated_at, '2026-11-21T12:00:00Z')
    assert.equal(rotated.body.limits[0].usage.posted, 4)
    const who = (key: string, at: number) => admin.store.principalByHash(hashKey(key), at)?.key?.id
    assert.equal(who(rotated.body.key, NOW), made.id)
    assert.equal(who(made.key, NOW + 3_599_999), made.id)
    assert.equal(who(made.key, NOW + 3_600_000), undefined)

    const stolen = await admin.call('POST', '/virtual-keys', { name: 'thief', value: made.key })
    assert.equal(stolen.status, 409)
    admin.clock.advance(3_600_000)
    await admin.create('/virtual-keys', { name: 'heir', value: made.key })
    assert.notEqual(who(made.key, admin.clock.now()), made.id)
    assert.equal(who(rotated.body.key, admin.clock.now()), made.id)

    const atOnce = await admin.call('POST', `/virtual-keys/${made.id}/rotate`)
    assert.equal(who(rotated.body.key, admin.clock.now()), undefined)
    assert.equal(who(atOnce.body.key, admin.clock.now()), made.id)
    const long = await admin.call('POST', `/virtual-keys/${made.id}/rotate`, { grace: '1M' })
    assert.equal(who(atOnce.body.key, Date.parse('2026-12-21T12:59:59Z')), made.id)
    assert.equal(who(atOnce.body.key, Date.parse('2026-12-21T13:00:00Z')), undefined)
    assert.equal(who(long.body.key, Date.parse('2026-12-21T13:00:00Z')), made.id)
    for (const grace of ['0s', '1month', 'soon', 60]) {
      assert.equal((await admin.call('POST', `/virtual-keys/${made.id}/rotate`, { grace })).status, 400)
    }
    assert.equal((await admin.call('POST', `/virtual-keys/${newId()}/rotate`, {})).status, 404)
  })

  test('the status says disabled before expired', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/virtual-keys', { name: 'k', expires_at: '2026-11-21T13:00:00Z' })
    const status = async () => (await admin.call('GET', `/virtual-keys/${id}`)).body.status
    assert.equal(await status(), 'active')
    admin.clock.advance(3_600_000)
    assert.equal(await status(), 'expired')
    await admin.call('PATCH', `/virtual-keys/${id}`, { active: false })
    assert.equal(await status(), 'disabled')
    await admin.call('PATCH', `/virtual-keys/${id}`, { active: true, expires_at: null })
    assert.equal(await status(), 'active')
  })

  test('B107 B108 B109 owners and providers must exist, times lie ahead; a team and a customer together are allowed', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const customer = await admin.create('/customers', { name: 'acme' })
    const team = await admin.create('/teams', { name: 'research' })
    await admin.create('/virtual-keys', { name: 'both', team_id: team.id, customer_id: customer.id })
    for (const [field, value, path = field] of [
      ['user_id', newId()],
      ['team_id', customer.id],
      ['customer_id', newId()],
      ['expires_at', '2026-11-21T12:00:00Z'],
      ['allowed_ips', ['10.0.0.0/8', '10.0.0.0/33'], 'allowed_ips[1]'],
      ['access', [{ provider: 'nobody' }], 'access[0].provider'],
    ] as const) {
      const answer = await admin.call('POST', '/virtual-keys', { name: 'x', [field]: value })
      assert.deepEqual([answer.status, answer.body.error.param], [400, path], answer.text)
      const patched = await admin.call(
        'PATCH',
        `/virtual-keys/${(await admin.call('GET', '/virtual-keys')).body.data[0].id}`,
        {
          [field]: value,
        },
      )
      assert.deepEqual([patched.status, patched.body.error.param], [400, path], patched.text)
    }
  })

  test('B16 access lists: * stands alone, nothing twice, keys are the provider’s own', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const keys = [{ name: 'main', value: 'sk-0123456789' }]
    const provider = await admin.create('/providers', { name: 'OpenAI', kind: 'openai', keys })
    const other = await admin.create('/providers', { name: 'other', kind: 'openai', keys })
    for (const [rule, path] of [
      [{ models: ['*', 'gpt-4o'] }, 'access[0].models'],
      [{ models: ['gpt-4o', 'GPT-4o'] }, 'access[0].models[1]'],
      [{ blocked_models: ['a', 'a'] }, 'access[0].blocked_models[1]'],
      [{ key_ids: [other.keys[0].id] }, 'access[0].key_ids[0]'],
      [{ weight: -1 }, 'access[0].weight'],
    ] as const) {
      const answer = await admin.call('POST', '/virtual-keys', { name: 'x', access: [{ provider: 'openai', ...rule }] })
      assert.deepEqual([answer.status, answer.body.error.param], [400, path], answer.text)
    }
    const access = [{ provider: 'openai', models: ['*'], key_ids: [provider.keys[0].id], weight: null }]
    const { access: stored } = await admin.create('/virtual-keys', { name: 'k', access })
    assert.deepEqual(stored, [
      { provider: 'OpenAI', models: ['*'], blocked_models: [], weight: null, key_ids: [provider.keys[0].id] },
    ])
  })
})
