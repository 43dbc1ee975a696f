/** `@langchain/openai` as shipped, with only base URL and key changed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HumanMessage } from '@langchain/core/messages'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { eventually } from '../helpers/eventually.ts'
import { createKey, ownKey, startWithSim } from '../helpers/program.ts'
import { assertCharged, BUDGET } from './expectation.ts'

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const prompt = 'Say hello to the accountants.'
const CITY = {
  title: 'city',
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
}

test('LangChain works with only base URL and key changed', async (t) => {
  const program = await startWithSim(t, { env: { BURSAR_DUMP_CRON: '* * * * * *' } })
  const configuration = { baseURL: `${program.gatewayUrl}/v1` }
  async function client(limit: object = BUDGET) {
    const key = await createKey(program, [limit])
    return { key, chat: new ChatOpenAI({ apiKey: key.key, configuration, model: 'gpt-4o-mini', maxTokens: 100 }) }
  }

  await t.test('a chat is charged to the nano-dollar, and its usage is the provider’s', async () => {
    const { key, chat } = await client()
    const message = await chat.invoke(prompt)
    assert.ok(message.text.length > 0)
    const event = await assertCharged(program, key)
    const { input_tokens, output_tokens } = message.usage_metadata ?? assert.fail('usage is told')
    assert.deepEqual([input_tokens, output_tokens], [event.input_tokens, event.output_tokens])
  })

  await t.test('a stream is charged to the nano-dollar', async () => {
    const { key, chat } = await client()
    const chunks = await Array.fromAsync(await chat.stream(prompt))
    assert.ok(chunks.map(({ text }) => text).join('').length > 0)
    assert.equal((await assertCharged(program, key)).stream, true)
  })

  await t.test('a tool is called', async () => {
    const { key, chat } = await client()
    const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: CITY } }]
    const message = await chat.invoke(prompt, { tools, tool_choice: 'weather' })
    assert.equal(message.tool_calls?.[0]?.name, 'weather')
    assert.equal(typeof message.tool_calls[0].args.city, 'string')
    await assertCharged(program, key)
  })

  await t.test('an object of a schema comes back', async () => {
    const { key, chat } = await client()
    const found = await chat.withStructuredOutput<{ city: string }>(CITY, { method: 'jsonSchema' }).invoke(prompt)
    assert.equal(typeof found.city, 'string')
    await assertCharged(program, key)
  })

  await t.test('a picture is seen', async () => {
    const { key, chat } = await client()
    const content = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
    ]
    assert.ok((await chat.invoke([new HumanMessage({ content })])).text.length > 0)
    await assertCharged(program, key)
  })

  await t.test('embeddings are charged to the nano-dollar', async () => {
    const { key } = await client()
    const embeddings = new OpenAIEmbeddings({ apiKey: key.key, configuration, model: 'text-embedding-3-small' })
    assert.equal((await embeddings.embedDocuments(['one', 'two'])).length, 2)
    await assertCharged(program, key)
  })

  await t.test('a refusal is its error, and is not tried again', async () => {
    const { chat } = await client({ metric: 'cost', max: '0.000000001', window: '1d' })
    const before = program.sim.ledger().length
    await assert.rejects(chat.invoke(prompt), { code: 'limit_unreachable' })
    assert.equal(program.sim.ledger().length, before, 'nothing reached the provider')
  })

  await t.test('F28 an aborted stream is charged for what was served, and nothing stays held', async () => {
    const { key, chat } = await client()
    const abort = new AbortController()
    await assert.rejects(async () => {
      for await (const _ of await chat.stream('Tell a long story.', { signal: abort.signal })) abort.abort()
      abort.signal.throwIfAborted()
    })
    await eventually(async () => {
      const cost = (await ownKey(program, key.key)).limits.find(({ metric }) => metric === 'cost')
      assert.equal(Number(cost?.held), 0)
      assert.ok(Number(cost?.posted) > 0)
    })
  })
})
