/** Vercel's `ai` with its OpenAI, Anthropic and Google providers as shipped, with only base URL and key changed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { APICallError, embed, embedMany, generateObject, generateText, jsonSchema, streamText } from 'ai'
import { eventually } from '../helpers/eventually.ts'
import { createKey, ownKey, startWithSim } from '../helpers/program.ts'
import { assertCharged, BUDGET } from './expectation.ts'

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const prompt = 'Say hello to the accountants.'
const CITY = jsonSchema<{ city: string }>({
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
})

test('Vercel’s ai works with only base URL and key changed', async (t) => {
  const program = await startWithSim(t, { env: { BURSAR_DUMP_CRON: '* * * * * *' } })
  const openai = (apiKey: string) => createOpenAI({ apiKey, baseURL: `${program.gatewayUrl}/v1` })
  const anthropic = (apiKey: string) => createAnthropic({ apiKey, baseURL: `${program.gatewayUrl}/v1` })
  const google = (apiKey: string) => createGoogleGenerativeAI({ apiKey, baseURL: `${program.gatewayUrl}/v1beta` })
  const models = {
    'OpenAI, chat': (key: string) => openai(key).chat('gpt-4o-mini'),
    'OpenAI, responses': (key: string) => openai(key).responses('gpt-4o-mini'),
    Anthropic: (key: string) => anthropic(key)('claude-haiku-4-5'),
    Google: (key: string) => google(key)('gemini-2.5-flash'),
  }

  for (const [name, modelOf] of Object.entries(models)) {
    await t.test(`${name}: a text is charged to the nano-dollar, and its usage is the provider’s`, async () => {
      const key = await createKey(program, [BUDGET])
      const { text, usage } = await generateText({ model: modelOf(key.key), prompt, maxOutputTokens: 100 })
      assert.ok(text.length > 0)
      const event = await assertCharged(program, key)
      assert.deepEqual([usage.inputTokens, usage.outputTokens], [event.input_tokens, event.output_tokens])
    })

    await t.test(`${name}: a stream is charged to the nano-dollar`, async () => {
      const key = await createKey(program, [BUDGET])
      const { textStream } = streamText({ model: modelOf(key.key), prompt, maxOutputTokens: 100 })
      assert.ok((await Array.fromAsync(textStream)).join('').length > 0)
      assert.equal((await assertCharged(program, key)).stream, true)
    })

    await t.test(`${name}: a tool is called`, async () => {
      const key = await createKey(program, [BUDGET])
      const weather = { description: 'The weather of a city', inputSchema: CITY }
      const { toolCalls } = await generateText({
        model: modelOf(key.key),
        prompt,
        tools: { weather },
        toolChoice: { type: 'tool', toolName: 'weather' },
      })
      const [call] = toolCalls
      assert.equal(call?.toolName, 'weather')
      assert.equal(typeof call.input, 'object')
      assert.equal(typeof (call.input as { city: unknown }).city, 'string')
      await assertCharged(program, key)
    })

    await t.test(`${name}: an object of a schema comes back`, async () => {
      const key = await createKey(program, [BUDGET])
      const { object } = await generateObject({ model: modelOf(key.key), prompt, schema: CITY })
      assert.equal(typeof object.city, 'string')
      await assertCharged(program, key)
    })

    await t.test(`${name}: a picture is seen`, async () => {
      const key = await createKey(program, [BUDGET])
      const content = [
        { type: 'text' as const, text: 'What is this?' },
        { type: 'image' as const, image: PIXEL, mediaType: 'image/png' },
      ]
      const { text } = await generateText({ model: modelOf(key.key), messages: [{ role: 'user', content }] })
      assert.ok(text.length > 0)
      await assertCharged(program, key)
    })

    await t.test(`${name}: a refusal is its error, with our details, and is tried only once`, async () => {
      const key = await createKey(program, [{ metric: 'cost', max: '0.000000001', window: '1d' }])
      const before = program.sim.ledger().length
      await assert.rejects(generateText({ model: modelOf(key.key), prompt, maxOutputTokens: 100 }), (error) => {
        assert.ok(APICallError.isInstance(error), String(error))
        assert.equal(error.isRetryable, false)
        assert.match(error.responseBody ?? '', /"scope":"virtual_key"/)
        return true
      })
      assert.equal(program.sim.ledger().length, before, 'nothing reached the provider')
    })

    await t.test(`F28 ${name}: an aborted stream is charged for what was served, and nothing stays held`, async () => {
      const key = await createKey(program, [BUDGET])
      const abort = new AbortController()
      const { textStream } = streamText({
        model: modelOf(key.key),
        prompt: 'Tell a long story.',
        abortSignal: abort.signal,
      })
      for await (const _ of textStream) abort.abort()
      await eventually(async () => {
        const cost = (await ownKey(program, key.key)).limits.find(({ metric }) => metric === 'cost')
        assert.equal(Number(cost?.held), 0)
        assert.ok(Number(cost?.posted) > 0)
      })
    })
  }

  await t.test('embeddings are charged to the nano-dollar', async () => {
    const one = await createKey(program, [BUDGET])
    const { embedding } = await embed({
      model: openai(one.key).embedding('text-embedding-3-small'),
      value: 'one',
    })
    assert.equal(typeof embedding[0], 'number')
    await assertCharged(program, one)
    const many = await createKey(program, [BUDGET])
    const { embeddings } = await embedMany({
      model: google(many.key).embedding('gemini-embedding-001'),
      values: ['one', 'two'],
    })
    assert.equal(embeddings.length, 2)
    await assertCharged(program, many)
  })
})
