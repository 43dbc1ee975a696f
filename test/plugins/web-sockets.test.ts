/** WebSockets: for keys with passthrough, joined to the provider's as they are, counted as one request. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { newId } from '../../src/units/id.ts'
import { aLimit } from '../helpers/entities.ts'
import { eventually } from '../helpers/eventually.ts'
import { startGateway } from '../helpers/gateway.ts'

/** Shakes hands as RFC 6455 says and sends every frame back, unmasked. */
async function startEcho(t: TestContext) {
  const seen: { url: string; headers: IncomingHttpHeaders; socket: Duplex }[] = []
  const server = createServer((_request, response) => response.writeHead(426).end('{"error":"no upgrade"}'))
  server.on('upgrade', ({ url = '', headers }, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {})
    seen.push({ url, headers, socket })
    if (url.includes('refuse')) return void socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno')
    if (url.includes('silent')) return void socket.resume()
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    const protocol = headers['sec-websocket-protocol']?.split(',')[0]
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`}openai-organization: secret\r\n\r\n`,
    )
    let rest = head
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let frame = frameOf(rest); frame !== null; frame = frameOf(rest)) {
        const closes = rest[0] === 0x88
        rest = rest.subarray(frame.bytes)
        if (closes) return void socket.end(Buffer.concat([Buffer.from([0x88, frame.text.length]), frame.text]))
        socket.write(Buffer.concat([Buffer.from([0x81, frame.text.length]), frame.text]))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const { socket } of seen) socket.destroy()
    server.close()
  })
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** A masked frame of less than 126 bytes. */
function frameOf(bytes: Buffer): { text: Buffer; bytes: number } | null {
  const length = (bytes[1] ?? 0) & 0x7f
  if (bytes.length < 6 + length) return null
  const mask = bytes.subarray(2, 6)
  return {
    text: Buffer.from(bytes.subarray(6, 6 + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0))),
    bytes: 6 + length,
  }
}

async function start(t: TestContext) {
  const echo = await startEcho(t)
  const gateway = await startGateway(t)
  const keys = [{ id: newId(), name: 'main', value: 'operator-credential', keyStart: 'oper', weight: 1 }]
  gateway.provider({ name: 'house', kind: 'openai', baseUrl: `${echo.url}/v1`, keys })
  const key = gateway.key({ passthrough: true })
  return { echo, gateway, key, url: gateway.url.replace('http', 'ws') }
}

async function opened(socket: WebSocket): Promise<WebSocket> {
  await once(socket, 'open')
  return socket
}

async function echoed(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, 'message')
  socket.send(text)
  const [event] = (await answer) as [MessageEvent]
  return String(event.data)
}

test('a WebSocket is joined to the provider’s, with our credential, and counts as one request', async (t) => {
  const { echo, gateway, key, url } = await start(t)
  const socket = await opened(
    new WebSocket(`${url}/house/v1/realtime?model=gpt-realtime`, [
      'realtime',
      `openai-insecure-api-key.${key}`,
      'openai-organization.org_1',
    ]),
  )
  assert.equal(socket.protocol, 'realtime')
  for (const text of ['one', 'two', 'x'.repeat(125)]) assert.equal(await echoed(socket, text), text)
  const [seen] = echo.seen
  assert.equal(seen?.url, '/v1/realtime?model=gpt-realtime')
  assert.equal(seen?.headers.authorization, 'Bearer operator-credential')
  assert.equal(seen?.headers['sec-websocket-protocol'], 'realtime')
  assert.ok(!JSON.stringify(seen?.headers).includes(key))
  assert.equal(gateway.meter('requests').held, 1n)
  assert.equal(gateway.meter('concurrency').held, 1n)
  const { openAttempts, endingAttempts } = gateway.tracker
  assert.deepEqual([openAttempts, endingAttempts], [1, 0], 'no stop waits for the end of a conversation')
  socket.close()
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 1n)
  const event = gateway.events().at(-1)
  assert.deepEqual([event?.status, event?.endpoint, event?.costNanoUsd], [101, 'passthrough', '0'])
  await eventually(() => assert.ok(seen?.socket.destroyed))
})

