/** The `@google/genai` package as shipped, with only its base URL and key changed. */
import assert from 'node:assert/strict'
import { GoogleGenAI } from '@google/genai'
import { createKey, onBothDatabases, startWithSim } from '../helpers/program.ts'
import { assertCharged, BUDGET } from './expectation.ts'

const model = 'gemini-2.5-flash'
const contents = 'Say hello to the accountants.'

onBothDatabases('@google/genai', async (t, env) => {
  const program = await startWithSim(t, { env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' } })

  async function client() {
    const key = await createKey(program, [BUDGET])
    return { key, google: new GoogleGenAI({ apiKey: key.key, httpOptions: { baseUrl: program.gatewayUrl } }) }
  }

  await t.test('T03 generated content is charged to the nano-dollar', async () => {
    const { key, google } = await client()
    const response = await google.models.generateContent({ model, contents, config: { maxOutputTokens: 100 } })
    assert.ok(response.text)
    await assertCharged(program, key)
  })

  await t.test('T04 a content stream is charged to the nano-dollar', async () => {
    const { key, google } = await client()
    const stream = await google.models.generateContentStream({ model, contents, config: { maxOutputTokens: 100 } })
    let text = ''
    for await (const chunk of stream) text += chunk.text ?? ''
    assert.ok(text.length > 0)
    assert.equal((await assertCharged(program, key)).stream, true)
  })

  await t.test('embeddings are charged to the nano-dollar', async () => {
    const { key, google } = await client()
    const { embeddings } = await google.models.embedContent({ model: 'gemini-embedding-001', contents: ['one', 'two'] })
    assert.equal(embeddings?.length, 2)
    await assertCharged(program, key)
  })
})
