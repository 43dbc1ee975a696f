/** Users: kinds, personal keys, upserts, disabling, lifetime numbers. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hashKey } from '../../../src/auth/virtual-key.ts'
import { settingsOf } from '../../../src/schemas/settings.ts'
import { newId } from '../../../src/units/id.ts'
import { emptiedDatabase, makeAdmin, NOW } from '../../helpers/control.ts'

const open = emptiedDatabase()
const LATER = '2027-01-01T00:00:00Z'

describe('users', () => {
  for (const kind of ['normal', 'special', 'temporary'] as const) {
    test(`U01 a ${kind} user and a personal key come in one call`, async (t) => {
      const admin = await makeAdmin(t, await open(t))
      const expiry = kind === 'temporary' ? { expires_at: LATER } : {}
      const limits = [{ metric: 'requests', max: 5, window: '1m' }]
      const user = await admin.create('/users', { name: 'ada', kind, ...expiry, virtual_key: { limits }, limits })
      assert.equal(user.kind, kind)
      assert.match(user.key, /^sk-bursar-[0-9A-Za-z]{49}$/)
      assert.equal(user.virtual_key.user_id, user.id)
      assert.equal(user.virtual_key.name, 'ada')
      assert.equal(user.virtual_key.limits.length, 1)
      assert.equal(user.limits.length, 1)
      const principal = admin.store.principalByHash(hashKey(user.key), NOW)
      assert.equal(principal?.user?.id, user.id)
      assert.equal(admin.store.limitsOfScope({ kind: 'user', id: user.id }).length, 1)
    })
  }

  test('U01 limits that are not given are those of the kind', async (t) => {
    const settings = settingsOf({
      user_defaults: {
        normal: { limits: [{ metric: 'tokens', max: 100, window: 'daily' }] },
        temporary: { limits: [] },
      },
    })
    const admin = await makeAdmin(t, await open(t), { settings })
    const defaulted = await admin.create('/users', { name: 'a' })
    assert.deepEqual(
      defaulted.limits.map(({ metric, max, window }: Record<string, unknown>) => [metric, max, window]),
      [['tokens', 100, 'daily']],
    )
    assert.deepEqual((await admin.create('/users', { name: 'b', limits: [] })).limits, [])
    assert.deepEqual((await admin.create('/users', { name: 'c', kind: 'temporary', expires_at: LATER })).limits, [])
  })

  test('U01 user, limits and key are made together or not at all', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    await admin.create('/virtual-keys', { name: 'taken' })
    const good = { metric: 'requests', max: 5, window: '1m' }
    for (const [body, status, path] of [
      [{ limits: [good, { ...good, max: '5' }] }, 400, 'limits[1].max'],
      [{ limits: [good, good] }, 409, 'limits[1]'],
      [{ virtual_key: { name: 'taken' } }, 409, 'virtual_key.name'],
      [{ virtual_key: { team_id: newId() } }, 400, 'virtual_key.team_id'],
      [{ virtual_key: { limits: [{ metric: 'cost', max: '5', window: '1D' }] } }, 400, 'virtual_key.limits[0].window'],
    ] as const) {
      const answer = await admin.call('POST', '/users', { name: 'ada', ...body })
      assert.equal(answer.status, status, answer.text)
      assert.equal(answer.body.error.details[0].path, path)
    }
    assert.deepEqual((await admin.call('GET', '/users')).body.data, [])
    assert.deepEqual((await admin.call('GET', '/limits')).body.data, [])
    assert.equal(admin.store.users.size + admin.store.limits.size, 0)
    assert.equal(admin.store.virtualKeys.size, 1)
  })

  test('U02 temporary users need expires_at, others must not have one', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    for (const body of [
      { kind: 'temporary' },
      { kind: 'temporary', expires_at: null },
      { kind: 'temporary', expires_at: '2026-11-21T11:59:59Z' },
      { kind: 'normal', expires_at: LATER },
      { expires_at: LATER },
      { kind: 'special', expires_at: LATER },
    ]) {
      const answer = await admin.call('POST', '/users', { name: 'x', ...body })
      assert.equal(answer.status, 400, answer.text)
      assert.equal(answer.body.error.param, 'expires_at')
    }
    const { id } = await admin.create('/users', { name: 'tim', kind: 'temporary', expires_at: LATER })
    assert.equal((await admin.call('PATCH', `/users/${id}`, { kind: 'normal' })).status, 400)
    assert.equal((await admin.call('PATCH', `/users/${id}`, { expires_at: null })).status, 400)
    const both = await admin.call('PATCH', `/users/${id}`, { kind: 'normal', expires_at: null })
    assert.equal(both.body.kind, 'normal')
  })

  test('U03 B114 what is handed out is a copy: changing it changes nothing', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const metadata = { tags: ['a'] }
    const { id } = await admin.create('/users', { name: 'ada', metadata })
    metadata.tags.push('b')
    assert.deepEqual(admin.store.users.get(id)?.metadata, { tags: ['a'] })
    assert.throws(() => Object.assign(admin.store.users.get(id) ?? {}, { name: 'eve' }), TypeError)
  })

  test('U04 absent keeps, null clears, a value overwrites', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const full = { email: 'a@b.c', max_ips: 3, note: 'hi', metadata: { a: 1 } }
    const { id } = await admin.create('/users', { name: 'ada', ...full })
    for (const method of ['PATCH', 'PUT'] as const) {
      const kept = await admin.call(method, `/users/${id}`, { note: 'ho' })
      assert.equal(kept.status, 200, kept.text)
      const { email, max_ips, note, metadata } = kept.body
      assert.deepEqual({ email, max_ips, note, metadata }, { ...full, note: 'ho' })
      const cleared = await admin.call(method, `/users/${id}`, {
        email: null,
        max_ips: null,
        note: null,
        metadata: null,
      })
      assert.deepEqual([cleared.body.email, cleared.body.max_ips, cleared.body.note], [null, null, null])
      assert.deepEqual(cleared.body.metadata, {})
      await admin.call('PATCH', `/users/${id}`, full)
    }
  })

  test('U04 PUT creates under an unknown id, needs a name then, and the id cannot change', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const id = newId()
    assert.equal((await admin.call('PUT', `/users/${id}`, { note: 'x' })).body.error.param, 'name')
    const created = await admin.call('PUT', `/users/${id}`, {
      id,
      name: 'ada',
      virtual_key: { value: 'my-old-token-0123456789' },
    })
    assert.equal(created.status, 201, created.text)
    assert.deepEqual([created.body.id, created.body.key], [id, 'my-old-token-0123456789'])
    assert.equal((await admin.call('PUT', `/users/${id}`, { note: 'x' })).status, 200)
    assert.equal((await admin.call('PUT', `/users/${id}`, { id: newId(), note: 'x' })).body.error.param, 'id')
    assert.equal((await admin.call('PUT', `/users/${id}`, { limits: [] })).body.error.param, 'limits')
  })

  test('U04 many at once: found by id or name, else made; all or nothing', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const ada = await admin.create('/users', { name: 'ada' })
    const eve = await admin.create('/users', { name: 'eve' })
    const users = [
      { name: 'ada', note: 'by name' },
      { id: eve.id, note: 'by id' },
      { name: 'new', virtual_key: {} },
    ]
    const put = await admin.call('POST', '/users/bulk', { users })
    assert.equal(put.status, 200, put.text)
    assert.deepEqual(
      put.body.data.map(({ id, note, key }: Record<string, unknown>) => [id, note, typeof key]),
      [
        [ada.id, 'by name', 'undefined'],
        [eve.id, 'by id', 'undefined'],
        [put.body.data[2].id, null, 'string'],
      ],
    )
    const bad = await admin.call('POST', '/users/bulk', { users: [{ name: 'x' }, { name: 'y', expires_at: LATER }] })
    assert.equal(bad.body.error.param, 'users[1].expires_at')
    assert.equal((await admin.call('GET', '/users')).body.data.length, 3)
  })

  test('U05 U14 lifetime numbers count requests, and tokens by family', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database, {
      settings: settingsOf({ model_families: { gpt4: ['gpt-4*'], o: ['o1*'] } }),
    })
    const { id } = await admin.create('/users', { name: 'ada' })
    const sums = { cache_read_tokens: 0n, cache_write_tokens: 0n, reasoning_tokens: 0n, cost_nano_usd: 0n }
    for (const [hour, model, requests] of [
      [1, 'gpt-4o', 2n],
      [2, 'gpt-4o-mini', 1n],
      [2, 'o1', 1n],
      [3, 'claude-3', 4n],
    ] as const) {
      const row = { hour: new Date(NOW - hour * 3_600_000), user_id: id, provider: 'p', model, requests, ...sums }
      await database.db
        .insertInto('usage_hourly')
        .values({ ...row, input_tokens: 10n, output_tokens: 5n })
        .execute()
    }
    const { usage } = (await admin.call('GET', `/users/${id}`)).body
    assert.deepEqual(usage, { requests: 8, tokens: { gpt4: 30, o: 15 } })
  })

  test('U08 disabling stores the reason and enabling clears it', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/users', { name: 'ada' })
    const disabled = await admin.call('POST', `/users/${id}/disable`, { reason: 'Contract ended.' })
    assert.equal(disabled.body.disabled_reason, 'Contract ended.')
    assert.equal(disabled.body.disabled_at, '2026-11-21T12:00:00Z')
    assert.equal(admin.store.users.get(id)?.disabledReason, 'Contract ended.')
    assert.equal((await admin.call('GET', '/users?disabled=true')).body.data.length, 1)
    assert.equal((await admin.call('GET', '/users?disabled=false')).body.data.length, 0)
    const enabled = await admin.call('POST', `/users/${id}/enable`)
    assert.deepEqual([enabled.body.disabled_at, enabled.body.disabled_reason], [null, null])
    assert.equal(admin.store.users.get(id)?.disabledAt, null)
    for (const action of ['disable', 'enable', 'reset-usage', 'refresh-quota']) {
      assert.equal((await admin.call('POST', `/users/${newId()}/${action}`)).status, 404)
      assert.equal((await admin.call('POST', `/users/${id}/${action}`, { raeson: 'x' })).status, 400)
    }
  })

  test('F16 what the gateway has disabled and not yet written down: an edit does not undo it, enabling does', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id, virtual_key: key } = await admin.create('/users', { name: 'ada', virtual_key: {} })
    const disabledReason = 'IP address limit exceeded.'
    const disableLive = () => {
      const user = admin.store.users.get(id)
      const virtualKey = admin.store.virtualKeys.get(key.id)
      assert.ok(user && virtualKey)
      admin.store.apply(
        [
          { op: 'put', kind: 'user', entity: { ...user, disabledAt: NOW, disabledReason } },
          { op: 'put', kind: 'virtual_key', entity: { ...virtualKey, active: false } },
        ],
        NOW,
      )
    }
    const live = () => [admin.store.users.get(id)?.disabledReason, admin.store.virtualKeys.get(key.id)?.active]
    disableLive()
    await admin.call('PATCH', `/users/${id}`, { note: 'hello' })
    await admin.call('PATCH', `/virtual-keys/${key.id}`, { passthrough: true })
    disableLive()
    await admin.call('POST', `/virtual-keys/${key.id}/rotate`)
    assert.deepEqual(live(), [disabledReason, false])
    assert.equal((await admin.call('GET', `/users/${id}`)).body.disabled_reason, disabledReason)
    for (const enable of [
      () => admin.call('POST', `/users/${id}/enable`),
      () => admin.call('PATCH', `/users/${id}`, { disabled_at: null }),
    ]) {
      disableLive()
      assert.equal((await enable()).body.disabled_at, null)
      await admin.call('PATCH', `/virtual-keys/${key.id}`, { active: true })
      assert.deepEqual(live(), [null, true])
    }
  })

  test('B113 a user with keys cannot be deleted; without, its limits go with it', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const limits = [{ metric: 'requests', max: 5, window: '1m' }]
    const user = await admin.create('/users', { name: 'ada', virtual_key: {}, limits })
    const refused = await admin.call('DELETE', `/users/${user.id}`)
    assert.equal(refused.status, 409)
    assert.match(refused.body.error.message, /virtual keys/)
    assert.equal(admin.store.users.size, 1)
    await admin.call('DELETE', `/virtual-keys/${user.virtual_key.id}`)
    assert.equal((await admin.call('DELETE', `/users/${user.id}`)).status, 204)
    assert.equal(admin.store.users.size + admin.store.limits.size + admin.store.virtualKeys.size, 0)
    assert.equal(admin.ledger.read(user.limits[0].id, NOW), null)
  })
})
