import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { isId, newId } from '../../src/units/id.ts'
import { aUser } from '../helpers/entities.ts'
import { buildFront, NOW } from '../helpers/front.ts'

const CHAT = { method: 'POST', url: '/v1/chat/completions', payload: { model: 'sim/sim-small' } } as const

describe('auth', () => {
  test('B19 B25 the key is found in every header of the contract, in any case', async (t) => {
    const { app, key } = await buildFront(t)
    const value = key()
    for (const headers of [
      { 'X-Bursar-Key': value },
      { 'X-BF-VK': value },
      { AUTHORIZATION: `Bearer ${value}` },
      { 'X-Api-Key': value },
      { 'X-Goog-Api-Key': value },
      { 'API-KEY': value },
    ]) {
      const response = await app.inject({ ...CHAT, headers })
      assert.equal(response.statusCode, 200, `${Object.keys(headers)}: ${response.body}`)
    }
  })

  test('who guesses keys waits longer and longer for each answer; a good key from the same address does not', async (t) => {
    const { app, key } = await buildFront(t)
    const good = key()
    const took = async (value: string, status: number) => {
      const startedAt = performance.now()
      assert.equal((await app.inject({ ...CHAT, headers: { 'x-bursar-key': value } })).statusCode, status)
      return performance.now() - startedAt
    }
    for (let n = 0; n < 24; n += 1) await took(`guess-${n}`, 401)
    assert.ok((await took('guess-again', 401)) > 200)
    // Both at once: the good one is answered first.
    const order: string[] = []
    await Promise.all([
      took('guess-more', 401).then(() => order.push('guess')),
      took(good, 200).then(() => order.push('good')),
    ])
    assert.deepEqual(order, ['good', 'guess'])
    const nothing = await app.inject(CHAT)
    assert.equal(nothing.json().error.code, 'key_missing', 'who presents nothing guesses nothing')
  })

  test('F24 a header of lower rank does not change who pays', async (t) => {
    const { app, key } = await buildFront(t)
    const [ours, theirs] = [newId(), newId()]
    const headers = { 'x-bursar-key': key({ id: ours }), authorization: `Bearer ${key({ id: theirs })}` }
    const response = await app.inject({ ...CHAT, headers })
    assert.equal(response.json().key, ours)
  })

  test('every answer carries the request’s id, a UUIDv7; a server’s own such id is taken over', async (t) => {
    const { app } = await buildFront(t)
    const first = (await app.inject(CHAT)).headers['x-bursar-request-id']
    const second = (await app.inject({ method: 'GET', url: '/nowhere' })).headers['x-bursar-request-id']
    assert.ok(isId(String(first)) && isId(String(second)) && first !== second)
    const id = newId()
    const named = await buildFront(t, { server: { genReqId: () => id } })
    assert.equal((await named.app.inject(CHAT)).headers['x-bursar-request-id'], id)
  })

  test('a key in the query string is refused, on every path and whatever else is sent', async (t) => {
    const { app, key } = await buildFront(t)
    const headers = { 'x-bursar-key': key() }
    for (const url of [
      '/v1/chat/completions?key=k',
      '/v1/models?%6bey=k',
      '/v1/key?api_key=k',
      '/nowhere?access_token=k',
    ]) {
      const response = await app.inject({ ...CHAT, method: url.includes('chat') ? 'POST' : 'GET', url, headers })
      assert.equal(response.statusCode, 400, url)
      assert.equal(response.json().error.code, 'key_in_query', url)
    }
  })

  test('paths with two readings are refused before anything else is asked', async (t) => {
    const { app } = await buildFront(t)
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
    // Clients that know URLs would mend these paths; node:http sends them as they are.
    const ask = async (path: string) => {
      const outgoing = request({ host: '127.0.0.1', port, path, method: 'POST' }).end()
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      return { status: response.statusCode, body: await text(response) }
    }
    for (const path of [
      '/v1//chat/completions',
      '//v1/chat/completions',
      '/v1/x/../chat/completions',
      '/v1/chat%2fcompletions',
      '/v1/chat%2Fcompletions',
      '/v1/%2e%2e/chat/completions',
      '/v1/chat/completions%2E',
      '/v1/chat%5ccompletions',
      '/v1/chat\\completions',
      '/nowhere//at/all',
    ]) {
      const { status, body } = await ask(path)
      assert.equal(status, 400, `${path}: ${body}`)
      assert.equal(JSON.parse(body).error.code, 'invalid_request', path)
    }
    for (const path of ['/v1/chat/completions', '/v1/chat/completions?q=a//b%2F..']) {
      assert.equal((await ask(path)).status, 401, path)
    }
    // What the router itself cannot decode takes the same way out.
    const undecodable = await ask('/v1/models/%zz')
    assert.equal(undecodable.status, 400, undecodable.body)
    assert.equal(JSON.parse(undecodable.body).error.code, 'invalid_request')
  })

  test('a stranger is refused before the body is read', async (t) => {
    const { app } = await buildFront(t)
    const response = await app.inject({ ...CHAT, headers: { 'content-type': 'application/json' }, payload: 'no json' })
    assert.equal(response.json().error.code, 'key_missing')
  })

  test('B17 where keys are optional a request without one is served, and one with an unknown key is not', async (t) => {
    const { app } = await buildFront(t, { settings: { requireKey: false } })
    assert.equal((await app.inject(CHAT)).statusCode, 200)
    const unknown = await app.inject({ ...CHAT, headers: { 'x-api-key': 'somebody' } })
    assert.equal(unknown.json().error.code, 'key_unknown')
  })

  test('U06 the address is the peer’s, and X-Forwarded-For’s only behind a trusted proxy', async (t) => {
    const user = aUser()
    const seenFrom = async (trustedProxies: readonly string[], remoteAddress: string) => {
      const { app, key, put, addresses } = await buildFront(t, { auth: { trustedProxies } })
      put({ op: 'put', kind: 'user', entity: user })
      const headers = { 'x-bursar-key': key({ userId: user.id }), 'x-forwarded-for': '192.0.2.1, 198.51.100.7' }
      assert.equal((await app.inject({ ...CHAT, headers, remoteAddress })).statusCode, 200)
      return addresses.addressesOf(user.id)
    }
    const seen = (address: string) => [{ address, firstSeenAt: NOW, lastSeenAt: NOW }]
    assert.deepEqual(await seenFrom([], '10.0.0.1'), seen('10.0.0.1'))
    assert.deepEqual(await seenFrom(['10.0.0.0/8'], '10.0.0.1'), seen('198.51.100.7'))
    assert.deepEqual(await seenFrom(['10.0.0.0/8'], '203.0.113.9'), seen('203.0.113.9'))
  })

  test('a trusted proxy that cannot be read stops the start', async (t) => {
    await assert.rejects(buildFront(t, { auth: { trustedProxies: ['10.0.0.0/33'] } }), /10\.0\.0\.0\/33/)
  })

  test('F16 a key that is disabled, expires or is deleted stops working with the next request', async (t) => {
    const { app, key, put, governance, clock } = await buildFront(t)
    const value = key({ expiresAt: NOW + 1_000 })
    const [stored] = governance.store.virtualKeys.values()
    assert.ok(stored !== undefined)
    const codeNow = async () => {
      const response = await app.inject({ ...CHAT, headers: { 'x-bursar-key': value } })
      return response.statusCode === 200 ? 'ok' : response.json().error.code
    }
    assert.equal(await codeNow(), 'ok')
    put({ op: 'put', kind: 'virtual_key', entity: { ...stored, active: false } })
    assert.equal(await codeNow(), 'key_disabled')
    put({ op: 'put', kind: 'virtual_key', entity: stored })
    assert.equal(await codeNow(), 'ok')
    clock.advance(1_000)
    assert.equal(await codeNow(), 'key_expired')
    put({ op: 'delete', kind: 'virtual_key', id: stored.id })
    assert.equal(await codeNow(), 'key_unknown')
  })
})
