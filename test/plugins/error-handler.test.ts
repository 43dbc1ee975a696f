import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { describe, test } from 'node:test'
import { GatewayError } from '../../plugins/errors.ts'
import type { Refusal } from '../../src/admission/decision.ts'
import { defaultSettings } from '../../src/schemas/settings.ts'
import type { AccessRule, VirtualKey } from '../../src/store/entities.ts'
import { newId } from '../../src/units/id.ts'
import { aUser } from '../helpers/entities.ts'
import { buildFront, type Front, NOW } from '../helpers/front.ts'

const GEMINI = '/v1beta/models/gpt-4o-mini:generateContent'
/** One route of each format, with a body that it takes. */
const FORMATS: readonly [format: 'openai' | 'anthropic' | 'google', url: string, payload: object][] = [
  ['openai', '/v1/chat/completions', { model: 'sim/gpt-4o-mini', messages: [] }],
  ['anthropic', '/v1/messages', { model: 'sim/gpt-4o-mini', max_tokens: 9, messages: [] }],
  ['google', GEMINI, { contents: [] }],
]

interface Shown {
  readonly code: unknown
  readonly word: unknown
  readonly message: unknown
  readonly details: unknown
}

/** Takes an error body apart, and insists on the shape of its format. */
function shown(format: 'openai' | 'anthropic' | 'google', status: number, body: string): Shown {
  const parsed = JSON.parse(body)
  switch (format) {
    case 'openai': {
      assert.deepEqual(Object.keys(parsed), ['error'])
      assert.deepEqual(Object.keys(parsed.error), ['message', 'type', 'code', 'param', 'details'])
      const { code, type, message, details } = parsed.error
      return { code, word: type, message, details }
    }
    case 'anthropic': {
      assert.deepEqual(Object.keys(parsed), ['type', 'error'])
      assert.equal(parsed.type, 'error')
      assert.deepEqual(Object.keys(parsed.error), ['type', 'message', 'code', 'details'])
      const { code, type, message, details } = parsed.error
      return { code, word: type, message, details }
    }
    case 'google': {
      assert.deepEqual(Object.keys(parsed), ['error'])
      assert.deepEqual(Object.keys(parsed.error), ['code', 'message', 'status', 'details'])
      assert.equal(parsed.error.code, status)
      const { status: word, message, details } = parsed.error
      const reason = details.at(-1)
      return { code: reason.reason, word, message, details: details.length > 1 ? details[0] : null }
    }
  }
}

