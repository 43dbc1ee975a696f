/** Clocks: the monotonic one must be the same in every thread, for the meters are. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ManualClock, systemClock } from '../../src/units/clock.ts'

test('a worker thread reads the same monotonic milliseconds as the thread that started it', async () => {
  const clock = new URL('../../src/units/clock.ts', import.meta.url).href
  const code = `
    import { parentPort } from 'node:worker_threads'
    const { systemClock } = await import(${JSON.stringify(clock)})
    parentPort.postMessage(systemClock.elapsed())`
  const before = systemClock.elapsed()
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
  const [inWorker] = (await once(worker, 'message')) as [number]
  const after = systemClock.elapsed()
  assert.ok(before < inWorker && inWorker < after, `${before} < ${inWorker} < ${after}`)
  await once(worker, 'exit')
})

test('the system clock counts wall time and monotonic time in milliseconds', () => {
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 1_000)
  const begun = systemClock.elapsed()
  const until = performance.now() + 20
  while (performance.now() < until);
  const passed = systemClock.elapsed() - begun
  assert.ok(passed >= 20 && passed < 2_000, `${passed}`)
})

test('a manual clock moves only when told to, and a step moves wall time alone', () => {
  const clock = new ManualClock(1_000)
  clock.advance(50)
  assert.deepEqual([clock.now(), clock.elapsed()], [1_050, 50])
  clock.step(10)
  assert.deepEqual([clock.now(), clock.elapsed()], [10, 50])
})
