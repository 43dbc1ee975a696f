/** While a start waits for its database, the program says so at its own address. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { postgresDatabases } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/ports.ts'
import { launch, startProgram, temporaryFolder } from '../helpers/program.ts'

const openDatabase = postgresDatabases()

test('a start that waits for its database is up, not ready, and asks everybody to come back', async (t) => {
  const port = await freePort()
  const { child, output } = launch(`${temporaryFolder(t)}/data`, {
    env: { BURSAR_PORT: `${port}`, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' },
  })
  const ended = once(child, 'close')
  t.after(() => child.kill('SIGKILL'))
  const ask = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
  await eventually(() => assert.match(output(), /ECONNREFUSED/))
  const ready = await ask('/readyz')
  assert.deepEqual([ready.status, ready.body], [503, { status: 'starting' }])
  assert.equal((await ask('/livez')).status, 200)
  const refused = await ask('/v1/messages', 'POST')
  const { type, error } = refused.body as { type: string; error: { code: string } }
  assert.deepEqual([refused.status, type, error.code], [503, 'error', 'overloaded'])
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.equal(refused.headers.get('x-bursar-error-source'), 'gateway')
  assert.match(refused.headers.get('x-bursar-request-id') ?? '', /^[0-9a-f-]{36}$/)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null], output())
})

test('when the database is there the address goes over to the gateway, whoever still holds a connection to it', async (t) => {
  const { url } = await openDatabase(t, { migrate: false })
  const real = new URL(url ?? assert.fail('a real Postgres has an address'))
  const [port, databasePort] = [await freePort(), await freePort()]
  const away = Object.assign(new URL(real), { port: `${databasePort}` }).href
  const starting = startProgram(t, { env: { BURSAR_PORT: `${port}`, DATABASE_URL: away } })
  const gateway = `http://127.0.0.1:${port}`
  await eventually(async () => assert.equal((await fetch(`${gateway}/readyz`)).status, 503))

  const held = connect(port, '127.0.0.1')
  await once(held, 'connect')
  const closed = once(held, 'close')
  // A request that never ends.
  held.on('error', () => {}).write('POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-le')

  const database = createServer((client) => {
    const upstream = connect(Number(real.port), '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => {})
  }).listen(databasePort, '127.0.0.1')
  t.after(() => database.close())
  assert.equal((await starting).gatewayUrl, gateway)
  await closed
  const response = await fetch(`${gateway}/readyz`)
  assert.deepEqual([response.status, await response.json()], [200, { status: 'ok' }])
})