describe('errors in the caller’s format', () => {
  const noAccess: AccessRule[] = []
  const user = aUser({ disabledAt: NOW, disabledReason: 'Left.' })
  const rows: readonly [
    code: string,
    status: number,
    words: [string, string, string],
    key: Partial<VirtualKey> | string | null,
  ][] = [
    ['key_missing', 401, ['authentication_error', 'authentication_error', 'UNAUTHENTICATED'], null],
    ['key_unknown', 401, ['authentication_error', 'authentication_error', 'UNAUTHENTICATED'], 'somebody'],
    ['key_disabled', 403, ['permission_error', 'permission_error', 'PERMISSION_DENIED'], { active: false }],
    ['key_disabled', 403, ['permission_error', 'permission_error', 'PERMISSION_DENIED'], { userId: user.id }],
    ['key_expired', 403, ['permission_error', 'permission_error', 'PERMISSION_DENIED'], { expiresAt: NOW }],
    ['ip_not_allowed', 403, ['permission_error', 'permission_error', 'PERMISSION_DENIED'], { allowedIps: [] }],
    ['provider_not_allowed', 403, ['permission_error', 'permission_error', 'PERMISSION_DENIED'], { access: noAccess }],
  ]

  async function ask(
    front: Front,
    url: string,
    payload: object | string,
    key: Partial<VirtualKey> | string | null,
    more = {},
  ) {
    const value = typeof key === 'string' ? key : key === null ? null : front.key(key)
    const headers = {
      'content-type': 'application/json',
      ...(value === null ? {} : { 'x-bursar-key': value }),
      ...more,
    }
    return front.app.inject({ method: 'POST', url, payload, headers })
  }

  test('every refusal of a key has the shape, the words and the headers of the route it was asked on', async (t) => {
    const front = await buildFront(t)
    front.put({ op: 'put', kind: 'user', entity: user })
    for (const [code, status, words, key] of rows) {
      for (const [index, [format, url, payload]] of FORMATS.entries()) {
        const response = await ask(front, url, payload, key)
        assert.equal(response.statusCode, status, `${code} ${format}: ${response.body}`)
        const error = shown(format, status, response.body)
        assert.deepEqual([error.code, error.word, error.details], [code, words[index], null])
        assert.match(String(response.headers['content-type']), /^application\/json/)
        assert.equal(response.headers['x-bursar-error-source'], 'gateway')
        assert.equal(response.headers['x-bursar-cost-usd'], '0.00')
        assert.ok(response.headers['x-bursar-request-id'])
      }
    }
  })

  test('every refusal of a request too', async (t) => {
    const front = await buildFront(t)
    const bad: readonly [
      code: string,
      status: number,
      payload: object | string | null,
      more: object,
      query?: string,
    ][] = [
      ['invalid_request', 400, 'no json', {}],
      ['invalid_request', 400, null, { 'x-bursar-tags': 'a,b,c,d,e,f' }],
      ['key_in_query', 400, null, {}, '?key=k'],
      ['unsupported_media_type', 415, null, { 'content-encoding': 'gzip' }],
      ['unsupported_media_type', 415, '<xml/>', { 'content-type': 'text/xml' }],
      ['request_too_large', 413, 'x'.repeat(33 * 1024 * 1024), {}],
    ]
    for (const [code, status, payload, more, query = ''] of bad) {
      for (const [format, url, good] of FORMATS) {
        const response = await ask(front, url + query, payload ?? good, {}, more)
        assert.equal(response.statusCode, status, `${code} ${format}: ${response.body}`)
        assert.equal(shown(format, status, response.body).code, code)
      }
    }
  })

  test('a client that sends all of a body before it reads gets to read that the body was too large', async (t) => {
    const front = await buildFront(t, { settings: { server: { ...defaultSettings.server, bodyLimitBytes: 1_024 } } })
    const { port } = new URL(await front.app.listen({ host: '127.0.0.1', port: 0 }))
    // More than the kernel keeps for a connection that nobody reads.
    const body = Buffer.alloc(32 * 1_024 * 1_024, ' ')
    const head = [
      'POST /v1/chat/completions HTTP/1.1',
      'host: bursar',
      `x-bursar-key: ${front.key()}`,
      'content-type: application/json',
    ].join('\r\n')
    for (const length of [
      `content-length: ${body.length}`,
      `content-length: ${body.length}\r\nconnection: close`,
      'transfer-encoding: chunked',
    ]) {
      const isChunked = length.startsWith('transfer')
      const socket = connect(Number(port), '127.0.0.1')
      await pipeline([`${head}\r\n${length}\r\n\r\n`, ...(isChunked ? chunked(body) : [body])], socket, { end: false })
      let answer = ''
      for await (const piece of socket.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
        answer += piece
        if (answer.includes('}}')) break
      }
      assert.match(answer, /^HTTP\/1\.1 413 .*"request_too_large"/s)
      socket.destroy()
    }
  })

  test('F14 refusals by a limit carry their details, when to come back, and whether to', async (t) => {
    const details = { limit_id: newId(), scope: 'team', also_exceeded: [] }
    const refusals: readonly [
      Refusal,
      status: number,
      retryAfter: string | undefined,
      shouldRetry: string | undefined,
    ][] = [
      [{ code: 'rate_limited', message: 'm', details, retryAfterS: 60 }, 429, '60', 'true'],
      [{ code: 'rate_limited', message: 'm', details, retryAfterS: 61 }, 429, '61', 'false'],
      [{ code: 'budget_exceeded', message: 'm', details }, 402, undefined, 'false'],
      [{ code: 'limit_unreachable', message: 'm', details, status: 429 }, 429, undefined, 'false'],
      [{ code: 'limit_unreachable', message: 'm', details }, 402, undefined, 'false'],
      [{ code: 'overloaded', message: 'm', retryAfterS: 5 }, 503, '5', undefined],
      [{ code: 'model_price_unknown', message: 'm' }, 403, undefined, undefined],
    ]
    let refusal: Refusal = refusals[0]?.[0] as Refusal
    const front = await buildFront(t, {
      routes: (scope) => {
        for (const [format, url] of FORMATS) {
          scope.post(`/refuse${url}`.replace(/\/models.*/, ''), { config: { format } }, async () => {
            throw new GatewayError(refusal)
          })
        }
      },
    })
    for (const [next, status, retryAfter, shouldRetry] of refusals) {
      refusal = next
      for (const [format, url] of FORMATS) {
        const response = await ask(front, `/refuse${url}`.replace(/\/models.*/, ''), {}, {})
        assert.equal(response.statusCode, status)
        const error = shown(format, status, response.body)
        assert.deepEqual([error.code, error.details], [refusal.code, refusal.details ?? null])
        assert.equal(response.headers['retry-after'], retryAfter)
        assert.equal(response.headers['x-should-retry'], shouldRetry)
      }
    }
  })

  test('F23 a bug is answered with the request’s id and nothing else, and logged whole', async (t) => {
    const logged: { err?: { message: string }; level: number }[] = []
    const stream = { write: (line: string) => void logged.push(JSON.parse(line)) }
    const front = await buildFront(t, {
      server: { logger: { level: 'error', stream } },
      routes: (scope) => {
        for (const [format, url] of FORMATS) {
          scope.post(`/bug${url}`.replace(/\/models.*/, ''), { config: { format } }, async () => {
            // A status of its own does not make a server's error the caller's business.
            const statusCode = format === 'openai' ? 502 : undefined
            throw Object.assign(new Error('duplicate key violates unique constraint: sk-bursar-secret'), { statusCode })
          })
        }
      },
    })
    for (const [format, url] of FORMATS) {
      const response = await ask(front, `/bug${url}`.replace(/\/models.*/, ''), {}, {})
      assert.equal(response.statusCode, 500)
      const error = shown(format, 500, response.body)
      assert.equal(error.code, 'internal')
      assert.ok(String(error.message).includes(String(response.headers['x-bursar-request-id'])))
      assert.ok(!response.body.includes('constraint') && !response.body.includes('secret'))
    }
    assert.equal(logged.length, FORMATS.length)
    assert.match(logged[0]?.err?.message ?? '', /violates unique constraint/)
  })

  test('T02 an error is free unless whoever settled its attempt has said what it cost', async (t) => {
    const front = await buildFront(t, {
      routes: (scope) =>
        scope.post('/late', async (_request, reply) => {
          reply.header('x-bursar-cost-usd', '0.0012')
          throw new GatewayError({ code: 'upstream_timeout', message: 'm' })
        }),
    })
    const response = await ask(front, '/late', {}, {})
    assert.deepEqual([response.statusCode, response.headers['x-bursar-cost-usd']], [504, '0.0012'])
  })

  test('a platform team’s own 4xx error reaches the caller as it was meant', async (t) => {
    const front = await buildFront(t, {
      routes: (scope) =>
        scope.post('/office-hours', async () => {
          throw Object.assign(new Error('The office is closed.'), { statusCode: 403 })
        }),
    })
    const response = await ask(front, '/office-hours', {}, {})
    assert.equal(response.statusCode, 403)
    assert.deepEqual(shown('openai', 403, response.body).message, 'The office is closed.')
  })
})

