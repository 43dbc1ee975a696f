import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { messageOf } from '../../src/alerts/alert.ts'
import { Notices } from '../../src/alerts/notices.ts'
import { OperationsWatch } from '../../src/alerts/operations-watch.ts'
import { Outbox } from '../../src/alerts/outbox.ts'
import { webhookTo } from '../../src/alerts/webhook.ts'
import type { AlertFact, NoticeFact } from '../../src/ledger/facts.ts'
import { ManualClock, systemClock } from '../../src/units/clock.ts'
import { newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { world } from '../helpers/alert-world.ts'
import { aLimit, aTeam } from '../helpers/entities.ts'
import { eventually } from '../helpers/eventually.ts'
import { RecordedFacts } from '../helpers/recorded-facts.ts'

interface Call {
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A receiver that answers with the statuses given, then with 200. */
async function receiver(t: TestContext, ...statuses: number[]): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    calls.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
    response.writeHead(statuses.shift() ?? 200, { location: 'http://127.0.0.1:1/' }).end('thanks')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, calls }
}

function outboxTo(url: string, facts = new RecordedFacts()) {
  const { store } = world()
  const outbox = new Outbox({
    deliver: webhookTo({ url, secret: 'a shared secret' }, systemClock),
    messageOf: (alert) => messageOf(alert, store),
    facts,
    clock: systemClock,
    log: silentLog,
    retryMs: 5,
  })
  return { outbox, facts }
}

const notice = (fields: Partial<NoticeFact> = {}): NoticeFact => ({
  t: 'notice',
  id: newId(),
  at: Date.now(),
  kind: 'quarantine',
  subjectId: null,
  message: 'One fact went to quarantine.',
  ...fields,
})

test('an alert is delivered signed over time and body, so that a receiver can tell who speaks', async (t) => {
  const { url, calls } = await receiver(t)
  const { outbox, facts } = outboxTo(url)
  const alert = notice()
  outbox.add(alert)
  outbox.add(alert)
  await eventually(() => assert.equal(outbox.waiting, 0))
  assert.equal(calls.length, 1, 'the same alert is sent once')
  const [call] = calls as [Call]
  const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(call.headers['x-bursar-signature'])) ?? []
  assert.equal(signature, createHmac('sha256', 'a shared secret').update(`${seconds}.${call.body}`).digest('hex'))
  assert.ok(Math.abs(Number(seconds) * 1_000 - Date.now()) < 60_000)
  assert.deepEqual(JSON.parse(call.body), {
    id: alert.id,
    kind: 'quarantine',
    at: new Date(alert.at).toISOString(),
    message: 'One fact went to quarantine.',
  })
  assert.deepEqual(
    facts.of('delivery').map(({ alertId, attempts, error }) => [alertId, attempts, error]),
    [[alert.id, 1, null]],
  )
})

test('what the receiver does not take is tried again until it does; a redirect is not followed', async (t) => {
  const { url, calls } = await receiver(t, 500, 302, 429)
  const { outbox, facts } = outboxTo(url)
  outbox.add(notice())
  await eventually(() => assert.equal(outbox.waiting, 0))
  assert.equal(calls.length, 4)
  assert.deepEqual(
    facts.of('delivery').map(({ attempts, error }) => [attempts, error]),
    [
      [1, 'answered 500'],
      [2, 'answered 302'],
      [3, 'answered 429'],
      [4, null],
    ],
  )
})

