import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { TokenCounter, type TokenCounterOptions } from '../../src/tokens/counter.ts'
import { ManualClock, systemClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { eventually } from '../helpers/eventually.ts'

function countable(text: string) {
  const body = Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }))
  return { format: 'openai', endpoint: 'chat', body, textBytes: body.length } as const
}

function start(t: TestContext, options: Partial<TokenCounterOptions> = {}): TokenCounter {
  const counter = new TokenCounter({ clock: systemClock, log: silentLog, ...options })
  t.after(() => counter.close())
  return counter
}

/** A thread that is ready and then does as the test says. */
function thread(onMessage: string): URL {
  const source = `import { parentPort } from 'node:worker_threads'
    parentPort.on('message', (request) => { ${onMessage} })
    parentPort.postMessage('ready')`
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`)
}

describe('the counter', () => {
  test('counts in a thread of its own, in order, again after it was closed', async (t) => {
    const counter = start(t)
    const counts = await Promise.all([counter.count(countable('Hello')), counter.count(countable('Hello there, you'))])
    assert.deepEqual(
      counts.map((count) => count?.tokens),
      [2, 5],
    )
    await counter.close()
    assert.equal((await counter.count(countable('Hello')))?.tokens, 2)
  })

  test('leaves the caller’s bytes alone', async (t) => {
    const counter = start(t)
    const facts = countable('Hello')
    await counter.count(facts)
    assert.equal(JSON.parse(facts.body.toString()).messages[0].content, 'Hello')
  })

  test('counts nothing beyond its queue', async (t) => {
    const counter = start(t, { queueMax: 2, program: thread(''), timeLimitMs: 50 })
    assert.equal(await counter.count(countable('keeps the thread busy')), null)
    const order: string[] = []
    const counted = (text: string) => counter.count(countable(text)).finally(() => order.push(text))
    const waiting = [counted('a'), counted('b')]
    assert.equal(await counted('c'), null)
    assert.deepEqual(order, ['c'], 'at once')
    assert.deepEqual(await Promise.all(waiting), [null, null])
  })

  test('gives up when its time is up, and goes on with the next', async (t) => {
    // No machine parses and counts 3 MB in 10 ms; a busy one may need several attempts for a word.
    const counter = start(t, { timeLimitMs: 10 })
    const counts = async () => assert.notEqual(await counter.count(countable('a word')), null)
    await eventually(counts)
    const before = systemClock.elapsed()
    assert.equal(await counter.count(countable('three million '.repeat(214_000))), null)
    assert.ok(systemClock.elapsed() - before >= 9)
    await eventually(counts)
  })

  test('does not begin with a text that is too long', async (t) => {
    const counter = start(t, { program: thread('process.exit(1)') })
    assert.equal(await counter.count({ ...countable('x'), textBytes: 5_000_000 }), null)
  })

  test('survives the crash of its thread: nobody is counted for a while, then it is started again', async (t) => {
    const clock = new ManualClock(0)
    const warnings: object[] = []
    const log = { ...silentLog, warn: (fields: object) => warnings.push(fields) }
    const reply = 'parentPort.postMessage({ id: request.id, count: { tokens: 7, floor: 7 } })'
    const program = thread(`if (request.id <= 2) throw new Error('broken'); ${reply}`)
    const counter = start(t, { clock, log, program })
    assert.deepEqual(await Promise.all([counter.count(countable('a')), counter.count(countable('b'))]), [null, null])
    assert.equal(warnings.length, 1)
    assert.partialDeepStrictEqual(warnings[0], { crashes: 1 })
    assert.equal(await counter.count(countable('c')), null, 'still resting')
    clock.advance(5_001)
    assert.deepEqual(await counter.count(countable('d')), { tokens: 7, floor: 7 })
  })
})
