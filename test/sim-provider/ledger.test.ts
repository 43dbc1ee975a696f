import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { SimLedger } from '../../src/sim/ledger.ts'
import { startSim } from '../../src/sim/server.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { NO_USAGE } from '../../src/usage/usage.ts'
import { HELLO, HELLO_TOKENS, lastServed, post, start, until } from './start.ts'

const CHAT = '/v1/chat/completions'
const LONG = { ...HELLO, stream: true, max_tokens: 16_000 }

describe('the simulated provider’s ledger', () => {
  test('a peer that leaves in mid-stream ends the work at once, and what was sent is what it cost', async (t) => {
    const sim = await start(t, { outputTokens: 16_000, chunkDelayMs: 5 })
    const controller = new AbortController()
    const response = await fetch(`${sim.url}${CHAT}`, {
      method: 'POST',
      body: JSON.stringify(LONG),
      signal: controller.signal,
    })
    const reader = response.body?.getReader()
    await reader?.read()
    await until(() => (sim.ledger()[0]?.sentTokens ?? 0) >= 3, 'some tokens')
    assert.equal(sim.ledger()[0]?.outcome, 'open')
    controller.abort()
    const served = await lastServed(sim)
    assert.equal(served.outcome, 'aborted')
    assert.equal(served.usageReported, false)
    assert.ok(served.sentTokens < 16_000)
    assert.deepEqual(served.usage, { ...NO_USAGE, inputTokens: HELLO_TOKENS, outputTokens: served.sentTokens })
    const { sentTokens } = served
    await post(sim, CHAT, HELLO, { 'x-sim-latency-ms': '30' })
    assert.equal(sim.ledger()[0]?.sentTokens, sentTokens, 'nothing was sent after the end')
  })

  test('a reader that does not read stops the stream, and finds it whole when it goes on', async (t) => {
    const sim = await start(t, { anyModel: true, outputTokens: 100_000 })
    const body = JSON.stringify({ ...LONG, n: 8 })
    const socket = connect(sim.port, '127.0.0.1')
    t.after(() => socket.destroy())
    socket.pause()
    socket.write(
      `POST ${CHAT} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    let sent = -1
    let still = 0
    await until(() => {
      const now = sim.ledger()[0]?.sentTokens ?? 0
      still = now > 0 && now === sent ? still + 1 : 0
      sent = now
      return still > 2_000
    }, 'the stream to stop')
    assert.equal(sim.ledger()[0]?.outcome, 'open')
    assert.ok(sent < 8 * 16_000, 'the provider must not write everything into its own memory')
    let ending = ''
    socket.on('data', (data) => {
      ending = (ending + data.toString()).slice(-100)
    })
    socket.resume()
    const served = await lastServed(sim)
    assert.equal(served.outcome, 'completed')
    assert.equal(served.sentTokens, 8 * 16_000)
    await until(() => ending.includes('data: [DONE]'), 'the end')
  })

  test('bodies are recorded byte for byte, and their hash and length always', async (t) => {
    const sim = await start(t)
    const text =
      '{ "model":"sim-small" ,\n"messages":[{"role":"user","content":"zwölf \\u00fc 😀"}], "seed": 12345678901234567890 }'
    const send = () => fetch(`${sim.url}${CHAT}`, { method: 'POST', body: text })
    assert.equal((await send()).status, 200)
    const plain = await lastServed(sim)
    assert.equal(plain.body, null)
    assert.equal(plain.bodySha256, createHash('sha256').update(text).digest('hex'))
    assert.equal(plain.bodyBytes, Buffer.byteLength(text))
    sim.configure({ recordBodies: true })
    await send()
    assert.ok((await lastServed(sim)).body?.equals(Buffer.from(text)))
    const large = JSON.stringify({ ...HELLO, user: 'x'.repeat(3_000_000) })
    await fetch(`${sim.url}${CHAT}`, { method: 'POST', body: large })
    assert.ok((await lastServed(sim)).body?.equals(Buffer.from(large)))
  })

  test('marks and headers of a call are kept so that attempts can be matched and credentials looked for', async (t) => {
    const clock = new ManualClock(1_800_000_000_000)
    const sim = await start(t, { clock })
    const headers = { 'x-bursar-request-id': 'request-1', 'x-sim-tag': 'attempt 2', authorization: 'Bearer secret' }
    await post(sim, `${CHAT}?trace=1`, HELLO, headers)
    const { id, at, endedAt, method, path, query, format, requestId, tag, headers: kept } = await lastServed(sim)
    assert.deepEqual([id, at, endedAt], [1, clock.now(), clock.now()])
    assert.deepEqual([method, path, query, format], ['POST', CHAT, null, 'openai'])
    assert.deepEqual([requestId, tag, kept], ['request-1', 'attempt 2', null])
    sim.configure({ recordHeaders: true })
    await post(sim, `${CHAT}?trace=1`, HELLO, headers)
    const recorded = await lastServed(sim)
    assert.equal(recorded.query, 'trace=1')
    assert.equal(recorded.headers?.authorization, 'Bearer secret')
  })

  test('only the newest calls are listed, and the sums go on', async (t) => {
    const sim = await start(t, { ledgerMax: 3, outputTokens: 10 })
    for (let call = 0; call < 5; call++) await (await post(sim, CHAT, HELLO)).text()
    await (await post(sim, CHAT, HELLO, { 'x-sim-status': '500' })).text()
    await lastServed(sim)
    assert.deepEqual(
      sim.ledger().map(({ id }) => id),
      [4, 5, 6],
    )
    const totals = sim.totals()
    assert.equal(totals.calls, 6)
    assert.deepEqual(totals.outcomes, { open: 0, completed: 5, aborted: 0, died: 0, stalled: 0, refused: 1 })
    assert.equal(totals.sentTokens, 50)
    assert.deepEqual(totals.usage, { ...NO_USAGE, inputTokens: 5 * HELLO_TOKENS, outputTokens: 50 })
  })

  test('a call from before a clearing ends without a trace in the sums after it', async (t) => {
    const sim = await start(t)
    const waiting = post(sim, CHAT, HELLO, { 'x-sim-stall': 'headers' })
    await until(() => sim.ledger().length === 1, 'the call')
    const [early] = sim.ledger()
    sim.clear()
    assert.deepEqual(sim.ledger(), [])
    await sim.close()
    await assert.rejects(waiting)
    assert.equal(early?.outcome, 'stalled')
    assert.deepEqual(sim.totals(), new SimLedger(1).totals())
  })
})

describe('listening', () => {
  test('a port that is taken rejects, and closing twice is harmless', async (t) => {
    const sim = await start(t)
    await assert.rejects(startSim({ port: sim.port }), { code: 'EADDRINUSE' })
    await sim.close()
    await sim.close()
    await assert.rejects(fetch(sim.url))
  })
})

describe('the routes under /_sim', () => {
  test('the ledger is read, cleared and the settings changed from another process', async (t) => {
    const sim = await start(t)
    assert.deepEqual(await (await fetch(`${sim.url}/_sim/health`)).json(), { status: 'ok' })
    const changed = await post(sim, '/_sim/configure', {
      output_tokens: 3,
      record_bodies: true,
      record_headers: true,
      require_key: 'sk-secret',
    })
    const settings = JSON.parse(await changed.text())
    assert.equal(settings.output_tokens, 3)
    assert.equal(settings.require_key, 'set')
    const { choices } = JSON.parse(await (await post(sim, CHAT, HELLO, { 'api-key': 'sk-secret' })).text())
    assert.equal(choices[0].message.content.split(' ').length, 3)
    await lastServed(sim)

    const { calls, totals } = JSON.parse(await (await fetch(`${sim.url}/_sim/ledger`)).text())
    assert.equal(calls.length, 1)
    assert.equal(calls[0].outcome, 'completed')
    assert.equal(calls[0].usage.output_tokens, 3)
    assert.equal(calls[0].headers['content-type'], 'application/json')
    assert.equal(Buffer.from(calls[0].body, 'base64').toString(), JSON.stringify(HELLO))
    assert.equal(totals.usage.input_tokens, HELLO_TOKENS)

    await fetch(`${sim.url}/_sim/ledger`, { method: 'DELETE' })
    assert.deepEqual(sim.ledger(), [])
  })

  test('unknown settings and bad values change nothing', async (t) => {
    const sim = await start(t, { outputTokens: 3 })
    for (const bad of [
      { output_token: 5 },
      { outputTokens: 5 },
      { output_tokens: 5, chunks: 0 },
      { output_tokens: 1.5 },
    ]) {
      const response = await post(sim, '/_sim/configure', bad)
      assert.equal(response.status, 400)
    }
    assert.equal((await post(sim, '/_sim/other', {})).status, 404)
    const settings = JSON.parse(await (await post(sim, '/_sim/configure', {})).text())
    assert.equal(settings.output_tokens, 3)
  })
})
