/** Told to stop at any moment, the program ends soon, says so, and leaves nothing half done. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { postgresDatabases } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { createKey, eventsOf, launch, startProgram, startWithSim, temporaryFolder } from '../helpers/program.ts'

const open = postgresDatabases()

async function emptyDatabase(t: TestContext): Promise<{ url: string; session: pg.Client }> {
  const { url } = await open(t, { migrate: false })
  if (url === null) throw new Error('a real Postgres has an address')
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  t.after(() => session.end())
  return { url, session }
}

/** Waits until a session of the program waits for a lock that ours holds. */
async function blocked(session: pg.Client): Promise<void> {
  await eventually(async () => {
    // Inside a transaction the view would stay as it was at first sight.
    await session.query('select pg_stat_clear_snapshot()')
    const { rows } = await session.query(
      `select from pg_stat_activity where application_name like 'bursar%' and wait_event_type = 'Lock' and datname = current_database()`,
    )
    assert.ok(rows.length > 0, 'nothing of the program waits for a lock')
  })
}

test('T19 in the middle of a start that waits for its database', async (t) => {
  const { child, output } = launch(`${temporaryFolder(t)}/data`, {
    env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' },
  })
  const ended = once(child, 'close')
  t.after(() => child.kill('SIGKILL'))
  await eventually(() => assert.match(output(), /ECONNREFUSED/))
  child.kill('SIGTERM')
  const [code, signal] = await ended
  assert.deepEqual([code, signal], [0, null], output())
  assert.match(output(), /"msg":"stopping: requests in flight may finish/)
})

test('T19 in the middle of a migration: it is there wholly or not at all, and the next start goes on', async (t) => {
  const { url, session } = await emptyDatabase(t)
  const env = { DATABASE_URL: url }
  // Creating the first table of that name waits for us.
  await session.query('begin')
  await session.query('create table customers (id int)')
  const { child, output } = launch(`${temporaryFolder(t)}/data`, { env })
  const ended = once(child, 'close')
  t.after(() => child.kill('SIGKILL'))
  await blocked(session)
  child.kill('SIGTERM')
  await eventually(() => assert.match(output(), /"msg":"stopping/))
  await session.query('rollback')
  await ended
  const { rows } = await session.query(
    `select to_regclass('schema_migrations') as applied, to_regclass('limits') as made`,
  )
  const [{ applied, made }] = rows
  const names = applied === null ? [] : (await session.query('select name from schema_migrations')).rows
  assert.equal(made !== null, names.length > 0, 'tables are there where the list says so')
  const again = await startProgram(t, { env })
  assert.equal(await again.stop(), 0, again.output())
})

test('T19 F09 F10 in the middle of a dump: it is waited for, and everything is in the books once', async (t) => {
  const { url, session } = await emptyDatabase(t)
  const env = { DATABASE_URL: url, BURSAR_DUMP_CRON: '* * * * * *' }
  const program = await startWithSim(t, { env })
  const { key, id } = await createKey(program)
  await session.query('begin')
  await session.query('lock table usage_hourly in exclusive mode')
  const answered: string[] = []
  for (let n = 0; n < 5; n += 1) {
    const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }], max_tokens: 5 }),
    })
    assert.equal(response.status, 200)
    answered.push(response.headers.get('x-bursar-request-id') as string)
  }
  await blocked(session)
  const stopped = program.stop('SIGTERM')
  await eventually(() => assert.match(program.output(), /"msg":"stopping/))
  await session.query('rollback')
  assert.equal(await stopped, 0, program.output())
  const { rows } = await session.query('select request_id from usage_events where virtual_key_id = $1', [id])
  assert.deepEqual(rows.map(({ request_id }) => request_id).sort(), answered.sort())
})

test('T19 while what is in flight finishes, load balancers are told, and new work is sent elsewhere', async (t) => {
  const program = await startWithSim(t)
  const { key } = await createKey(program)
  program.sim.configure({ chunkDelayMs: 300 })
  const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }], max_tokens: 10 }
  const ask = (method: string, path: string, sent?: object) =>
    onNewConnection(program.gatewayUrl, method, path, key, sent)
  const streaming = ask('POST', '/v1/chat/completions', { ...body, stream: true })
  await eventually(() => assert.equal(program.sim.ledger().length, 1))
  const stopped = program.stop()
  await eventually(() => assert.match(program.output(), /"msg":"stopping/))
  const ready = await ask('GET', '/readyz')
  assert.deepEqual([ready.status, JSON.parse(ready.text)], [503, { status: 'draining' }])
  assert.equal((await ask('GET', '/livez')).status, 200)
  const refused = await ask('POST', '/v1/chat/completions', body)
  assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [503, 'overloaded'])
  assert.match(String(refused.headers['retry-after']), /^\d+$/)
  const { status, text } = await streaming
  assert.deepEqual([status, text.trimEnd().endsWith('data: [DONE]')], [200, true])
  assert.equal(await stopped, 0, program.output())
})

test('T19 F09 a second signal ends at once, and the journal has what the books have not', async (t) => {
  const program = await startWithSim(t, { yaml: 'server: { drain: 30s }' })
  const { key, id } = await createKey(program)
  program.sim.configure({ chunkDelayMs: 2_000 })
  const streaming = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'gpt-4o-mini',
      stream: true,
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 20,
    }),
  })
  const read = streaming.text().catch(() => 'cut')
  process.kill(program.pid, 'SIGTERM')
  await eventually(() => assert.match(program.output(), /"msg":"stopping/))
  // What comes within half a second is npm handing the first one on.
  const startedAt = performance.now()
  await eventually(() => assert.ok(performance.now() - startedAt > 600))
  assert.equal(await program.stop('SIGTERM'), 1)
  assert.match(program.output(), /"msg":"ending at once"/)
  assert.equal(await read, 'cut')
  const again = await startProgram(t, { dataDir: program.dataDir })
  const events = await eventsOf<{ usage_source: string }>(again, `virtual_key_id=${id}`)
  assert.equal(events.length, 1)
  assert.ok(['orphaned', 'partial'].includes(events[0]?.usage_source ?? ''), `${events[0]?.usage_source}`)
})

/** Asked on a connection of its own: one that waits for the next request is closed while the program drains. */
async function onNewConnection(base: string, method: string, path: string, key: string, sent?: object) {
  const asked = request(new URL(path, base), {
    method,
    agent: false,
    headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
  })
  asked.end(sent === undefined ? undefined : JSON.stringify(sent))
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const piece of answer.setEncoding('utf8')) text += piece
  return { status: answer.statusCode, headers: answer.headers, text }
}
