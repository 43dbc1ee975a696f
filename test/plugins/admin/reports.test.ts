/** Reports: events page by page, usage in periods, books that add up. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { NewRow } from '../../../src/persist/tables.ts'
import { newId } from '../../../src/units/id.ts'
import { emptiedDatabase, makeAdmin, NOW } from '../../helpers/control.ts'
import type { TestDatabase } from '../../helpers/databases.ts'

const open = emptiedDatabase()
const HOUR = 3_600_000

/** An id as a request of that moment has it. */
function idAt(at: number): string {
  const hex = at.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}${newId().slice(13)}`
}

async function insertEvent({ db }: TestDatabase, at: number, fields: Partial<NewRow<'usage_events'>>): Promise<string> {
  const event = {
    request_id: idAt(at),
    attempt: 1,
    ended_at: new Date(at + 100),
    endpoint: 'chat',
    stream: false,
    tags: [] as string[],
    success: true,
    input_tokens: 10n,
    output_tokens: 5n,
    cache_read_tokens: 0n,
    cache_write_tokens: 0n,
    reasoning_tokens: 0n,
    cost_nano_usd: 1_500_000n,
    overage_nano_usd: 0n,
    requests: 1,
    latency_ms: 100,
    charges: '[]',
    ...fields,
  }
  await db.insertInto('usage_events').values(event).execute()
  return event.request_id
}

describe('events', () => {
  test('newest first, attempts of one request too, and a walk through pages sees each once', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const ids: string[] = []
    for (let n = 0; n < 4; n += 1) ids.push(await insertEvent(database, NOW + n * 1_000, { provider: 'openai' }))
    await insertEvent(database, NOW, { request_id: ids[1] ?? '', attempt: 2 })
    const seen: [string, number][] = []
    let cursor = ''
    do {
      const { body, status, text } = await admin.call('GET', `/events?limit=2${cursor}`)
      assert.equal(status, 200, text)
      for (const event of body.data) seen.push([event.request_id, event.attempt])
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
    } while (cursor !== '')
    assert.deepEqual(seen, [
      [ids[3], 1],
      [ids[2], 1],
      [ids[1], 2],
      [ids[1], 1],
      [ids[0], 1],
    ])
    for (const bad of ['x', Buffer.from('------------------------------------ 1').toString('base64url')]) {
      assert.equal((await admin.call('GET', `/events?cursor=${bad}`)).status, 400)
    }
  })

  test('filters by who, what, how and when', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const user = newId()
    const chosen = await insertEvent(database, NOW, {
      user_id: user,
      provider: 'openai',
      model: 'gpt-4o',
      status: 402,
      success: false,
      refused_code: 'budget_exceeded',
      tags: ['nightly'],
      attempt: 0,
    })
    await insertEvent(database, NOW - HOUR, { usage_source: 'reported', status: 200 })
    for (const filter of [
      `user_id=${user}`,
      'provider=openai',
      'model=gpt-4o',
      'status=402',
      'success=false',
      'refused_code=budget_exceeded',
      'tag=nightly',
      `request_id=${chosen}`,
      'from=2026-11-21T11:30:00Z',
    ]) {
      const { body, text } = await admin.call('GET', `/events?${filter}`)
      assert.deepEqual(
        body.data?.map((event: { request_id: string }) => event.request_id),
        [chosen],
        `${filter}: ${text}`,
      )
    }
    for (const filter of ['to=2026-11-21T11:30:00Z', 'usage_source=reported', 'success=true']) {
      const { data } = (await admin.call('GET', `/events?${filter}`)).body
      assert.equal(data.length, 1, filter)
      assert.notEqual(data[0].request_id, chosen)
    }
    for (const bad of [
      'status=ok',
      'success=maybe',
      'user_id=ada',
      'from=yesterday',
      'usr_id=x',
      'usage_source=guess',
    ]) {
      assert.equal((await admin.call('GET', `/events?${bad}`)).status, 400, bad)
    }
  })

  test('money is exact dollars, tokens are summed, charges say which window paid', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const limit = newId()
    const charges = JSON.stringify([
      [limit, 1, NOW, 'cost', '275400'],
      [limit, 1, NOW, 'requests', '1'],
    ])
    await insertEvent(database, NOW, { cost_nano_usd: 275_400n, charges })
    const [event] = (await admin.call('GET', '/events')).body.data
    assert.deepEqual([event.cost_usd, event.overage_usd, event.tokens], ['0.0002754', '0.00', 15])
    assert.deepEqual(event.charges[0], {
      limit_id: limit,
      count_number: 1,
      window_started_at: '2026-11-21T12:00:00Z',
      metric: 'cost',
      amount: '0.0002754',
    })
    assert.equal(event.charges[1].amount, 1)
  })
})

describe('usage', () => {
  async function insertHour({ db }: TestDatabase, at: number, fields: Partial<NewRow<'usage_hourly'>>): Promise<void> {
    const sums = {
      input_tokens: 10n,
      output_tokens: 5n,
      cache_read_tokens: 1n,
      cache_write_tokens: 0n,
      reasoning_tokens: 2n,
    }
    const row = { hour: new Date(at), requests: 1n, cost_nano_usd: 1_000_000_000n, ...sums, ...fields }
    await db.insertInto('usage_hourly').values(row).execute()
  }

  test('sums by period and by whatever is asked, with names', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const team = await admin.create('/teams', { name: 'research' })
    await insertHour(database, NOW - HOUR, { team_id: team.id, model: 'a' })
    await insertHour(database, NOW - 2 * HOUR, { team_id: team.id, model: 'b' })
    await insertHour(database, NOW - 24 * HOUR, { model: 'a' })
    const lines = async (query: string) => (await admin.call('GET', `/usage?${query}`)).body.data
    const [yesterday, today] = await lines('')
    assert.deepEqual([yesterday.at, yesterday.requests, yesterday.cost_usd], ['2026-11-20T00:00:00Z', 1, '1.00'])
    assert.deepEqual([today.requests, today.input_tokens, today.reasoning_tokens, today.cost_usd], [2, 20, 4, '2.00'])
    assert.equal((await lines('interval=hour')).length, 3)
    const [month] = await lines('interval=month&group_by=team')
    assert.deepEqual([month.at, month.team_id, month.team], ['2026-11-01T00:00:00Z', team.id, 'research'])
    assert.equal((await lines('interval=month&group_by=model,team')).length, 3)
    assert.equal((await lines(`team_id=${team.id}`)).length, 1)
    assert.deepEqual(
      await lines('from=2026-11-21T10:00:00Z&to=2026-11-21T11:00:00Z').then((rows) => rows[0].requests),
      1,
    )
    for (const bad of [
      'interval=week',
      'group_by=tenant',
      'group_by=',
      'from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z',
    ]) {
      assert.equal((await admin.call('GET', `/usage?${bad}`)).status, 400, bad)
    }
  })

  test('the same as a table, in which no name becomes a formula', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const team = await admin.create('/teams', { name: '=1+1, "x"' })
    await insertHour(database, NOW - HOUR, { team_id: team.id })
    const csv = await admin.call('GET', '/usage?group_by=team', undefined, { accept: 'text/csv' })
    assert.match(String(csv.headers['content-type']), /^text\/csv/)
    const [head = '', line = ''] = csv.text.split('\r\n')
    const typeFor = async (accept: string) =>
      String((await admin.call('GET', '/usage', undefined, { accept })).headers['content-type']).split(';')[0]
    for (const accept of ['text/csv', 'text/csv, */*', 'TEXT/CSV;q=0.9, application/json;q=0.1']) {
      assert.equal(await typeFor(accept), 'text/csv', accept)
    }
    for (const accept of ['*/*', 'application/json, text/csv;q=0.5', 'text/csv;q=0', 'text/csv;q=x', 'text/csvs']) {
      assert.equal(await typeFor(accept), 'application/json', accept)
    }
    const none = await admin.call('GET', '/usage?group_by=team&to=2000-01-01T00:00:00Z', undefined, {
      accept: 'text/csv',
    })
    assert.equal(none.text, `${head}\r\n`)
    assert.match(head, /^at,team_id,team,requests,/)
    assert.ok(line.includes(`${team.id},"'=1+1, ""x""",1,10,5,`), line)
  })
})

describe('books', () => {
  test('consistency recomputes each window from events and corrections, and names what does not add up', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const [good, bad] = [newId(), newId()]
    const start = NOW - HOUR
    const charges = JSON.stringify([
      [good, 1, start, 'cost', '500'],
      [bad, 1, start, 'requests', '1'],
    ])
    await insertEvent(database, NOW, { charges })
    const correction = {
      id: newId(),
      at: new Date(NOW),
      reason: 'reset',
      charges: JSON.stringify([[good, 1, start, 'cost', '-200']]),
    }
    await database.db.insertInto('corrections').values(correction).execute()
    const usage = { count_number: 1, window_start: new Date(start) }
    await database.db
      .insertInto('limit_usage')
      .values([
        { limit_id: good, metric: 'cost', posted: 300n, ...usage },
        { limit_id: bad, metric: 'requests', posted: 7n, ...usage },
      ])
      .execute()
    const { body } = await admin.call('GET', '/consistency')
    assert.equal(body.checked, 2)
    assert.deepEqual(body.differences, [
      {
        limit_id: bad,
        count_number: 1,
        window_started_at: '2026-11-21T11:00:00Z',
        metric: 'requests',
        posted: 7,
        recomputed: 1,
      },
    ])
    assert.deepEqual(
      [
        body.hours_checked,
        body.hour_differences.map(({ hour, requests }: Record<string, unknown>) => [hour, requests]),
      ],
      [1, [['2026-11-21T12:00:00Z', 0]]],
      'the event has not been counted in its hour',
    )
  })

  test('alerts come newest first', async (t) => {
    const database = await open(t)
    const admin = await makeAdmin(t, database)
    const limit = newId()
    const alert = {
      limit_id: limit,
      count_number: 1,
      window_start: new Date(NOW),
      metric: 'cost' as const,
      max: 10_000_000_000n,
    }
    await database.db
      .insertInto('alerts')
      .values([
        { ...alert, id: idAt(NOW), at: new Date(NOW), threshold: '0.8', used: 8_000_000_000n },
        { ...alert, id: idAt(NOW + 1_000), at: new Date(NOW + 1_000), threshold: '1', used: 10_000_000_000n },
      ])
      .execute()
    const { data } = (await admin.call('GET', `/alerts?limit_id=${limit}`)).body
    assert.deepEqual(
      data.map(({ threshold, used, max }: Record<string, unknown>) => [threshold, used, max]),
      [
        ['1', '10.00', '10.00'],
        ['0.8', '8.00', '10.00'],
      ],
    )
  })
})

describe('system', () => {
  test('reload is handed on, and its failure is no success', async (t) => {
    let reloads = 0
    const admin = await makeAdmin(t, await open(t), {
      async reload() {
        reloads += 1
        if (reloads === 2) throw new Error('the database is away')
      },
    })
    assert.deepEqual((await admin.call('POST', '/reload')).body, { reloaded: true })
    assert.equal((await admin.call('POST', '/reload')).status, 500)
    assert.equal(reloads, 2)
  })

  test('explain hands its request on, and its explanation back', async (t) => {
    const asked: unknown[] = []
    const explanation = {
      verdict: 'allow',
      code: null,
      provider: 'p',
      model: 'm',
      attempts: ['p'],
      estimate: null,
      limits: [],
    }
    const admin = await makeAdmin(t, await open(t), {
      explain(request) {
        asked.push(request)
        return explanation
      },
    })
    const request = { virtual_key_id: newId(), path: '/v1/chat/completions', body: { model: 'm', big: 1e20 } }
    assert.deepEqual((await admin.call('POST', '/explain', request)).body, explanation)
    assert.deepEqual(asked, [request])
    for (const bad of [
      {},
      { ...request, path: 'v1' },
      { ...request, model: 'm' },
      { virtual_key_id: newId(), path: '/v1' },
    ]) {
      assert.equal((await admin.call('POST', '/explain', bad)).status, 400)
    }
  })

  test('the documentation is OpenAPI 3.1, names every route, and needs no network', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const document = (await admin.app.inject('/api/openapi.json')).json()
    assert.equal(document.openapi, '3.1.0')
    assert.ok(document.paths['/api/virtual-keys/{id}/rotate'].post.requestBody)
    for (const [path, methods] of Object.entries<Record<string, { summary?: string; responses: object }>>(
      document.paths,
    )) {
      for (const [method, { summary, responses }] of Object.entries(methods)) {
        assert.ok(summary && Object.keys(responses).length > 1, `${method} ${path}`)
      }
    }
    const fields = document.paths['/api/limits'].post.requestBody.content['application/json'].schema
    assert.equal(fields.additionalProperties, false)
    assert.deepEqual(fields.required, ['scope', 'metric', 'max'])
    for (const [name, field] of Object.entries<{ description?: string }>(fields.properties)) {
      assert.ok(field.description !== undefined, name)
    }
    const page = (await admin.app.inject('/docs/')).payload
    assert.deepEqual(page.match(/(src|href)="?https?:[^"]*/g), null)
  })
})
