/** Alerts through the real program: in the log and in the admin API, once, also when it is restarted in between. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFileSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { createKey, onBothDatabases, type Program, startProgram, startWithSim } from '../helpers/program.ts'

interface AlertRow {
  readonly limit_id: string
  readonly threshold: string
  readonly used: string | number
  readonly max: string | number
  readonly window_started_at: string | null
}

async function ask(program: Program, key: string, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }], max_tokens: 10 }),
    })
    assert.equal(response.status, 200, await response.text())
  }
}

async function alertsOf(program: Program, limitId: string, count: number): Promise<AlertRow[]> {
  return eventually(async () => {
    const { data } = await program.admin<{ data: AlertRow[] }>('GET', `/alerts?limit_id=${limitId}`)
    assert.equal(data.length, count, JSON.stringify(data))
    return data
  })
}

onBothDatabases('F10 F11 an alert is raised once per window, also across a restart', async (t, env) => {
  // Dumps come quickly, so that nothing has to wait for them.
  const often = { ...env, BURSAR_DUMP_CRON: '* * * * * *' }
  const program = await startWithSim(t, { env: often })
  const { key, id } = await createKey(program, [
    { metric: 'requests', max: 10, window: 'lifetime' },
    { metric: 'requests', max: 4, window: '1d', mode: 'observe', alert_at: ['0.5'] },
  ])
  const { data: limits } = await program.admin<{ data: { id: string; mode: string }[] }>(
    'GET',
    `/limits?scope_id=${id}`,
  )
  const idOf = (mode: string) => limits.find((limit) => limit.mode === mode)?.id ?? assert.fail(`no limit to ${mode}`)

  await ask(program, key, 8)
  const [only] = await alertsOf(program, idOf('enforce'), 1)
  assert.deepEqual(
    [only?.threshold, only?.used, only?.max, only?.window_started_at],
    ['0.8', 8, 10, null],
    'a lifetime has no beginning',
  )
  assert.deepEqual(
    (await alertsOf(program, idOf('observe'), 1)).map(({ threshold, used }) => [threshold, used]),
    [['0.5', 2]],
  )
  const logged = (output: string) => [...output.matchAll(/a limit has reached a share of its maximum/g)].length
  assert.equal(logged(program.output()), 2)
  assert.equal(await program.stop(), 0)

  const again = await startProgram(t, { dataDir: program.dataDir, env: often })
  // Its provider is in the books.
  await ask(again, key, 2)
  const both = await alertsOf(again, idOf('enforce'), 2)
  assert.deepEqual(both.map(({ threshold }) => threshold).sort(), ['0.8', '1'])
  await alertsOf(again, idOf('observe'), 1)
  assert.equal(logged(again.output()), 1, 'what was said before the restart is not said again')
})

interface Delivered {
  readonly id: string
  readonly kind: string
  readonly message: string
  readonly limit?: { readonly scope_name: string; readonly threshold: string; readonly used: string }
}

/** A receiver that is down until told otherwise. */
async function receiver(t: TestContext) {
  const delivered: Delivered[] = []
  let isUp = false
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (isUp) delivered.push(JSON.parse(Buffer.concat(chunks).toString()))
    response.writeHead(isUp ? 204 : 503).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const { port } = server.address() as AddressInfo
  const up = () => {
    isUp = true
  }
  return { delivered, url: `http://127.0.0.1:${port}/bursar`, up }
}

test('F10 the webhook is told of each alert once, also when it was down and the gateway was killed meanwhile', async (t) => {
  const { delivered, url, up } = await receiver(t)
  const yaml = `alerts: { webhook: { url: "${url}", secret: shared } }\n`
  const env = { BURSAR_DUMP_CRON: '* * * * * *' }
  const program = await startWithSim(t, { env, yaml })
  const { key } = await createKey(program, [{ metric: 'requests', max: 5, window: 'lifetime' }])
  await ask(program, key, 4)
  const tried = await program.admin<{ delivered: boolean; error: string }>('POST', '/alerts/test', undefined, 200)
  assert.deepEqual([tried.delivered, tried.error], [false, 'answered 503'])
  await eventually(async () => {
    const { data } = await program.admin<{ data: { kind: string; delivery_error: string }[] }>('GET', '/alerts')
    assert.deepEqual(data.map(({ kind, delivery_error }) => [kind, delivery_error]).sort(), [
      ['limit', 'answered 503'],
      ['test', 'answered 503'],
    ])
  })
  await program.stop('SIGKILL')
  up()

  const again = await startProgram(t, { dataDir: program.dataDir, env, yaml })
  await eventually(() => assert.equal(delivered.length, 1))
  await ask(again, key, 1)
  await eventually(() => assert.equal(delivered.length, 2))
  assert.deepEqual(
    delivered.map(({ kind, limit }) => [kind, limit?.threshold, limit?.used]),
    [
      ['limit', '0.8', '4'],
      ['limit', '1', '5'],
    ],
  )
  await eventually(async () => {
    const { data } = await again.admin<{ data: { kind: string; delivered_at: string | null }[] }>('GET', '/alerts')
    assert.deepEqual(data.map(({ kind, delivered_at }) => [kind, delivered_at === null]).sort(), [
      ['limit', false],
      ['limit', false],
      ['test', true],
    ])
  })
})

test('F10 what a start puts into quarantine is told once, whoever puts it there and however often it starts again', async (t) => {
  const env = { BURSAR_DUMP_CRON: '* * * * * *' }
  const first = await startWithSim(t, { env })
  const { dataDir } = first
  await ask(first, (await createKey(first)).key, 1)
  const damage = () => {
    const segments = readdirSync(join(dataDir, 'journal'))
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
    appendFileSync(join(dataDir, 'journal', segments.at(-1) ?? assert.fail('there is a journal')), 'garbage\n')
  }
  const told = async (program: Program) => {
    const { data } = await program.admin<{ data: { kind: string; message: string }[] }>('GET', '/alerts')
    return data.map(({ kind, message }) => [kind, /^\d+ facts?/.exec(message)?.[0], /\d+ lie/.exec(message)?.[0]])
  }
  await first.stop('SIGKILL')

  damage()
  const second = await startProgram(t, { dataDir, env })
  await eventually(async () => assert.deepEqual(await told(second), [['quarantine', '1 fact', '1 lie']]))
  await second.stop('SIGKILL')

  damage()
  damage()
  const third = await startProgram(t, { dataDir, env })
  await eventually(async () => assert.deepEqual((await told(third))[0], ['quarantine', '2 facts', '3 lie']))
  await third.stop()

  const fourth = await startProgram(t, { dataDir, env })
  await fourth.admin('POST', '/reload', undefined, 200)
  await fourth.admin('POST', '/reload', undefined, 200)
  assert.equal((await told(fourth)).length, 2)

  rmSync(join(dataDir, 'quarantine'), { recursive: true })
  await eventually(async () => {
    const { status } = await fourth.admin<{ status: string }>('GET', '/status')
    assert.equal(status, 'ok', 'once somebody has taken them away')
  })
})
