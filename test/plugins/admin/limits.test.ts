/** Limits: what may be written, what an edit does to the count, overrides, corrections. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { settingsOf } from '../../../src/schemas/settings.ts'
import { newId } from '../../../src/units/id.ts'
import { emptiedDatabase, makeAdmin, type TestAdmin } from '../../helpers/control.ts'

const open = emptiedDatabase()
const scope = { kind: 'global' }
const families = settingsOf({ model_families: { gpt4: ['gpt-4*'] } })

/** Gives a limit usage, as traffic would have. */
function use(admin: TestAdmin, id: string, posted: bigint): void {
  const windowStart = admin.ledger.read(id, admin.clock.now())?.windowStart ?? 0
  admin.ledger.restore(id, { windowStart, posted, previousStart: null, previousPosted: 0n, lifetime: posted })
}

describe('limits', () => {
  test('T20 B87 B90 F21 F22 what cannot be a limit is refused with the field at fault', async (t) => {
    const admin = await makeAdmin(t, await open(t), { settings: families })
    const good = { scope, metric: 'requests', max: 5, window: '1m' }
    for (const [fields, path] of [
      [{ metric: 'cost', max: 5 }, 'max'],
      [{ metric: 'cost', max: '0' }, 'max'],
      [{ metric: 'cost', max: '0.0000000001' }, 'max'],
      [{ metric: 'cost', max: '999999999.5' }, 'max'],
      [{ metric: 'cost', max: '-1' }, 'max'],
      [{ metric: 'cost', max: '1e3' }, 'max'],
      [{ max: '5' }, 'max'],
      [{ max: 0 }, 'max'],
      [{ max: -1 }, 'max'],
      [{ max: 1.5 }, 'max'],
      [{ max: 2 ** 53 }, 'max'],
      [{ window: undefined }, 'window'],
      [{ window: null }, 'window'],
      [{ window: '1D' }, 'window'],
      [{ window: '1month' }, 'window'],
      [{ window: '0s' }, 'window'],
      [{ window: '-1h' }, 'window'],
      [{ window: '61 * * * *' }, 'window'],
      [{ window: '0 0 31 2 *' }, 'window'],
      [{ metric: 'concurrency', window: '1m' }, 'window'],
      [{ window: 'daily', align: 'calendar' }, 'align'],
      [{ window: 'lifetime', align: 'fixed' }, 'align'],
      [{ window: '1M', align: 'sliding' }, 'align'],
      [{ window: '1h', align: 'calendar' }, 'align'],
      [{ window: '1m', align: 'calendar' }, 'align'],
      [{ window: '5h', align: 'calendar' }, 'align'],
      [{ timezone: 'Europe/Atlantis' }, 'timezone'],
      [{ timezone: '+02:00' }, 'timezone'],
      [{ model: 'family:gpt5' }, 'model'],
      [{ provider: 'nobody' }, 'provider'],
      [{ alert_at: ['0'] }, 'alert_at[0]'],
      [{ alert_at: ['0.0'] }, 'alert_at'],
      [{ alert_at: ['0.5', '0.50'] }, 'alert_at'],
      [{ scope: { kind: 'global', id: newId() } }, 'scope.id'],
      [{ scope: { kind: 'team' } }, 'scope.id'],
      [{ scope: { kind: 'team', id: newId() } }, 'scope.id'],
      [{ usage: {} }, 'usage'],
    ] as const) {
      const answer = await admin.call('POST', '/limits', { ...good, ...fields })
      assert.equal(answer.status, 400, `${JSON.stringify(fields)}: ${answer.text}`)
      const paths = answer.body.error.details.map((problem: { path: string }) => problem.path)
      assert.ok(paths.includes(path), `${JSON.stringify(fields)}: ${answer.text}`)
    }
    assert.equal(admin.store.limits.size, 0)
  })

  test('every window, align and metric of the contract can be written', async (t) => {
    const admin = await makeAdmin(t, await open(t), { settings: families })
    for (const [fields, align] of [
      [{ metric: 'cost', max: '0.000000001', window: '1M' }, 'fixed'],
      [{ metric: 'cost', max: '999999999', window: '1Q', align: 'calendar', timezone: 'Europe/Berlin' }, 'calendar'],
      [{ metric: 'requests', max: 1, window: '1h30m' }, 'fixed'],
      [{ metric: 'tokens', max: 9007199254740991, window: '30s', align: 'sliding' }, 'sliding'],
      [{ metric: 'input_tokens', max: 5, window: '0 6 * * 1', align: null }, null],
      [{ metric: 'output_tokens', max: 5, window: 'hourly' }, null],
      [{ metric: 'tokens', max: 5, window: 'lifetime' }, null],
      [{ metric: 'concurrency', max: 5 }, null],
      [{ metric: 'concurrency', max: 5, window: null, align: null, model: 'family:gpt4' }, null],
      [{ metric: 'requests', max: 5, window: '1Y', mode: 'observe', model: 'gpt-4o*', alert_at: [] }, 'fixed'],
    ] as const) {
      const limit = await admin.create('/limits', { scope, ...fields })
      assert.equal(limit.align, align)
      assert.deepEqual(admin.store.limits.get(limit.id)?.spec === null, false)
    }
  })

  test('B106 the same identity is 409, another window beside it is fine, a negative max or a bad duration 400', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const limit = { scope, metric: 'requests', max: 5, window: '1m' }
    await admin.create('/limits', limit)
    const again = await admin.call('POST', '/limits', { ...limit, max: 9, align: 'fixed', timezone: 'UTC' })
    assert.equal(again.status, 409, again.text)
    const other = await admin.create('/limits', { ...limit, window: '1h' })
    await admin.create('/limits', { ...limit, mode: 'observe' })
    assert.equal((await admin.call('PATCH', `/limits/${other.id}`, { window: '1m' })).status, 409)
  })

  test('B102 changing max, mode or alerts keeps the count; changing what is counted begins a new one', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/limits', { scope, metric: 'requests', max: 50, window: '1h' })
    use(admin, id, 30n)
    for (const patch of [{ max: 20 }, { max: 100 }, { mode: 'observe' }, { alert_at: ['0.5'] }, {}]) {
      const { body } = await admin.call('PATCH', `/limits/${id}`, patch)
      assert.equal(body.usage.posted, 30, JSON.stringify(patch))
    }
    assert.equal(admin.store.limits.get(id)?.countNumber, 1)
    let count = 1
    for (const patch of [
      { window: '1d' },
      { align: 'calendar' },
      { timezone: 'Europe/Berlin' },
      { window: 'daily' },
      { model: 'gpt-4o' },
      { metric: 'tokens' },
    ]) {
      const { body, status, text } = await admin.call('PATCH', `/limits/${id}`, patch)
      assert.equal(status, 200, text)
      count += 1
      assert.equal(body.id, id)
      assert.equal(body.usage.posted, 0, JSON.stringify(patch))
      assert.equal(admin.store.limits.get(id)?.countNumber, count)
    }
  })

  test('null clears: what has a default goes back to it, what is not named stays', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/limits', {
      ...{ scope, metric: 'requests', max: 50, window: '1d', align: 'calendar', timezone: 'Europe/Berlin' },
      ...{ model: 'gpt-4o', mode: 'observe', alert_at: ['0.5'] },
    })
    for (const [field, cleared] of [
      ['alert_at', ['0.8', '1']],
      ['mode', 'enforce'],
      ['timezone', 'UTC'],
      ['align', 'fixed'],
      ['model', null],
    ] as const) {
      const { body, status, text } = await admin.call('PATCH', `/limits/${id}`, { [field]: null })
      assert.equal(status, 200, text)
      assert.deepEqual(body[field], cleared)
    }
    for (const field of ['max', 'metric', 'window']) {
      assert.equal((await admin.call('PATCH', `/limits/${id}`, { [field]: null })).status, 400, field)
    }
  })

  test('a change that does not fit the rest of the limit is refused', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/limits', { scope, metric: 'requests', max: 50, window: '1h' })
    for (const [patch, path] of [
      [{ metric: 'cost' }, 'max'],
      [{ metric: 'concurrency' }, 'window'],
      [{ align: 'calendar' }, 'align'],
      [{ window: 'daily', align: 'fixed' }, 'align'],
      [{ max: '5' }, 'max'],
      [{ scope: { kind: 'global' } }, 'scope'],
    ] as const) {
      const answer = await admin.call('PATCH', `/limits/${id}`, patch)
      assert.deepEqual([answer.status, answer.body.error.param], [400, path], answer.text)
    }
    const cost = await admin.call('PATCH', `/limits/${id}`, { metric: 'cost', max: '5.50' })
    assert.equal(cost.body.max, '5.50')
  })

  test('B49 an override raises max for a time or for a number of windows, and can be ended', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/limits', { scope, metric: 'cost', max: '100', window: '1d', align: 'calendar' })
    const put = (body: object) => admin.call('PUT', `/limits/${id}/override`, body)
    const one = await put({ max: '125', windows: 1 })
    assert.deepEqual(one.body.override, { max: '125.00', until: '2026-11-22T00:00:00Z' })
    assert.equal(one.body.usage.remaining, '125.00')
    assert.equal(one.body.max, '100.00')
    assert.equal((await put({ max: '125', windows: 3 })).body.override.until, '2026-11-24T00:00:00Z')
    assert.equal((await put({ max: '125', until: '2026-12-01T00:00:00Z' })).body.override.until, '2026-12-01T00:00:00Z')
    assert.equal((await put({ max: '125' })).body.override.until, null)
    assert.equal(admin.store.limits.get(id)?.override?.until, Number.POSITIVE_INFINITY)
    assert.equal((await admin.call('DELETE', `/limits/${id}/override`)).status, 204)
    const ended = await admin.call('GET', `/limits/${id}`)
    assert.deepEqual([ended.body.override, ended.body.usage.remaining], [null, '100.00'])
    for (const [body, path] of [
      [{ max: 125 }, 'max'],
      [{ max: '125', until: '2026-11-21T12:00:00Z' }, 'until'],
      [{ max: '125', windows: 1, until: null }, 'windows'],
      [{ max: '125', windows: 0 }, 'windows'],
      [{}, 'max'],
    ] as const) {
      const answer = await put(body)
      assert.deepEqual([answer.status, answer.body.error.param], [400, path], answer.text)
    }
    const slots = await admin.create('/limits', { scope, metric: 'concurrency', max: 5 })
    assert.equal((await admin.call('PUT', `/limits/${slots.id}/override`, { max: 9, windows: 1 })).status, 400)
    assert.equal((await admin.call('PUT', `/limits/${newId()}/override`, { max: 9 })).status, 404)
    assert.equal((await admin.call('DELETE', `/limits/${newId()}/override`)).status, 404)
  })

  test('U11 B103 a reset is a correction entry: the count is zero again, lifetime and window stay, and it is audited', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id, usage } = await admin.create('/limits', { scope, metric: 'cost', max: '10', window: '1d' })
    use(admin, id, 4_000_000_000n)
    const { body } = await admin.call('POST', `/limits/${id}/reset`)
    assert.deepEqual(body.usage, { ...usage, posted: '0.00', remaining: '10.00', lifetime: '4.00' })
    const [fact, ...others] = admin.facts.of('correct')
    assert.deepEqual(others, [])
    assert.deepEqual(fact?.charges, [[id, 1, Date.parse(usage.window_started_at), 'cost', '-4000000000']])
    const [audit] = (await admin.call('GET', '/audit?limit=1')).body.data
    assert.deepEqual([audit.action, audit.entity_id], ['limit.reset', id])
    assert.deepEqual([audit.before.posted, audit.after.posted], ['4.00', '0.00'])
    assert.equal((await admin.call('POST', `/limits/${newId()}/reset`)).status, 404)
  })

  test('U10 U11 reset-usage takes all limits of the user, refresh-quota the token limits on families', async (t) => {
    const admin = await makeAdmin(t, await open(t), { settings: families })
    const user = await admin.create('/users', {
      name: 'ada',
      limits: [
        { metric: 'tokens', max: 100, window: 'daily', model: 'family:gpt4' },
        { metric: 'requests', max: 100, window: '1h' },
      ],
    })
    const [quota, rate] = user.limits
    const posted = async () =>
      (await admin.call('GET', `/users/${user.id}`)).body.limits.map(
        (limit: { usage: { posted: number } }) => limit.usage.posted,
      )
    use(admin, quota.id, 90n)
    use(admin, rate.id, 80n)
    await admin.call('POST', `/users/${user.id}/refresh-quota`)
    assert.deepEqual(await posted(), [0, 80])
    use(admin, quota.id, 90n)
    await admin.call('POST', `/users/${user.id}/reset-usage`)
    assert.deepEqual(await posted(), [0, 0])
    const guest = await admin.create('/users', { name: 'tim', kind: 'temporary', expires_at: '2027-01-01T00:00:00Z' })
    assert.equal((await admin.call('POST', `/users/${guest.id}/refresh-quota`)).status, 400)
    assert.equal((await admin.call('POST', `/users/${guest.id}/reset-usage`)).status, 200)
  })

  test('while the journal takes nothing, a reset is refused and changes nothing', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/limits', { scope, metric: 'requests', max: 10, window: '1d' })
    use(admin, id, 4n)
    admin.facts.accepting = false
    const answer = await admin.call('POST', `/limits/${id}/reset`)
    assert.deepEqual([answer.status, answer.body.error.code], [503, 'overloaded'])
    assert.equal((await admin.call('GET', `/limits/${id}`)).body.usage.posted, 4)
  })

  test('U12 the next refresh is visible; never where there is none', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const resets = async (fields: object) =>
      (await admin.create('/limits', { scope, max: 5, ...fields })).usage.resets_at
    assert.equal(await resets({ metric: 'tokens', window: 'daily' }), '2026-11-22T00:00:00Z')
    assert.equal(await resets({ metric: 'tokens', window: '0 6 * * 1' }), '2026-11-23T06:00:00Z')
    assert.equal(await resets({ metric: 'tokens', window: 'lifetime' }), null)
    assert.equal(await resets({ metric: 'concurrency' }), null)
    assert.equal(await resets({ metric: 'requests', window: '1h' }), '2026-11-21T13:00:00Z')
  })
})
