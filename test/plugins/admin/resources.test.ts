/** The five routes of every resource: statuses, strictness, paths of problems, pages. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newId } from '../../../src/units/id.ts'
import { emptiedDatabase, makeAdmin, type TestAdmin } from '../../helpers/control.ts'

const open = emptiedDatabase()

interface Case {
  readonly path: string
  readonly valid: object
  readonly patch: object
  /** Field → value that does not fit it. */
  readonly wrong: Readonly<Record<string, unknown>>
}

const LATER = '2027-01-01T00:00:00Z'

const cases: readonly Case[] = [
  { path: 'customers', valid: { name: 'c' }, patch: { metadata: { a: 1 } }, wrong: { name: 7, metadata: [] } },
  {
    path: 'teams',
    valid: { name: 't' },
    patch: { metadata: null },
    wrong: { name: '', customer_id: 'nobody', metadata: 'x', limits: {} },
  },
  {
    path: 'users',
    valid: { name: 'u', email: 'ada@example.com', kind: 'temporary', expires_at: LATER },
    patch: { note: 'hello', max_ips: 3 },
    wrong: { name: ' u', kind: 'admin', email: 'no', expires_at: 'tomorrow', max_ips: 0, note: 1, virtual_key: [] },
  },
  {
    path: 'virtual-keys',
    valid: { name: 'k', access: [], allowed_ips: ['10.0.0.0/8'] },
    patch: { active: false, access: null },
    wrong: {
      name: null,
      value: 'short',
      active: 'yes',
      access: {},
      allowed_ips: '10.0.0.0/8',
      user_id: 1,
      passthrough: 1,
    },
  },
  {
    path: 'limits',
    valid: { scope: { kind: 'global' }, metric: 'requests', max: 5, window: '1m' },
    patch: { max: 6, alert_at: ['0.5'] },
    wrong: {
      scope: 'global',
      metric: 'dollars',
      max: 0,
      align: 'left',
      timezone: 'Mars/Base',
      mode: 'on',
      alert_at: [2],
    },
  },
  {
    path: 'providers',
    valid: { name: 'p', kind: 'openai', keys: [{ name: 'main', value: 'sk-0123456789' }], headers: { 'x-a': 'b' } },
    patch: { enabled: false },
    wrong: {
      name: 'a/b',
      kind: 'bedrock',
      base_url: 'ftp://x',
      timeout_ms: -1,
      headers: { 'a b': 'c' },
      keys: [{ name: 'x' }],
    },
  },
  {
    path: 'prices',
    valid: { provider: 'p', model: 'm*', input_usd_per_million: '5' },
    patch: { output_usd_per_million: '15.25' },
    wrong: { provider: '', model: '', input_usd_per_million: 5, usd_per_request: '-1', effective_from: 'now' },
  },
  {
    path: 'management-keys',
    valid: { name: 'ci', role: 'viewer' },
    patch: { role: 'admin' },
    wrong: { name: '', role: 'root', expires_at: 5, customer_id: 'x' },
  },
]

