/** The `@anthropic-ai/sdk` package as shipped, with only its base URL and key changed. */
import assert from 'node:assert/strict'
import Anthropic from '@anthropic-ai/sdk'
import { createKey, onBothDatabases, startWithSim } from '../helpers/program.ts'
import { assertCharged, BUDGET } from './expectation.ts'

const model = 'claude-haiku-4-5'
const messages = [{ role: 'user' as const, content: 'Say hello to the accountants.' }]

onBothDatabases('@anthropic-ai/sdk', async (t, env) => {
  const program = await startWithSim(t, { env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' } })

  async function client() {
    const key = await createKey(program, [BUDGET])
    return { key, anthropic: new Anthropic({ apiKey: key.key, baseURL: program.gatewayUrl, maxRetries: 0 }) }
  }

  await t.test('T03 a message is charged to the nano-dollar', async () => {
    const { key, anthropic } = await client()
    const message = await anthropic.messages.create({ model, messages, max_tokens: 100 })
    assert.equal(message.content[0]?.type, 'text')
    await assertCharged(program, key)
  })

  await t.test('T04 a message stream is charged to the nano-dollar', async () => {
    const { key, anthropic } = await client()
    const message = await anthropic.messages.stream({ model, messages, max_tokens: 100 }).finalMessage()
    assert.equal(message.stop_reason, 'end_turn')
    const event = await assertCharged(program, key)
    assert.deepEqual(
      [message.usage.input_tokens, message.usage.output_tokens],
      [event.input_tokens, event.output_tokens],
    )
  })

  await t.test('counting tokens is answered and costs nothing', async () => {
    const { key, anthropic } = await client()
    const { input_tokens } = await anthropic.messages.countTokens({ model, messages })
    assert.ok(input_tokens > 0)
    const { data } = await program.admin<{ data: { usage: { posted: string } }[] }>('GET', `/limits?scope_id=${key.id}`)
    assert.deepEqual(
      data.map(({ usage }) => usage.posted),
      ['0.00'],
    )
  })
})
