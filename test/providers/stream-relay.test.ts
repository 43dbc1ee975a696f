import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { callOptionsOf } from '../../src/providers/call-options.ts'
import { Pools } from '../../src/providers/pools.ts'
import { StreamRelay } from '../../src/providers/stream-relay.ts'
import { tapFor } from '../../src/providers/tap-for.ts'
import { defaultSettings } from '../../src/schemas/settings.ts'
import { silentLog } from '../../src/units/log.ts'
import { UsageTracker } from '../../src/usage/tracker.ts'
import { Engine } from '../admission/engine.ts'

const IDLE_MS = 5_000

/** A relay to a client that reads only when told to. */
function world(t: TestContext, readable = false) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const engine = new Engine()
  const { facts, clock, ledger, admission } = engine
  const estimator = { learn() {} }
  const tracker = new UsageTracker({
    stored: { made() {} },
    ledger,
    admission,
    facts,
    clock,
    log: silentLog,
    estimator,
    settings: defaultSettings,
  })
  const unread: (() => void)[] = []
  let reads = false
  const socket = new Duplex({
    read() {},
    write: (_bytes, _encoding, done) => (reads ? done() : void unread.push(done)),
  })
  const raw = new ServerResponse(new IncomingMessage(new Socket()))
  raw.assignSocket(socket as Socket)
  raw.on('error', () => {})
  const settings = { ...defaultSettings, server: { ...defaultSettings.server, idleTimeoutMs: IDLE_MS } }
  const parts = {
    pools: new Pools({ connectTimeoutMs: 1, connectionsMax: null }),
    facts,
    clock,
    log: silentLog,
    tokensOfText: () => 1,
    options: callOptionsOf(settings, 1_000),
    resting: { answered() {} },
  }
  const controller = {
    aborted: false,
    paused: false,
    reason: null,
    rawHeaders: null,
    rawTrailers: null,
    abort() {},
    pause() {},
    resume() {},
  }
  const attempt = tracker.begin(engine.admit({ stream: true }))
  const tap = readable ? tapFor(attempt.admitted, { 'content-type': 'text/event-stream' }) : null
  assert.ok(tap !== 'unreadable')
  const relay = new StreamRelay({ parts, attempt, controller, status: 200, endsWithConnection: false }, raw, tap)
  return {
    relay,
    raw,
    attempt,
    /** From now on the client reads everything. */
    read() {
      reads = true
      for (const done of unread.splice(0)) done()
    },
  }
}

describe('F27 a client that never reads the end of its stream', () => {
  test('is given up after the idle time, when its attempt has long ended', (t) => {
    const { relay, raw, attempt } = world(t)
    relay.write(Buffer.alloc(100_000))
    relay.end()
    assert.deepEqual([attempt.ended, raw.writableEnded, raw.writableFinished], [true, true, false])
    t.mock.timers.tick(IDLE_MS - 1)
    assert.equal(raw.destroyed, false)
    t.mock.timers.tick(1)
    assert.equal(raw.destroyed, true)
  })

  test('is given up too where the provider died and nobody reads the last event', (t) => {
    const { relay, raw, attempt } = world(t, true)
    relay.write(Buffer.from(`data: {"choices":[{"delta":{"content":"${'x'.repeat(100_000)}"}}]}\n\n`))
    relay.died({ code: 'upstream_unreachable', message: 'gone' }, 'UND_ERR_SOCKET')
    assert.deepEqual([attempt.ended, raw.destroyed], [true, false])
    t.mock.timers.tick(IDLE_MS)
    assert.equal(raw.destroyed, true)
  })

  test('one that reads it in time keeps its connection', async (t) => {
    const { relay, raw, read } = world(t)
    relay.write(Buffer.alloc(100_000))
    relay.end()
    read()
    await new Promise((resolve) => raw.once('finish', resolve))
    t.mock.timers.tick(IDLE_MS)
    assert.equal(raw.destroyed, false)
  })
})
