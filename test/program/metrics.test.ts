/** What operators look at, through the real program: metrics, and one log line a request. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { copyEmptyEmbedded } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/ports.ts'
import { createKey, launch, startWithSim, temporaryFolder } from '../helpers/program.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PROMPT = 'a prompt that nobody may read'

/** Sends what no parser of HTTP takes, and waits for the answer's end. */
async function noHttp(url: string): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').resume()
  socket.end('this is not HTTP\r\n\r\n')
  await once(socket, 'close')
}

test('F23 requests, refusals and limits show in the metrics, and each request in one log line, without key or prompt', async (t) => {
  const program = await startWithSim(t)
  program.sim.configure({ recordHeaders: true })
  const { key, id } = await createKey(program, [{ metric: 'requests', max: 2, window: '1d' }])
  const ask = (headers: Record<string, string> = {}) =>
    fetch(`${program.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: PROMPT }], max_tokens: 10 }),
    })
  const first = await ask({ traceparent: `00-${TRACE}-00f067aa0ba902b7-01` })
  assert.equal(first.status, 200)
  assert.equal((await ask()).status, 200)
  assert.equal((await ask()).status, 429)
  assert.equal((await ask({ 'x-bursar-key': 'sk-unknown-0123456789' })).status, 401)
  assert.equal(program.sim.ledger()[0]?.headers?.traceparent, `00-${TRACE}-00f067aa0ba902b7-01`, 'passed on')

  for (const [path, method, status] of [
    ['/v1/nothing', 'GET', 404],
    ['/v2/nothing', 'POST', 404],
    ['/v1/chat/completions', 'PUT', 405],
    ['/v1/models/%E0%A4%A', 'GET', 400],
  ] as const) {
    assert.equal((await fetch(`${program.gatewayUrl}${path}`, { method })).status, status, path)
  }
  await noHttp(program.gatewayUrl)

  const viewer = await program.admin<{ key: string }>('POST', '/management-keys', {
    name: 'prometheus',
    role: 'viewer',
  })
  const { id: customer } = await program.admin<{ id: string }>('POST', '/customers', { name: 'acme' })
  const bound = await program.admin<{ key: string }>('POST', '/management-keys', {
    name: 'theirs',
    role: 'viewer',
    customer_id: customer,
  })
  const scrape = (as: string | null) =>
    fetch(`${program.adminUrl}/metrics`, { headers: as === null ? {} : { authorization: `Bearer ${as}` } })
  assert.equal((await scrape(null)).status, 401)
  assert.equal((await scrape(bound.key)).status, 403, 'other people’s traffic')
  const answer = await scrape(viewer.key)
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await answer.text()
  for (const line of [
    /^bursar_requests_total\{provider="sim",model="gpt-4o-mini"\} 2$/m,
    /^bursar_refusals_total\{code="rate_limited"\} 1$/m,
    /^bursar_refusals_total\{code="key_unknown"\} 1$/m,
    /^bursar_refusals_total\{code="not_found"\} 2$/m,
    /^bursar_refusals_total\{code="method_not_allowed"\} 1$/m,
    /^bursar_refusals_total\{code="invalid_request"\} 2$/m,
    /^bursar_overhead_seconds_count 2$/m,
    /^bursar_limit_used\{[^}]*metric="requests"[^}]*\} 2$/m,
    /^bursar_database_up 1$/m,
    /^nodejs_eventloop_lag_p99_seconds \d/m,
  ]) {
    assert.match(text, line)
  }

  const own = await fetch(`${program.gatewayUrl}/v1/key`, { headers: { 'x-bursar-key': key } })
  assert.equal((await fetch(`${program.gatewayUrl}/v1/models`, { headers: { 'x-bursar-key': key } })).status, 200)
  assert.equal((await ask({ 'x-bursar-dry-run': '1', traceparent: `00-${TRACE}-00f067aa0ba902b7-01` })).status, 200)

  const lines = await eventually(() => {
    const all = program
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
      .filter(({ decision }) => decision !== undefined)
    assert.equal(all.length, 11, all.map(({ msg }) => msg).join('\n'))
    return all
  })
  const [served] = lines
  assert.deepEqual(
    [served.msg, served.requestId, served.virtualKeyId, served.traceId, served.status, served.usageSource],
    ['request ended', first.headers.get('x-bursar-request-id'), id, TRACE, 200, 'reported'],
  )
  assert.ok(served.overheadMs > 0 && served.latencyMs >= 0)
  assert.deepEqual(
    lines.slice(2, 4).map(({ msg, decision, code, virtualKeyId }) => [msg, decision, code, virtualKeyId ?? null]),
    [
      ['request refused', 'refused', 'rate_limited', id],
      ['request refused', 'refused', 'key_unknown', null],
    ],
  )
  assert.deepEqual(
    lines
      .slice(8)
      .map(({ decision, virtualKeyId, path, verdict, code, traceId }) => [
        decision,
        virtualKeyId === id,
        path ?? null,
        verdict ?? null,
        code ?? null,
        traceId,
      ]),
    [
      ['answered', true, '/v1/key', null, null, null],
      ['answered', true, '/v1/models', null, null, null],
      ['explained', true, null, 'refuse', 'rate_limited', TRACE],
    ],
  )
  assert.equal(lines[8].requestId, own.headers.get('x-bursar-request-id'))
  assert.ok(!program.output().includes(PROMPT) && !program.output().includes(key) && !text.includes(key))
})

test('requests are served on when neither the log nor anything else that it says is taken', async (t) => {
  const dataDir = join(temporaryFolder(t), 'data')
  await copyEmptyEmbedded(dataDir)
  const ports = { BURSAR_PORT: String(await freePort()), BURSAR_ADMIN_PORT: String(await freePort()) }
  const { child } = launch(dataDir, {
    env: { ...ports, BURSAR_METRICS_OPEN: '1' },
    through: (command) => ['sh', '-c', 'exec "$@" > /dev/full 2>&1', 'sh', ...command],
  })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [gateway, admin] = Object.values(ports).map((port) => `http://127.0.0.1:${port}`)
  await eventually(async () => assert.equal((await fetch(`${gateway}/readyz`)).status, 200), 60_000)
  const headers = {
    'content-type': 'application/json',
    'x-bursar-key': readFileSync(join(dataDir, 'keys', 'first'), 'utf8').trim(),
  }
  for (let n = 0; n < 5; n += 1) {
    const body = JSON.stringify({ model: 'sim-small', messages: [], max_tokens: 5 })
    assert.equal((await fetch(`${gateway}/v1/chat/completions`, { method: 'POST', headers, body })).status, 200)
  }
  const lost = await eventually(async () => {
    const found = /^bursar_log_lines_lost_total (\d+)$/m.exec(await (await fetch(`${admin}/metrics`)).text())
    return Number(found?.[1] ?? assert.fail('it is counted'))
  })
  assert.ok(lost > 5, `${lost} lines`)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})
