/** What a hostile user tried, each with what must happen instead. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { createKey, launch, onBothDatabases, startWithSim, temporaryFolder } from '../helpers/program.ts'

onBothDatabases('hostile requests', async (t, env) => {
  const program = await startWithSim(t, { env })
  program.sim.configure({ anyModel: true })
  const ask = async (key: string, path: string, body: object) => {
    const response = await fetch(`${program.gatewayUrl}${path}`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    await response.arrayBuffer()
    return response.status
  }

  await t.test('F20 a model may not be reached by another spelling of its name', async () => {
    const access = [{ provider: 'sim', models: null, blocked_models: ['gemini-2.5-flash*', 'gpt-4o'] }]
    const { key } = await createKey(program, [{ metric: 'requests', max: 1, window: '1d', model: 'gemini-2.5-pro' }], {
      access,
    })
    const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
    for (const model of [
      'gemini-2.5-flash',
      'models/gemini-2.5-flash',
      'models/models/gemini-2.5-flash',
      'sim/models/gemini-2.5-flash',
    ]) {
      const status = await ask(key, `/v1beta/models/${model}:generateContent`, { contents })
      assert.ok([400, 403, 404].includes(status), `${model} ${status}`)
    }
    assert.equal(await ask(key, '/v1beta/models/gemini-2.5-pro:generateContent', { contents }), 200)
    assert.equal(await ask(key, '/v1beta/models/models/gemini-2.5-pro:generateContent', { contents }), 429)
    for (const model of ['gpt-4o', 'GPT-4O', 'gpt-4o ', ' gpt-4o', 'sim/ gpt-4o', 'gpt-4o\u00a0', 'models/gpt-4o']) {
      const status = await ask(key, '/v1/chat/completions', { model, messages: [] })
      assert.ok([400, 403].includes(status), `"${model}" ${status}`)
    }
    const reached = program.sim.ledger().map(({ path }) => path)
    assert.deepEqual(reached, ['/v1beta/models/gemini-2.5-pro:generateContent'])
  })

  await t.test('a model name in any script is served, and named in the headers', async () => {
    const { key } = await createKey(program)
    const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'sim/モデル', messages: [] }),
    })
    assert.equal(response.status, 200, await response.text())
    assert.equal(decodeURIComponent(response.headers.get('x-bursar-model') ?? ''), 'モデル')
  })

  await t.test('F22 text that Postgres cannot keep is 400 with its path', async () => {
    for (const bad of ['a\u0000b', '\ud800']) {
      const refused = await program.admin<{ error: { details: { path: string }[] } }>(
        'POST',
        '/customers',
        { name: bad },
        400,
      )
      assert.equal(refused.error.details[0]?.path, 'name')
      const inside = { name: 'fine', metadata: { deep: [{ er: bad }] } }
      const nested = await program.admin<{ error: { details: { path: string }[] } }>('POST', '/customers', inside, 400)
      assert.equal(nested.error.details[0]?.path, 'metadata.deep[0].er')
    }
    await program.admin('GET', '/customers?search=%00', undefined, 400)
  })

  await t.test('F22 a provider header that would frame the request is refused', async () => {
    const provider = { name: 'other', kind: 'openai', keys: [{ name: 'main', value: 'secret-of-the-provider' }] }
    for (const name of ['Content-Length', 'transfer-encoding', 'host']) {
      await program.admin('POST', '/providers', { ...provider, headers: { [name]: '5' } }, 400)
    }
  })

  await t.test('bytes that are no request get an error of the contract’s shape', async () => {
    const { hostname, port } = new URL(program.gatewayUrl)
    const socket = connect(Number(port), hostname)
    socket.write(
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 400 /)
    assert.match(head, /x-bursar-request-id: [0-9a-f-]{36}/)
    assert.match(head, /x-bursar-error-source: gateway/)
    assert.equal((JSON.parse(body) as { error: { code: string } }).error.code, 'invalid_request')
  })

  await t.test('load balancers may ask for health with HEAD', async () => {
    assert.equal((await fetch(`${program.gatewayUrl}/livez`, { method: 'HEAD' })).status, 200)
    assert.equal((await fetch(`${program.gatewayUrl}/readyz`, { method: 'HEAD' })).status, 200)
  })
})

test('a start that cannot listen or write says which variable to change, before it opens anything', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as { port: number }
  const starts: readonly [folder: string, env: Record<string, string>, said: RegExp][] = [
    [
      join(temporaryFolder(t), 'data'),
      { BURSAR_PORT: String(port) },
      /^bursar: BURSAR_PORT: .* in use by another program/,
    ],
    ['/proc/bursar', {}, /^bursar: BURSAR_DATA_DIR: \/proc\/bursar cannot be used .*; write the path of a folder/],
    [
      join(temporaryFolder(t), 'data'),
      { BURSAR_CONFIG: '/proc' },
      /^bursar: BURSAR_CONFIG="\/proc": that is a folder; write the path of a bursar\.yaml\n$/,
    ],
  ]
  for (const [folder, env, said] of starts) {
    const { child, output } = launch(folder, { env })
    const [code] = await once(child, 'exit')
    assert.equal(code, 1)
    assert.match(output(), said)
  }
})