for (const { path, valid, patch, wrong } of cases) {
  test(`resources /${path}`, async (t) => {
    const admin = await makeAdmin(t, await open(t))

    await t.test('create 201, read 200, change 200, delete 204, then 404', async () => {
      const created = await admin.call('POST', `/${path}`, valid)
      assert.equal(created.status, 201, created.text)
      const { id } = created.body
      assert.equal(created.body.managed_by, 'api')
      const read = await admin.call('GET', `/${path}/${id}`)
      assert.equal(read.status, 200)
      const { key: _key, virtual_key: _virtualKey, ...entity } = created.body
      assert.deepEqual(read.body, entity)
      const listed = await admin.call('GET', `/${path}`)
      assert.deepEqual(listed.body, { data: [entity], next_cursor: null })
      const changed = await admin.call('PATCH', `/${path}/${id}`, patch)
      assert.equal(changed.status, 200, changed.text)
      assert.equal((await admin.call('DELETE', `/${path}/${id}`)).status, 204)
      assert.equal((await admin.call('GET', `/${path}/${id}`)).status, 404)
    })

    await t.test('F21 F22 what does not fit is 400 with the path, and makes or changes nothing', async () => {
      for (const [field, value] of [...Object.entries(wrong), ['nmae', 'x'] as const]) {
        const { status, body, text } = await admin.call('POST', `/${path}`, { ...valid, [field]: value })
        assert.equal(status, 400, `${field}: ${text}`)
        assert.equal(body.error.code, 'invalid_request')
        const paths: string[] = body.error.details.map((problem: { path: string }) => problem.path)
        const inside = new RegExp(`^${field}($|[.[])`)
        assert.ok(
          paths.some((at) => inside.test(at)),
          `${field}: ${text}`,
        )
      }
      assert.deepEqual((await admin.call('GET', `/${path}`)).body.data, [])
      const { id } = await admin.create(`/${path}`, valid)
      const before = await admin.call('GET', `/${path}/${id}`)
      for (const [field, value] of [...Object.entries(wrong), ['id', newId()] as const]) {
        const { status, text } = await admin.call('PATCH', `/${path}/${id}`, { ...patch, [field]: value })
        assert.equal(status, 400, `${field}: ${text}`)
      }
      assert.deepEqual((await admin.call('GET', `/${path}/${id}`)).body, before.body)
      await admin.call('DELETE', `/${path}/${id}`)
    })

    await t.test('F22 bodies and queries that are no such thing are 400', async () => {
      for (const body of ['[]', '"text"', 'null', '7', '{', '']) {
        const answer = await admin.call('POST', `/${path}`, body, { 'content-type': 'application/json' })
        assert.equal(answer.status, 400, `${body}: ${answer.text}`)
        const [problem, ...others] = answer.body.error.details
        assert.deepEqual([Object.keys(problem), problem.path, others], [['path', 'message'], '', []], body)
      }
      for (const query of ['limit=0', 'limit=1001', 'limit=a', 'cursor=eA', 'serach=x', 'limit=1&limit=2']) {
        assert.equal((await admin.call('GET', `/${path}?${query}`)).status, 400, query)
      }
    })

    await t.test('B110 an unknown id is 404, an id that is none 400', async () => {
      for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
        const body = method === 'PATCH' ? patch : undefined
        assert.equal((await admin.call(method, `/${path}/${newId()}`, body)).status, 404, method)
        assert.equal((await admin.call(method, `/${path}/x'--`, body)).status, 400, method)
      }
    })

    if (!('name' in valid)) return
    await t.test('B110 a name that is taken is 409, at creation and at renaming', async () => {
      await admin.create(`/${path}`, valid)
      const again = await admin.call('POST', `/${path}`, valid)
      assert.equal(again.status, 409, again.text)
      assert.equal(again.body.error.code, 'conflict')
      assert.equal(again.body.error.param, 'name')
      const { id } = await admin.create(`/${path}`, { ...valid, name: 'other' })
      const renamed = await admin.call('PATCH', `/${path}/${id}`, { name: valid.name })
      assert.equal(renamed.status, 409, renamed.text)
    })
  })
}

