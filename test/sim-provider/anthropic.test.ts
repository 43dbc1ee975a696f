import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { NO_USAGE } from '../../src/usage/usage.ts'
import { lastServed, start } from './start.ts'

const REQUEST = {
  model: 'claude-haiku-4-5',
  max_tokens: 100,
  messages: [{ role: 'user' as const, content: 'Hello there' }],
}
const WEATHER = {
  name: 'weather',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' }, warm: { type: 'boolean' } } },
}

async function client(t: TestContext) {
  const sim = await start(t)
  return { sim, anthropic: new Anthropic({ baseURL: sim.url, apiKey: 'any', maxRetries: 0 }) }
}

function textOf(message: Anthropic.Message): string {
  const [block] = message.content
  assert.ok(block?.type === 'text')
  return block.text
}

describe('the Anthropic SDK against messages', () => {
  test('a collected message has text, an end and the usage that the ledger has', async (t) => {
    const { sim, anthropic } = await client(t)
    const message = await anthropic.messages.create({ ...REQUEST, system: 'Be brief' })
    assert.match(message.id, /^msg_/)
    assert.equal(message.stop_reason, 'end_turn')
    // 19 bytes of text and one message.
    assert.equal(message.usage.input_tokens, 5 + 4)
    assert.equal(message.usage.output_tokens, textOf(message).split(' ').length)
    const served = await lastServed(sim)
    assert.equal(served.format, 'anthropic')
    assert.deepEqual(served.usage, { ...NO_USAGE, inputTokens: 9, outputTokens: message.usage.output_tokens })
  })

  test('stream events come in the documented order and add up to the collected message', async (t) => {
    const { sim, anthropic } = await client(t)
    const whole = await anthropic.messages.create(REQUEST)
    const response = await anthropic.messages.create({ ...REQUEST, stream: true }).asResponse()
    const names = (await response.text()).split('\n').filter((line) => line.startsWith('event: '))
    assert.deepEqual(
      names.filter((name, index) => name !== names[index - 1]).map((name) => name.slice('event: '.length)),
      [
        'message_start',
        'content_block_start',
        'ping',
        'content_block_delta',
        'content_block_stop',
        'message_delta',
        'message_stop',
      ],
    )
    const streamed = await anthropic.messages.stream(REQUEST).finalMessage()
    assert.equal(textOf(streamed), textOf(whole))
    assert.equal(streamed.stop_reason, 'end_turn')
    assert.equal(streamed.usage.input_tokens, whole.usage.input_tokens)
    assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens)
    const served = await lastServed(sim)
    assert.equal(served.outcome, 'completed')
    assert.equal(served.sentTokens, whole.usage.output_tokens)
  })

  test('cache reads and writes stand beside input_tokens, and reasoning is part of the output', async (t) => {
    const { sim, anthropic } = await client(t)
    const headers = {
      'x-sim-input-tokens': '1000',
      'x-sim-cached-tokens': '600',
      'x-sim-cache-write-tokens': '300',
      'x-sim-reasoning-tokens': '20',
      'x-sim-output-tokens': '10',
    }
    const whole = await anthropic.messages.create(REQUEST, { headers })
    const streamed = await anthropic.messages.stream(REQUEST, { headers }).finalMessage()
    for (const { usage } of [whole, streamed]) {
      assert.equal(usage.input_tokens, 100)
      assert.equal(usage.cache_read_input_tokens, 600)
      assert.equal(usage.cache_creation_input_tokens, 300)
      assert.equal(usage.output_tokens, 30)
    }
    const served = await lastServed(sim)
    assert.deepEqual(served.usage, {
      ...NO_USAGE,
      inputTokens: 1000,
      outputTokens: 30,
      cacheReadTokens: 600,
      cacheWriteTokens: 300,
      reasoningTokens: 20,
    })
  })

  test('max_tokens cuts, reasoning first, and is demanded', async (t) => {
    const { anthropic } = await client(t)
    const headers = { 'x-sim-reasoning-tokens': '6' }
    const cut = await anthropic.messages.create({ ...REQUEST, max_tokens: 8 }, { headers })
    assert.equal(cut.stop_reason, 'max_tokens')
    assert.equal(cut.usage.output_tokens, 8)
    assert.equal(textOf(cut).split(' ').length, 2)
    const { max_tokens, ...incomplete } = REQUEST
    const answer = anthropic.post('/v1/messages', { body: incomplete })
    await assert.rejects(answer, Anthropic.BadRequestError)
  })

  test('a forced tool is used with input that fits its schema, collected and streamed', async (t) => {
    const { anthropic } = await client(t)
    const request = { ...REQUEST, tools: [WEATHER], tool_choice: { type: 'tool' as const, name: 'weather' } }
    const whole = await anthropic.messages.create(request)
    const streamed = await anthropic.messages.stream(request).finalMessage()
    for (const message of [whole, streamed]) {
      assert.equal(message.stop_reason, 'tool_use')
      const [block] = message.content
      assert.ok(block?.type === 'tool_use')
      assert.equal(block.name, 'weather')
      assert.deepEqual(block.input, { city: 'simulated', warm: true })
    }
  })

  test('tokens are counted as the answer would report them, for nothing', async (t) => {
    const { sim, anthropic } = await client(t)
    const { max_tokens, ...request } = REQUEST
    const counted = await anthropic.messages.countTokens({ ...request, tools: [WEATHER] })
    const message = await anthropic.messages.create({ ...REQUEST, tools: [WEATHER] })
    assert.equal(counted.input_tokens, message.usage.input_tokens)
    assert.equal(sim.ledger()[0]?.usage, null)
  })

  test('models are listed in this shape when the version header is sent', async (t) => {
    const { anthropic } = await client(t)
    const models = await Array.fromAsync(anthropic.models.list())
    assert.ok(models.some(({ id, type }) => id === 'claude-haiku-4-5' && type === 'model'))
    assert.ok(!models.some(({ id }) => id === 'gpt-4o'))
    assert.equal((await anthropic.models.retrieve('claude-sonnet-4-5')).id, 'claude-sonnet-4-5')
  })

  test("errors are the SDK's own classes, in streams too", async (t) => {
    const { sim, anthropic } = await client(t)
    const create = (headers: Record<string, string>) => anthropic.messages.create(REQUEST, { headers })
    await assert.rejects(create({ 'x-sim-status': '429' }), Anthropic.RateLimitError)
    await assert.rejects(create({ 'x-sim-status': '529' }), { status: 529, type: 'overloaded_error' })
    await assert.rejects(anthropic.messages.create({ ...REQUEST, model: 'claude-0' }), Anthropic.NotFoundError)
    const stream = anthropic.messages.stream(REQUEST, { headers: { 'x-sim-die': 'error-event' } })
    await assert.rejects(stream.finalMessage(), Anthropic.APIError)
    sim.configure({ requireKey: 'sk-ant-right' })
    await assert.rejects(create({}), Anthropic.AuthenticationError)
  })
})
