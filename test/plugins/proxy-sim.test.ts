import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSim } from '../../src/sim/server.ts'
import { startGateway } from '../helpers/gateway.ts'

const messages = [{ role: 'user', content: 'Say hello to the accountants.' }]
const contents = [{ role: 'user', parts: [{ text: 'Say hello to the accountants.' }] }]

const CALLS: readonly (readonly [name: string, path: string, body: object])[] = [
  ['chat', '/v1/chat/completions', { model: 'gpt-4o-mini', messages, max_tokens: 40 }],
  ['chat stream', '/v1/chat/completions', { model: 'gpt-4o-mini', messages, max_tokens: 40, stream: true }],
  ['two answers', '/v1/chat/completions', { model: 'sim-small', messages, n: 2, stream: true }],
  ['completion', '/v1/completions', { model: 'gpt-3.5-turbo-instruct', prompt: 'Hello', max_tokens: 40 }],
  [
    'completion stream',
    '/v1/completions',
    { model: 'gpt-3.5-turbo-instruct', prompt: 'Hello', max_tokens: 40, stream: true },
  ],
  ['response', '/v1/responses', { model: 'gpt-5-mini', input: 'Hello', max_output_tokens: 40 }],
  ['response stream', '/v1/responses', { model: 'gpt-5-mini', input: 'Hello', max_output_tokens: 40, stream: true }],
  ['embeddings', '/v1/embeddings', { model: 'text-embedding-3-small', input: ['one', 'two'] }],
  ['message', '/v1/messages', { model: 'claude-sonnet-4-5', messages, max_tokens: 40 }],
  ['message stream', '/v1/messages', { model: 'claude-sonnet-4-5', messages, max_tokens: 40, stream: true }],
  ['Gemini', '/v1beta/models/gemini-2.5-flash:generateContent', { contents }],
  ['Gemini events', '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse', { contents }],
  ['Gemini array', '/v1beta/models/gemini-2.5-flash:streamGenerateContent', { contents }],
]

const PARTS = { 'x-sim-cached-tokens': '3', 'x-sim-reasoning-tokens': '5', 'x-sim-output-tokens': '20' }

test('F08 T05 usage is read exactly, wherever and however a provider reports it', async (t) => {
  const sim = await startSim()
  t.after(() => sim.close())
  const gateway = await startGateway(t)
  gateway.provider({ name: 'sim', kind: 'sim', baseUrl: sim.url })
  gateway.key()
  for (const [name, path, body] of CALLS) {
    for (const usage of ['normal', 'split', 'early', 'each']) {
      await t.test(`${name}, usage ${usage}`, async () => {
        const response = await gateway.post(path, body, { ...PARTS, 'x-sim-usage': usage })
        assert.equal(response.status, 200, await response.clone().text())
        await response.text()
        await gateway.settled()
        const served = sim.ledger().at(-1)
        const event = gateway.events().at(-1)
        assert.ok(served?.usage && event)
        assert.equal(served.requestId, event.requestId)
        assert.deepEqual(
          {
            source: event.usageSource,
            inputTokens: event.inputTokens,
            outputTokens: event.outputTokens,
            cacheReadTokens: event.cacheReadTokens,
            reasoningTokens: event.reasoningTokens,
          },
          {
            source: 'reported',
            inputTokens: served.usage.inputTokens,
            outputTokens: served.usage.outputTokens,
            cacheReadTokens: served.usage.cacheReadTokens,
            reasoningTokens: served.usage.reasoningTokens,
          },
        )
      })
    }
  }
})

test('F07 whatever way a provider fails, its work is charged, within the text that was seen', async (t) => {
  const sim = await startSim()
  t.after(() => sim.close())
  const gateway = await startGateway(t)
  gateway.provider({ name: 'sim', kind: 'sim', baseUrl: sim.url })
  gateway.key()
  for (const [name, path, body] of CALLS) {
    for (const die of ['after-headers', 'mid-body', 'error-event', 'early-end']) {
      await t.test(`${name}, ${die}`, async () => {
        const response = await gateway.post(path, body, { 'x-sim-die': die, 'x-sim-output-tokens': '20' })
        const text = await response.text().catch(() => 'broken off')
        await gateway.settled()
        const event = gateway.events().at(-1)
        const served = sim.ledger().at(-1)
        assert.ok(event && served?.usage)
        assert.equal(event.requests, 1)
        assert.equal(event.success, false)
        assert.equal(event.usageSource, 'partial')
        assert.ok(event.inputTokens > 0)
        // Text is counted by its bytes, at a ratio that is generous to providers and never to more than twice what they bill.
        const billed = served.usage.outputTokens
        assert.ok(event.outputTokens <= 2 * billed + 8, `${event.outputTokens} tokens for ${billed}`)
        if (event.stream) assert.ok(event.outputTokens >= served.sentTokens / 2, `${event.outputTokens} tokens`)
        assert.notEqual(text, '')
      })
    }
  }
})