test('two admins at once: a name goes to one of them, edits of different fields both stand, nothing is 500', async (t) => {
  const admin = await makeAdmin(t, await open(t))
  const racing = await Promise.all(
    Array.from({ length: 12 }, () =>
      admin.call('POST', '/teams', { name: 'research', limits: [{ metric: 'requests', max: 5, window: '1m' }] }),
    ),
  )
  assert.deepEqual(racing.map(({ status }) => status).sort(), [201, ...Array(11).fill(409)])
  const { data: limits } = (await admin.call('GET', '/limits')).body
  assert.equal(limits.length, 1, 'nothing is left of those who lost')
  const [limit] = limits
  const edits = [{ max: 9 }, { alert_at: ['0.5'] }, { mode: 'observe' }, { max: 9 }]
  const edited = await Promise.all(edits.map((edit) => admin.call('PATCH', `/limits/${limit.id}`, edit)))
  assert.deepEqual(
    edited.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  const { max, alert_at: alertAt, mode } = (await admin.call('GET', `/limits/${limit.id}`)).body
  assert.deepEqual([max, alertAt, mode], [9, ['0.5'], 'observe'])
  const gone = await Promise.all([
    admin.call('DELETE', `/limits/${limit.id}`),
    admin.call('PATCH', `/limits/${limit.id}`, { max: 7 }),
    admin.call('DELETE', `/limits/${limit.id}`),
  ])
  assert.deepEqual(
    gone.map(({ status }) => status),
    [204, 404, 404],
  )
})

describe('lists', () => {
  async function namesOf(admin: TestAdmin, query: string): Promise<string[]> {
    const { body } = await admin.call('GET', `/teams?${query}`)
    return body.data.map(({ name }: { name: string }) => name)
  }

  test('a walk through pages sees every row once, whatever is written meanwhile', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const ids: string[] = []
    for (let n = 0; n < 7; n += 1) ids.push((await admin.create('/teams', { name: `team ${n}` })).id)
    const seen: string[] = []
    let cursor = ''
    for (let page = 0; page < 10; page += 1) {
      const { body } = await admin.call('GET', `/teams?limit=3${cursor}`)
      seen.push(...body.data.map(({ name }: { name: string }) => name))
      if (body.next_cursor === null) break
      cursor = `&cursor=${body.next_cursor}`
      if (page === 0) {
        await admin.call('DELETE', `/teams/${ids[0]}`)
        await admin.call('PATCH', `/teams/${ids[1]}`, { name: 'zebra' })
        await admin.create('/teams', { name: 'late' })
      }
    }
    assert.deepEqual(seen.toSorted(), ['late', ...[0, 1, 2, 3, 4, 5, 6].map((n) => `team ${n}`)])
  })

  test('a page that ends with the last row has no next one', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    for (let n = 0; n < 2; n += 1) await admin.create('/teams', { name: `team ${n}` })
    assert.equal((await admin.call('GET', '/teams?limit=2')).body.next_cursor, null)
  })

  test('search finds names in any case, and takes % and _ for themselves', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    for (const name of ['Research', 'ops_eu', 'opsXeu', '100%']) await admin.create('/teams', { name })
    assert.deepEqual(await namesOf(admin, 'search=SEA'), ['Research'])
    assert.deepEqual(await namesOf(admin, 'search=s_e'), ['ops_eu'])
    assert.deepEqual(await namesOf(admin, 'search=%25'), ['100%'])
  })

  test('parents filter', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const customer = await admin.create('/customers', { name: 'acme' })
    const team = await admin.create('/teams', { name: 'in', customer_id: customer.id })
    await admin.create('/teams', { name: 'out' })
    assert.deepEqual(await namesOf(admin, `customer_id=${customer.id}`), ['in'])
    const user = await admin.create('/users', { name: 'ada' })
    const key = await admin.create('/virtual-keys', {
      name: 'k',
      user_id: user.id,
      team_id: team.id,
      customer_id: customer.id,
    })
    await admin.create('/virtual-keys', { name: 'other' })
    for (const filter of [`user_id=${user.id}`, `team_id=${team.id}`, `customer_id=${customer.id}`]) {
      const { body } = await admin.call('GET', `/virtual-keys?${filter}`)
      assert.deepEqual(
        body.data.map(({ id }: { id: string }) => id),
        [key.id],
      )
    }
    for (const [kind, id] of [
      ['user', user.id],
      ['virtual_key', key.id],
    ]) {
      const limit = await admin.create('/limits', { scope: { kind, id }, metric: 'requests', max: 1, window: '1m' })
      for (const filter of [`scope_id=${id}`, `scope_kind=${kind}`, `${kind}_id=${id}`]) {
        const { body } = await admin.call('GET', `/limits?${filter}`)
        assert.deepEqual(
          body.data.map((row: { id: string }) => row.id),
          [limit.id],
          filter,
        )
      }
    }
  })
})
