/** The `openai` package as shipped, with only its base URL and key changed. */
import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { formatUsd } from '../../src/units/money.ts'
import { createKey, onBothDatabases, startWithSim } from '../helpers/program.ts'
import { assertCharged, BUDGET, costOfLastCall } from './expectation.ts'

const messages = [{ role: 'user' as const, content: 'Say hello to the accountants.' }]

onBothDatabases('openai', async (t, env) => {
  const program = await startWithSim(t, { env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' } })

  async function client() {
    const key = await createKey(program, [BUDGET])
    return { key, openai: new OpenAI({ apiKey: key.key, baseURL: `${program.gatewayUrl}/v1`, maxRetries: 0 }) }
  }

  await t.test('T03 a chat completion is charged to the nano-dollar, and its headers say so', async () => {
    const { key, openai } = await client()
    const { data, response } = await openai.chat.completions
      .create({ model: 'gpt-4o-mini', messages, max_tokens: 100 })
      .withResponse()
    assert.ok(data.choices[0]?.message.content)
    const event = await assertCharged(program, key)
    assert.equal(response.headers.get('x-bursar-cost-usd'), formatUsd(costOfLastCall(program.sim)))
    assert.equal(response.headers.get('x-bursar-request-id'), event.request_id)
    assert.equal(response.headers.get('x-bursar-provider'), 'sim')
    assert.equal(response.headers.get('x-bursar-model'), 'gpt-4o-mini')
    assert.match(response.headers.get('x-bursar-budget-remaining-usd') ?? '', /^9\.99/)
  })

  await t.test(
    'T04 a chat stream is charged to the nano-dollar, and shows no usage the client did not ask for',
    async () => {
      const { key, openai } = await client()
      const stream = await openai.chat.completions.create({
        model: 'gpt-4o-mini',
        messages,
        max_tokens: 100,
        stream: true,
      })
      let text = ''
      for await (const chunk of stream) {
        assert.equal(chunk.usage ?? null, null)
        assert.equal(chunk.choices.length, 1)
        text += chunk.choices[0]?.delta.content ?? ''
      }
      assert.ok(text.length > 0)
      assert.equal((await assertCharged(program, key)).stream, true)
    },
  )

  await t.test('a chat stream that asks for its usage gets it', async () => {
    const { key, openai } = await client()
    const stream = await openai.chat.completions.create({
      model: 'gpt-4o-mini',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    const usage = chunks.at(-1)?.usage
    const event = await assertCharged(program, key)
    assert.deepEqual([usage?.prompt_tokens, usage?.completion_tokens], [event.input_tokens, event.output_tokens])
  })

  await t.test('a response is charged to the nano-dollar', async () => {
    const { key, openai } = await client()
    const response = await openai.responses.create({
      model: 'gpt-4o-mini',
      input: 'Say hello.',
      max_output_tokens: 100,
    })
    assert.ok(response.output_text)
    await assertCharged(program, key)
  })

  await t.test('a response stream is charged to the nano-dollar', async () => {
    const { key, openai } = await client()
    const stream = await openai.responses.create({ model: 'gpt-4o-mini', input: 'Say hello.', stream: true })
    const types = (await Array.fromAsync(stream)).map(({ type }) => type)
    assert.equal(types.at(-1), 'response.completed')
    await assertCharged(program, key)
  })

  await t.test('embeddings are charged to the nano-dollar', async () => {
    const { key, openai } = await client()
    const { data } = await openai.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'] })
    assert.equal(data.length, 2)
    assert.equal(typeof data[0]?.embedding[0], 'number')
    await assertCharged(program, key)
  })

  await t.test('the model list shows what the key may use', async () => {
    const key = await createKey(program, [], { access: [{ provider: 'sim', models: ['gpt-4o*'] }] })
    const openai = new OpenAI({ apiKey: key.key, baseURL: `${program.gatewayUrl}/v1` })
    const models = await Array.fromAsync(await openai.models.list())
    assert.ok(models.length >= 2)
    assert.ok(models.every(({ id }) => /(^|\/)gpt-4o/.test(id)))
  })
})
