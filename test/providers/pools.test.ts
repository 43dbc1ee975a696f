import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Pools } from '../../src/providers/pools.ts'
import { eventually } from '../helpers/eventually.ts'
import { startUpstream } from '../helpers/upstream.ts'

/** Dispatches one call; the promise resolves when it has ended, with its error. */
function call(pools: Pools, origin: string): Promise<Error | null> {
  return new Promise((resolve) => {
    pools.of(origin).dispatch(
      { path: '/', method: 'POST', body: '{}' },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(null),
        onResponseError: (_controller, error) => resolve(error),
      },
    )
  })
}

test('closing ends at its deadline, also for calls that still wait for a connection', async (t) => {
  const upstream = await startUpstream(t, () => {})
  const pools = new Pools({ connectTimeoutMs: 5_000, connectionsMax: 1 })
  const calls = [call(pools, upstream.url), call(pools, upstream.url)]
  await eventually(() => assert.equal(upstream.received.length, 1))
  await pools.close(50)
  for (const error of await Promise.all(calls)) assert.ok(error instanceof Error)
})

test('closing waits for calls in flight no longer than they take', async (t) => {
  const upstream = await startUpstream(t, () => {})
  const pools = new Pools({ connectTimeoutMs: 5_000, connectionsMax: 1 })
  const calls = [call(pools, upstream.url), call(pools, upstream.url)]
  await eventually(() => assert.equal(upstream.received.length, 1))
  upstream.answer = ({ response }) => response.end()
  const closed = pools.close(600_000)
  upstream.received[0]?.response.end()
  assert.deepEqual(await Promise.all(calls), [null, null])
  await closed
})

/** An unanswered call, whose pool has been replaced since. */
async function callInReplacedPool(t: TestContext) {
  const upstream = await startUpstream(t, () => {})
  const pools = new Pools({ connectTimeoutMs: 5_000, connectionsMax: null, renewEveryMs: 5 })
  const before = pools.of(upstream.url)
  const first = call(pools, upstream.url)
  await eventually(() => assert.equal(upstream.received.length, 1))
  await eventually(() => assert.notEqual(pools.of(upstream.url), before))
  return { upstream, pools, first }
}

test('an unbounded pool is replaced from time to time: calls in flight end in theirs, and closing waits for these too', async (t) => {
  const { upstream, pools, first } = await callInReplacedPool(t)
  let hasClosed = false
  const closed = pools.close(600_000).then(() => {
    hasClosed = true
  })
  await setTimeout(50)
  assert.equal(hasClosed, false)
  upstream.received[0]?.response.end()
  assert.equal(await first, null)
  await closed
})

test('a replaced pool’s calls are broken off at the deadline like any other’s', async (t) => {
  const { pools, first } = await callInReplacedPool(t)
  await pools.close(20)
  assert.ok((await first) instanceof Error)
})

test('a bounded pool stays the same, so that it keeps its bound', async (t) => {
  const upstream = await startUpstream(t, ({ response }) => response.end())
  const [bounded, other] = [1, null].map(
    (connectionsMax) => new Pools({ connectTimeoutMs: 5_000, connectionsMax, renewEveryMs: 5 }),
  ) as [Pools, Pools]
  const [its, others] = [bounded.of(upstream.url), other.of(upstream.url)]
  await eventually(() => assert.notEqual(other.of(upstream.url), others))
  assert.equal(bounded.of(upstream.url), its)
  await Promise.all([bounded.close(0), other.close(0)])
})
