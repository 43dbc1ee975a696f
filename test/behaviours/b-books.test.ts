/** Cases of another gateway's own tests about what is written down, loaded again, and edited over the admin API. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import type { MeterState } from '../../src/ledger/reading.ts'
import { load } from '../../src/persist/load.ts'
import { rowOfLimit } from '../../src/persist/rows.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { newId } from '../../src/units/id.ts'
import { testBooks } from '../helpers/books.ts'
import { emptiedDatabase, makeAdmin } from '../helpers/control.ts'
import { aLimit } from '../helpers/entities.ts'
import { settled } from '../helpers/facts.ts'
import { buildFront } from '../helpers/front.ts'

const open = emptiedDatabase()
const HOUR = 3_600_000
const NOON = Math.floor(Date.now() / HOUR) * HOUR

test('B91 B92 B93 a dump adds to the window that was charged: a late one never takes the newest back', async (t) => {
  const database = await open(t)
  const limit = aLimit({ metric: 'requests', max: 100n, window: '1h', anchor: NOON })
  await database.db.insertInto('limits').values(rowOfLimit(limit)).execute()
  const { write, dump } = testBooks(t, database)
  const used = (windowStart: number, amount: number) =>
    settled({ charges: [[limit.id, 1, windowStart, 'requests', `${amount}`]] })
  const loaded = async () => {
    let state: MeterState | null = null
    await load({
      db: database.db,
      secrets: { decrypt: () => '' },
      targets: { entities: () => {}, addresses: () => {}, meter: (_id, found) => (state = found) },
    })
    return state as MeterState | null
  }
  await write([used(NOON, 3)])
  await dump.run()
  assert.deepEqual([(await loaded())?.windowStart, (await loaded())?.posted], [NOON, 3n])
  // The window has rolled under traffic: its start and its own count are in the books.
  await write([used(NOON + HOUR, 2), used(NOON + HOUR, 1)])
  await dump.run()
  assert.deepEqual([(await loaded())?.windowStart, (await loaded())?.posted], [NOON + HOUR, 3n])
  await write([used(NOON, 4)])
  await dump.run()
  const after = await loaded()
  assert.deepEqual(
    [after?.windowStart, after?.posted, after?.previousStart, after?.previousPosted, after?.lifetime],
    [NOON + HOUR, 3n, NOON, 7n, 10n],
  )
})

test('B94 the roll of five thousand limits costs their requests no more than any other: at most 100 µs each', () => {
  const clock = new ManualClock(NOON)
  const ledger = new Ledger(new Meters(() => clock.elapsed(), new SharedArrayBuffer(1_024 * 1_024)))
  const limits = Array.from({ length: 5_000 }, () =>
    aLimit({ metric: 'requests', max: 10n, window: '1m', anchor: NOON }),
  )
  for (const limit of limits) ledger.track(limit, NOON)
  const one = amountsOf({ requests: 1n })
  const times: number[] = []
  for (const round of [0, 1]) {
    clock.advance(round * 60_000)
    for (const limit of limits) {
      const meter = ledger.meterOf(limit.id)
      assert.ok(meter !== null)
      const chain = [{ limit, meter, metric: 0, enforced: true }]
      const begun = performance.now()
      const outcome = ledger.hold({ requestId: limit.id, attempt: 1, chain, amounts: one, deadline: 1e9 }, clock.now())
      if (round === 1) times.push(performance.now() - begun)
      assert.ok(outcome.ok)
      ledger.settle(outcome.hold, one)
      assert.equal(ledger.read(limit.id, clock.now())?.posted, 1n, 'counted once in this window')
    }
  }
  times.sort((a, b) => a - b)
  const median = times[times.length >> 1] ?? assert.fail()
  assert.ok(median <= 0.1, `${median} ms`)
})

describe('over the admin API', () => {
  test('B4 a key that nobody said anything about is active; "null" is no state of a key', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    const { id } = await admin.create('/virtual-keys', { name: 'quiet' })
    assert.equal(admin.store.virtualKeys.get(id)?.active, true)
    assert.equal((await admin.call('PATCH', `/virtual-keys/${id}`, { active: null })).status, 400)
    assert.equal(admin.store.virtualKeys.get(id)?.active, true)
  })

  test('B101 a budget of a team or a customer is in memory as it was edited, and gone with its owner', async (t) => {
    const admin = await makeAdmin(t, await open(t))
    for (const [path, from, to] of [
      ['/teams', '50', '100'],
      ['/customers', '100', '250'],
    ] as const) {
      const budget = { metric: 'cost', max: from, window: '1M' }
      const { id } = await admin.create(path, { name: `of ${path}`, limits: [budget] })
      const inMemory = () => [...admin.store.limits.values()].filter(({ scope }) => scope.id === id)
      const [limit] = inMemory()
      assert.equal(limit?.max, BigInt(from) * 1_000_000_000n)
      assert.equal((await admin.call('PATCH', `/limits/${limit?.id}`, { max: to })).status, 200)
      assert.equal(inMemory()[0]?.max, BigInt(to) * 1_000_000_000n)
      assert.equal(admin.ledger.read(limit?.id ?? '', admin.clock.now())?.max, BigInt(to) * 1_000_000_000n)
      assert.equal((await admin.call('DELETE', `${path}/${id}`)).status, 204)
      assert.deepEqual(inMemory(), [])
      assert.equal(admin.ledger.read(limit?.id ?? '', admin.clock.now()), null)
    }
  })
})

describe('what a key may ask', () => {
  test('B115 its own limits and nobody else’s; without a key nothing', async (t) => {
    const front = await buildFront(t)
    const [mine, others] = [newId(), newId()]
    const value = front.key({ id: mine })
    const limits = [mine, others].map((id) =>
      aLimit({ metric: 'requests', max: 5n, scope: { kind: 'virtual_key', id } }),
    )
    front.put(...limits.map((entity) => ({ op: 'put', kind: 'limit', entity }) as const))
    const own = await front.app.inject({ url: '/v1/key', headers: { 'x-bursar-key': value } })
    assert.equal(own.statusCode, 200, own.body)
    assert.deepEqual(
      (own.json() as { limits: { limit_id: string }[] }).limits.map(({ limit_id }) => limit_id),
      [limits[0]?.id],
    )
    assert.equal((await front.app.inject({ url: '/v1/key' })).statusCode, 401)
  })

  test('B75 T07 a list of models names neither provider nor model, and is charged to nobody', async (t) => {
    const front = await buildFront(t)
    const id = newId()
    const value = front.key({ id })
    const limits = [
      aLimit({ metric: 'requests', max: 1n, scope: { kind: 'virtual_key', id } }),
      aLimit({ metric: 'requests', max: 1n, provider: 'sim' }),
    ]
    front.put(...limits.map((entity) => ({ op: 'put', kind: 'limit', entity }) as const))
    for (let n = 0; n < 3; n++) {
      const listed = await front.app.inject({ url: '/v1/models', headers: { 'x-bursar-key': value } })
      assert.equal(listed.statusCode, 200, listed.body)
    }
    for (const limit of limits) {
      const reading = front.governance.ledger.read(limit.id, front.clock.now())
      assert.deepEqual([reading?.posted, reading?.held], [0n, 0n])
    }
  })
})