/** The answer to a handshake by hand. */
function handshake(
  gateway: { url: string },
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${gateway.url}${path}`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...headers,
      },
    })
    request.on('response', async (response) => {
      const parts: Buffer[] = await Array.fromAsync(response)
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString() })
    })
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: 101, headers: response.headers, body: '' })
    })
    request.on('error', reject)
    request.end()
  })
}

test('whoever may not have a WebSocket is refused with an HTTP answer, and leaves no trace', async (t) => {
  const { echo, gateway, key } = await start(t)
  const path = '/house/v1/realtime'
  const plain = gateway.key()
  const cases: readonly (readonly [path: string, headers: Record<string, string>, status: number, code: string])[] = [
    [path, {}, 401, 'key_missing'],
    [path, { 'x-bursar-key': 'unknown' }, 401, 'key_unknown'],
    [path, { 'x-bursar-key': plain }, 403, 'endpoint_not_allowed'],
    [`${path}?key=${key}`, {}, 400, 'key_in_query'],
    ['/nobody/v1/realtime', { 'x-bursar-key': key }, 404, 'not_found'],
    ['/house/v1/x/..%2frealtime', { 'x-bursar-key': key }, 400, 'invalid_request'],
  ]
  for (const [target, headers, status, code] of cases) {
    const answer = await handshake(gateway, target, headers)
    assert.equal(answer.status, status, target)
    assert.equal((JSON.parse(answer.body) as { error: { code: string } }).error.code, code)
    assert.equal(answer.headers.connection, 'close')
  }
  assert.equal(echo.seen.length, 0)
  assert.equal(gateway.meter('requests').posted, 0n)
  await gateway.settled()
})

test('the answer of a handshake carries our headers and none of the operator’s', async (t) => {
  const { gateway, key } = await start(t)
  const { status, headers } = await handshake(gateway, '/house/v1/realtime', { authorization: `Bearer ${key}` })
  assert.equal(status, 101)
  assert.equal(headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  assert.equal(headers['x-bursar-provider'], 'house')
  assert.ok(headers['x-bursar-request-id'])
  assert.equal(headers['openai-organization'], undefined)
  await gateway.settled()
})

test('limits on concurrency and requests hold for WebSockets', async (t) => {
  const { gateway, url } = await start(t)
  const id = newId()
  const key = gateway.key({ id, passthrough: true })
  const scope = { kind: 'virtual_key', id } as const
  gateway.put({ op: 'put', kind: 'limit', entity: aLimit({ scope, metric: 'concurrency', max: 1n }) })
  const first = await opened(new WebSocket(`${url}/house/v1/realtime`, ['realtime', `openai-insecure-api-key.${key}`]))
  assert.equal((await handshake(gateway, '/house/v1/realtime', { 'x-bursar-key': key })).status, 429)
  first.close()
  await gateway.settled()
  assert.equal((await handshake(gateway, '/house/v1/realtime', { 'x-bursar-key': key })).status, 101)
  await gateway.settled()
})

test('a provider that will have no WebSocket is heard, one that is dead is said to be, and nothing stays held', async (t) => {
  const { gateway, key } = await start(t)
  const refused = await handshake(gateway, '/house/v1/refuse', { 'x-bursar-key': key })
  assert.deepEqual([refused.status, refused.body], [400, 'no'])
  gateway.provider({ name: 'dead', kind: 'openai', baseUrl: 'http://127.0.0.1:1/v1' })
  assert.equal((await handshake(gateway, '/dead/v1/realtime', { 'x-bursar-key': key })).status, 502)
  await gateway.settled()
  assert.equal(gateway.meter('requests').posted, 0n)
})

test('F28 whoever leaves first, the other side ends: the client before and after the handshake, and the provider', async (t) => {
  const { echo, gateway, key, url } = await start(t)
  const { hostname, port } = new URL(gateway.url)
  const early = connect(Number(port), hostname)
  early.write(
    `GET /house/v1/silent HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-bursar-key: ${key}\r\n\r\n`,
  )
  await eventually(() => assert.equal(echo.seen.length, 1))
  early.destroy()
  await eventually(() => assert.ok(echo.seen[0]?.socket.readableEnded))
  await gateway.settled()

  const broken = await opened(new WebSocket(`${url}/house/v1/realtime`, ['realtime', `openai-insecure-api-key.${key}`]))
  const closed = once(broken, 'close')
  echo.seen[1]?.socket.destroy()
  await closed
  await gateway.settled()
})

test('F27 neither side is read faster than the other takes it', async (t) => {
  const { echo, gateway, key } = await start(t)
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  socket.write(
    `GET /house/v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-bursar-key: ${key}\r\n\r\n`,
  )
  await once(socket, 'data')
  socket.pause()
  const provider = echo.seen[0]?.socket
  assert.ok(provider)
  let written = 0
  const chunk = Buffer.alloc(1024 * 1024)
  while (written < 100 * chunk.length && provider.write(chunk)) written += chunk.length
  let seen = -1
  await eventually(() => {
    const before = seen
    seen = provider.writableLength
    assert.equal(seen, before)
  })
  assert.ok(provider.writableLength > 0 || written < 60 * chunk.length)
  socket.destroy()
  await gateway.settled()
})

test('a stop ends open WebSockets', async (t) => {
  const { gateway, key, url } = await start(t)
  const socket = await opened(new WebSocket(`${url}/house/v1/realtime`, ['realtime', `openai-insecure-api-key.${key}`]))
  const closed = once(socket, 'close')
  await gateway.app.close()
  const [event] = (await closed) as [CloseEvent]
  assert.equal(event.code, 1001)
  assert.equal(gateway.governance.ledger.openHoldCount, 0)
})

test('a request that offers another protocol is served as it is', async (t) => {
  const { gateway, key } = await start(t)
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  const body = '{"model":"nobody-has-it","messages":[]}'
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nx-bursar-key: ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 404 .*model_not_found/s)
  socket.destroy()
})