function chunked(body: Buffer): (string | Buffer)[] {
  return [`${body.length.toString(16)}\r\n`, body, '\r\n0\r\n\r\n']
}

describe('paths and methods', () => {
  test('a path that does not exist is 404 in the format that its beginning promises', async (t) => {
    const { app } = await buildFront(t)
    for (const [format, url] of [
      ['openai', '/nowhere'],
      ['openai', '/v1/nothing'],
      ['openai', '/'],
      ['anthropic', '/v1/messages/batches'],
      ['google', '/v1beta/nothing'],
    ] as const) {
      for (const method of ['GET', 'POST'] as const) {
        const response = await app.inject({ method, url })
        assert.equal(response.statusCode, 404, url)
        assert.equal(shown(format, 404, response.body).code, 'not_found')
      }
    }
  })

  test('what a request for such a path carries is not looked at', async (t) => {
    const { app } = await buildFront(t)
    const headers = { 'content-type': 'application/json' }
    for (const payload of ['', '{"broken', '[]']) {
      const nowhere = await app.inject({ method: 'POST', url: '/v1/nothing', headers, payload })
      assert.deepEqual([nowhere.statusCode, nowhere.json().error.code], [404, 'not_found'])
      const model = await app.inject({ method: 'DELETE', url: '/v1/models/gpt-4o', headers, payload })
      assert.deepEqual([model.statusCode, model.headers.allow], [405, 'GET, HEAD'])
    }
  })

  test('a known path with a wrong method is 405 and says which it takes', async (t) => {
    const { app } = await buildFront(t)
    for (const [format, url] of FORMATS) {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH'] as const) {
        const response = await app.inject({ method, url })
        assert.equal(response.statusCode, 405, `${method} ${url}: ${response.body}`)
        assert.equal(response.headers.allow, 'POST')
        assert.equal(shown(format, 405, response.body).code, 'method_not_allowed')
      }
    }
    const key = await app.inject({ method: 'POST', url: '/v1/key' })
    assert.deepEqual([key.statusCode, key.headers.allow], [405, 'GET, HEAD'])
    const model = await app.inject({ method: 'DELETE', url: '/v1/models/gpt-4o' })
    assert.equal(model.statusCode, 405)
  })
})