for (const [what, ending] of Object.entries<(response: ServerResponse) => void>({
  'never ends': (response) => response.writeHead(200).write('thanks'),
  'breaks off': (response) => response.writeHead(200, { 'content-length': 10 }).write('t', () => response.destroy()),
  'is long': (response) => response.writeHead(202).end('x'.repeat(1_000_000)),
})) {
  test(`a receiver whose answer is 2xx has taken the alert, also when its body ${what}`, async (t) => {
    let calls = 0
    const server = createServer((request, response) => {
      calls += 1
      request.resume().on('end', () => ending(response))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    t.after(() => server.closeAllConnections())
    const { outbox, facts } = outboxTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const since = performance.now()
    outbox.add(notice())
    await eventually(() => assert.equal(outbox.waiting, 0))
    assert.ok(performance.now() - since < 3_000, 'nobody waits for the body')
    assert.deepEqual([calls, ...facts.of('delivery').map(({ error }) => error)], [1, null])
  })
}

test('an alert that cannot be delivered for a day is given up, and the others go on', async (t) => {
  const { url } = await receiver(t, 500)
  const { outbox, facts } = outboxTo(url)
  outbox.add(notice({ at: Date.now() - 25 * 3_600_000 }), 7)
  outbox.add(notice())
  await eventually(() => assert.equal(outbox.waiting, 0))
  assert.deepEqual(
    facts.of('delivery').map(({ attempts, error }) => [attempts, error]),
    [
      [8, 'answered 500'],
      [1, null],
    ],
  )
})

test('nobody listening is no more than a failed try, and a close does not wait for the next', async () => {
  const { outbox, facts } = outboxTo('http://127.0.0.1:1/')
  outbox.add(notice())
  await eventually(() => assert.ok(facts.of('delivery').length > 0))
  assert.equal(facts.of('delivery')[0]?.error, 'failed: ECONNREFUSED')
  await outbox.close()
  outbox.add(notice())
  assert.equal(outbox.waiting, 1)
})

test('F23 the message names limit, scope and amounts for people, money in dollars, and no key', () => {
  const here = world()
  const team = aTeam({ name: 'research' })
  here.store.apply([{ op: 'put', kind: 'team', entity: team }], here.clock.now())
  const scope = { kind: 'team', id: team.id } as const
  const limit = here.put(
    aLimit({ metric: 'cost', max: 2_000_000_000n, scope, model: 'gpt-4o', anchor: here.clock.now() }),
  )
  here.use(limit, 1_700_000_000n)
  const [alert] = here.raised
  assert.ok(alert !== undefined)
  const { message, limit: about } = messageOf(alert, here.store)
  assert.equal(message, 'The team research on gpt-4o, window 1h, has used 1.70 of 2.00 dollars.')
  assert.deepEqual(
    [about?.scope, about?.scope_name, about?.threshold, about?.used, about?.max, about?.resets_at],
    [
      'team',
      'research',
      '0.8',
      '1.70',
      '2.00',
      new Date(here.clock.now() + 3_600_000).toISOString().replace('.000', ''),
    ],
  )
})

test('the message tells what was true when the alert was raised, whatever has been changed since', () => {
  const here = world()
  const team = aTeam({ name: 'research' })
  here.store.apply([{ op: 'put', kind: 'team', entity: team }], here.clock.now())
  const scope = { kind: 'team', id: team.id } as const
  const limit = here.put(aLimit({ metric: 'requests', max: 10n, scope, model: 'gpt-4o', anchor: here.clock.now() }))
  here.use(limit, 8n)
  const alert = here.raised[0] as AlertFact
  assert.ok(alert !== undefined)
  const told = messageOf(alert, here.store)
  const [sentence, window] = ['The team research on gpt-4o, window 1h, has used 8 of 10 requests.', '1h']
  assert.deepEqual([told.message, told.limit?.window, told.limit?.model], [sentence, window, 'gpt-4o'])

  here.clock.advance(1_000)
  here.store.apply([{ op: 'put', kind: 'team', entity: { ...team, name: 'sales' } }], here.clock.now())
  const edited = { ...limit, countNumber: 2, model: 'o1', max: 99n, updatedAt: here.clock.now() }
  here.put({ ...edited, mode: 'observe' })
  const later = messageOf(alert, here.store)
  const { model, window: windowNow, resets_at: resetsAt, mode, max } = later.limit ?? assert.fail('about a limit')
  assert.deepEqual([later.message, model, windowNow, resetsAt, mode, max], [sentence, null, null, null, null, '10'])

  // Raised by an earlier version, whose facts have no sentence.
  const { message: _, ...before } = alert
  here.store.apply([{ op: 'delete', kind: 'limit', id: limit.id }], here.clock.now())
  assert.equal(
    messageOf(before, here.store).message,
    'A limit that has been changed or deleted since has used 8 of 10 requests.',
  )
})

test('an answer that is long in coming holds up no other alert, and only so many are asked for at a time', async (t) => {
  const waiting: ((error: string | null) => void)[] = []
  const asked: string[] = []
  const facts = new RecordedFacts()
  const outbox = new Outbox({
    deliver: ({ id }) => {
      asked.push(id)
      return new Promise((resolve) => waiting.push(resolve))
    },
    messageOf: ({ id }) => ({ id, kind: 'quarantine', at: '', message: '' }),
    facts,
    clock: systemClock,
    log: silentLog,
    retryMs: 5,
  })
  t.after(() => outbox.close())
  const alerts = Array.from({ length: 6 }, () => notice())
  for (const alert of alerts) outbox.add(alert)
  assert.equal(asked.length, 4)
  waiting[1]?.(null)
  waiting[2]?.('answered 500')
  await eventually(() => assert.equal(asked.length, 6))
  waiting[3]?.(null)
  await eventually(() => assert.equal(asked.length, 7))
  assert.equal(asked[6], alerts[2]?.id, 'tried again')
  assert.equal(new Set(asked).size, 6)
  for (const resolve of waiting) resolve(null)
  await eventually(() => assert.equal(outbox.waiting, 0))
})

test('what waits for the webhook is told as it was when it began to wait', async (t) => {
  const { url, calls } = await receiver(t)
  let name = 'research'
  const outbox = new Outbox({
    deliver: webhookTo({ url, secret: null }, systemClock),
    messageOf: ({ id, at }) => ({ id, kind: 'limit', at: String(at), message: name }),
    facts: new RecordedFacts(),
    clock: systemClock,
    log: silentLog,
  })
  outbox.add(notice())
  outbox.add(notice())
  name = 'sales'
  await eventually(() => assert.equal(outbox.waiting, 0))
  assert.deepEqual(
    calls.map(({ body }) => JSON.parse(body).message),
    ['research', 'research'],
  )
})

test('the books falling behind, and facts in quarantine, are told once for each time', () => {
  const clock = new ManualClock(Date.now())
  const facts = new RecordedFacts()
  const watch = new OperationsWatch(new Notices({ facts, clock, log: silentLog }), clock, 2)
  const look = (lastError: string | null, quarantined = 2) => watch.look({ lastDumpAt: 0, lastError, quarantined })
  const told = () => facts.of('notice').map(({ kind }) => kind)
  look(null)
  for (let pass = 0; pass < 7; pass += 1) {
    clock.advance(10_000)
    look('connection refused')
    assert.equal(told().length, pass < 6 ? 0 : 1, `after ${pass + 1} passes`)
  }
  clock.advance(600_000)
  look('connection refused')
  assert.deepEqual(told(), ['dump_lag'])
  look(null)
  clock.advance(61_000)
  look('connection refused')
  assert.deepEqual(told(), ['dump_lag', 'dump_lag'], 'another outage is another alert')
  look(null, 5)
  look(null, 5)
  assert.deepEqual(told().slice(2), ['quarantine'])
  assert.match(facts.of('notice').at(-1)?.message ?? '', /^3 facts .* 5 lie there now\.$/)
})
