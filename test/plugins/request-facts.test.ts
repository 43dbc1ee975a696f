import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { defaultSettings } from '../../src/schemas/settings.ts'
import type { AccessRule } from '../../src/store/entities.ts'
import { aProvider } from '../helpers/entities.ts'
import { buildFront, type Front } from '../helpers/front.ts'

const CHAT = '/v1/chat/completions'
const JSON_TYPE = { 'content-type': 'application/json' }

function aRule(fields: Partial<AccessRule> = {}): AccessRule {
  return { provider: 'sim', models: null, blockedModels: [], keyIds: null, weight: 1, ...fields }
}

/** Posts a body as it is. */
async function post(
  { app, key }: Front,
  payload: string | Buffer | object,
  headers: Record<string, string> = {},
  url = CHAT,
) {
  return app.inject({ method: 'POST', url, payload, headers: { 'x-bursar-key': key(), ...headers } })
}

describe('request facts', () => {
  test('F26 the handler gets the bytes as they came, whatever a JSON parser would make of them', async (t) => {
    const payload = '{ "model":"sim/sim-small",\n  "big": 12345678901234567890, "x": 1.0, "messages": [] }'
    const front = await buildFront(t, {
      routes: (scope) => {
        const config = { format: 'openai', endpoint: 'chat' } as const
        scope.post('/echo', { config }, async ({ facts }) => facts?.body.toString())
      },
    })
    assert.equal((await post(front, payload, JSON_TYPE, '/echo')).body, payload)
  })

  test('the model is read where each format carries it, and a route is found for it', async (t) => {
    const front = await buildFront(t)
    const rows: readonly [url: string, payload: object][] = [
      ['/v1/chat/completions', { model: 'sim/gpt-4o-mini', messages: [] }],
      ['/v1/embeddings', { model: 'sim/gpt-4o-mini', input: 'a' }],
      ['/v1/messages', { model: 'sim/gpt-4o-mini', max_tokens: 1, messages: [] }],
    ]
    for (const [url, payload] of rows) {
      const response = await post(front, payload, {}, url)
      assert.equal(response.statusCode, 200, `${url}: ${response.body}`)
      assert.deepEqual(response.json().candidates, ['sim/gpt-4o-mini'])
    }
    const gemini = await post(front, { contents: [] }, {}, '/v1beta/models/gpt-4o-mini:generateContent')
    assert.equal(gemini.json().model, 'gpt-4o-mini')
  })

  test('only JSON is taken, by type and without content-encoding', async (t) => {
    const front = await buildFront(t)
    const body = JSON.stringify({ model: 'sim/m' })
    for (const [headers, payload] of [
      [{ 'content-type': 'text/plain' }, body],
      [{ 'content-type': 'application/x-www-form-urlencoded' }, 'model=m'],
      [{ 'content-type': 'multipart/form-data; boundary=x' }, body],
      [{ 'content-type': 'nonsense' }, body],
      [{ 'content-type': '' }, body],
      [{ ...JSON_TYPE, 'content-encoding': 'gzip' }, gzipSync(body)],
      [{ ...JSON_TYPE, 'content-encoding': 'br' }, body],
    ] as const) {
      const response = await post(front, payload, headers)
      assert.equal(response.statusCode, 415, `${JSON.stringify(headers)}: ${response.body}`)
      assert.equal(response.json().error.code, 'unsupported_media_type')
    }
    for (const type of ['application/json; charset=utf-8', 'Application/JSON']) {
      assert.equal((await post(front, body, { 'content-type': type })).statusCode, 200, type)
    }
    assert.equal((await post(front, body, { ...JSON_TYPE, 'content-encoding': 'identity' })).statusCode, 200)
  })

  test('a body over the limit is refused, by its length or as it comes', async (t) => {
    const settings = { server: { ...defaultSettings.server, bodyLimitBytes: 200 } }
    const front = await buildFront(t, { settings })
    const body = (length: number) => JSON.stringify({ model: 'sim/m', x: '' }).replace('""', `"${'x'.repeat(length)}"`)
    const within = body(200 - body(0).length)
    assert.equal(within.length, 200)
    assert.equal((await post(front, within, JSON_TYPE)).statusCode, 200)
    const over = await post(front, `${within} `, JSON_TYPE)
    assert.equal(over.statusCode, 413)
    assert.equal(over.json().error.code, 'request_too_large')

    const url = await front.app.listen({ host: '127.0.0.1', port: 0 })
    const stream = new Blob([`${within} `]).stream()
    const headers = { ...JSON_TYPE, 'x-bursar-key': front.key() }
    const chunked = await fetch(url + CHAT, { method: 'POST', headers, body: stream, duplex: 'half' })
    assert.equal(chunked.status, 413)
  })

  test('a body that cannot be read is 400, also when there is none', async (t) => {
    const front = await buildFront(t)
    for (const payload of ['', 'no json', '[]', '{"model":""}', '{"model":"a","model":"b"}', '{"messages":[]}']) {
      const response = await post(front, payload, JSON_TYPE)
      assert.equal(response.statusCode, 400, payload)
      assert.equal(response.json().error.code, 'invalid_request')
    }
    const none = await front.app.inject({ method: 'POST', url: CHAT, headers: { 'x-bursar-key': front.key() } })
    assert.equal(none.statusCode, 400)
  })

  test('F16 F20 what the key may not use is refused, in the order of the contract', async (t) => {
    const front = await buildFront(t)
    front.put({ op: 'put', kind: 'provider', entity: aProvider({ name: 'other', kind: 'sim' }) })
    const rows: readonly [access: AccessRule[] | null, model: string, code: string, status: number][] = [
      [[], 'sim/m', 'provider_not_allowed', 403],
      [[aRule()], 'other/m', 'provider_not_allowed', 403],
      [[aRule({ models: ['gpt-4o*'] })], 'sim/o1', 'model_not_allowed', 403],
      [[aRule({ blockedModels: ['O1'] })], 'sim/o1', 'model_not_allowed', 403],
      [null, 'nobody-has-this', 'model_not_found', 404],
    ]
    for (const [access, model, code, status] of rows) {
      const headers = { 'x-bursar-key': front.key({ access }) }
      const response = await post(front, { model, messages: [] }, headers)
      assert.equal(response.json().error.code, code, `${model}: ${response.body}`)
      assert.equal(response.statusCode, status)
    }
  })

  test('a dry run is told what stands in the way; only who is asking stays an error', async (t) => {
    const front = await buildFront(t)
    const dry = { 'x-bursar-dry-run': '1' }
    for (const [payload, access, code] of [
      [{ model: 'sim/m' }, [], 'provider_not_allowed'],
      [{ model: 'nobody-has-this' }, null, 'model_not_found'],
      [{ messages: [] }, null, 'invalid_request'],
    ] as const) {
      const response = await post(front, payload, { ...dry, 'x-bursar-key': front.key({ access }) })
      assert.equal(response.statusCode, 200, response.body)
      assert.equal(response.json().verdict, 'refuse')
      assert.equal(response.json().code, code)
    }
    const stranger = await post(front, { model: 'sim/m' }, { ...dry, 'x-bursar-key': 'nobody' })
    assert.equal(stranger.statusCode, 401)
  })

  test('F15 routes that are not governed are not read', async (t) => {
    const front = await buildFront(t, {
      routes: (scope) => scope.post('/free', async ({ facts, route }) => ({ facts, route })),
    })
    assert.deepEqual((await post(front, 'anything', JSON_TYPE, '/free')).json(), { facts: null, route: null })
  })
})
