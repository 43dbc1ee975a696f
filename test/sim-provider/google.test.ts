import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai'
import { NO_USAGE } from '../../src/usage/usage.ts'
import { lastServed, post, start } from './start.ts'

const REQUEST = { model: 'gemini-2.5-flash', contents: 'Hello there' }
const CONTENTS = { contents: [{ role: 'user', parts: [{ text: 'Hello there' }] }] }
const WEATHER = {
  type: Type.OBJECT,
  properties: { city: { type: Type.STRING }, days: { type: Type.ARRAY, items: { type: Type.INTEGER } } },
}
const WEATHER_SAMPLE = { city: 'simulated', days: [1] }

async function client(t: TestContext) {
  const sim = await start(t)
  const google = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: sim.url } })
  return { sim, google }
}

describe('the Google SDK against Gemini models', () => {
  test('a collected answer has text, an end and the usage that the ledger has', async (t) => {
    const { sim, google } = await client(t)
    const answer = await google.models.generateContent(REQUEST)
    assert.equal(answer.candidates?.[0]?.finishReason, 'STOP')
    assert.equal(answer.modelVersion, 'gemini-2.5-flash')
    const words = answer.text?.split(' ').length
    assert.equal(answer.usageMetadata?.promptTokenCount, 7)
    assert.equal(answer.usageMetadata?.candidatesTokenCount, words)
    const served = await lastServed(sim)
    assert.equal(served.format, 'google')
    assert.equal(served.model, 'gemini-2.5-flash')
    assert.deepEqual(served.usage, { ...NO_USAGE, inputTokens: 7, outputTokens: words })
  })

  test('a stream adds up to the collected answer and counts upwards to its usage', async (t) => {
    const { sim, google } = await client(t)
    const whole = await google.models.generateContent(REQUEST)
    const chunks = await Array.fromAsync(await google.models.generateContentStream(REQUEST))
    assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), whole.text)
    assert.deepEqual(chunks.at(-1)?.usageMetadata, whole.usageMetadata)
    assert.equal(chunks.at(-1)?.candidates?.[0]?.finishReason, 'STOP')
    assert.equal(chunks.at(0)?.candidates?.[0]?.finishReason, undefined)
    const counts = chunks.map((chunk) => chunk.usageMetadata?.candidatesTokenCount)
    assert.deepEqual(
      counts,
      counts.map((_, index) => index + 1),
    )
    assert.equal((await lastServed(sim)).usageReported, true)
  })

  test('without alt=sse the stream is one JSON array of the same responses', async (t) => {
    const { sim } = await client(t)
    const path = '/v1beta/models/gemini-2.5-flash:streamGenerateContent'
    const response = await post(sim, path, CONTENTS)
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
    const items: unknown = await response.json()
    assert.ok(Array.isArray(items))
    const said = items.map((item) => item.candidates[0].content.parts[0].text).join('')
    assert.equal(said.split(' ').length, items.length)
    assert.equal(items.at(-1).usageMetadata.candidatesTokenCount, items.length)
  })

  test('candidates, ceiling, cache and thoughts are counted where this format counts them', async (t) => {
    const { sim, google } = await client(t)
    const headers = { 'x-sim-cached-tokens': '5', 'x-sim-reasoning-tokens': '3', 'x-sim-cache-write-tokens': '2' }
    const config = { maxOutputTokens: 8, candidateCount: 2, httpOptions: { headers } }
    const whole = await google.models.generateContent({ ...REQUEST, config })
    const chunks = await Array.fromAsync(await google.models.generateContentStream({ ...REQUEST, config }))
    for (const answer of [whole, chunks.at(-1)]) {
      assert.equal(answer?.usageMetadata?.promptTokenCount, 7)
      assert.equal(answer?.usageMetadata?.cachedContentTokenCount, 5)
      assert.equal(answer?.usageMetadata?.candidatesTokenCount, 10)
      assert.equal(answer?.usageMetadata?.thoughtsTokenCount, 6)
      assert.equal(answer?.usageMetadata?.totalTokenCount, 23)
      assert.equal(answer?.candidates?.at(-1)?.finishReason, 'MAX_TOKENS')
    }
    assert.equal(whole.candidates?.length, 2)
    assert.deepEqual((await lastServed(sim)).usage, {
      ...NO_USAGE,
      inputTokens: 7,
      outputTokens: 16,
      cacheReadTokens: 5,
      reasoningTokens: 6,
    })
  })

  test('a forced function is called and a schema is answered in JSON that fits', async (t) => {
    const { google } = await client(t)
    const config = {
      tools: [{ functionDeclarations: [{ name: 'weather', parameters: WEATHER }] }],
      toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
    }
    const called = await google.models.generateContent({ ...REQUEST, config })
    assert.equal(called.functionCalls?.[0]?.name, 'weather')
    assert.deepEqual(called.functionCalls?.[0]?.args, WEATHER_SAMPLE)
    const streamed = await Array.fromAsync(await google.models.generateContentStream({ ...REQUEST, config }))
    assert.deepEqual(streamed.at(-1)?.functionCalls?.[0]?.args, WEATHER_SAMPLE)
    assert.equal(streamed.at(-1)?.usageMetadata?.totalTokenCount, called.usageMetadata?.totalTokenCount)
    const json = { responseMimeType: 'application/json', responseSchema: WEATHER }
    const answered = await google.models.generateContent({ ...REQUEST, config: json })
    assert.deepEqual(JSON.parse(answered.text ?? ''), WEATHER_SAMPLE)
  })

  test('tokens are counted and texts embedded, alone and in a batch', async (t) => {
    const { sim, google } = await client(t)
    assert.equal((await google.models.countTokens(REQUEST)).totalTokens, 7)
    assert.equal((await lastServed(sim)).usage, null)
    const model = 'gemini-embedding-001'
    const batch = await google.models.embedContent({
      model,
      contents: ['one', 'another'],
      config: { outputDimensionality: 16 },
    })
    assert.deepEqual(
      batch.embeddings?.map((embedding) => embedding.values?.length),
      [16, 16],
    )
    assert.deepEqual((await lastServed(sim)).usage, { ...NO_USAGE, inputTokens: 3 })
    const content = { parts: [{ text: 'one' }] }
    const response = await post(sim, `/v1beta/models/${model}:embedContent`, { content, outputDimensionality: 16 })
    const single: unknown = await response.json()
    assert.deepEqual(single, {
      embedding: { values: batch.embeddings?.[0]?.values },
      usageMetadata: { promptTokenCount: 1 },
    })
  })

  test('models are listed and found by name', async (t) => {
    const { google } = await client(t)
    const names: (string | undefined)[] = []
    for await (const model of await google.models.list()) names.push(model.name)
    assert.ok(names.includes('models/gemini-2.5-flash'))
    assert.ok(names.includes('models/sim-small'))
    assert.equal((await google.models.get({ model: 'gemini-2.5-pro' })).inputTokenLimit, 1_048_576)
  })

  test("errors are the SDK's own class, in streams too", async (t) => {
    const { sim, google } = await client(t)
    const ask = (headers: Record<string, string>) =>
      google.models.generateContent({ ...REQUEST, config: { httpOptions: { headers } } })
    await assert.rejects(ask({ 'x-sim-status': '403' }), (error) => {
      assert.ok(error instanceof ApiError)
      assert.equal(error.status, 403)
      assert.match(error.message, /PERMISSION_DENIED/)
      return true
    })
    await assert.rejects(google.models.generateContent({ ...REQUEST, model: 'gemini-0' }), { status: 404 })
    const config = { httpOptions: { headers: { 'x-sim-die': 'error-event' } } }
    const stream = await google.models.generateContentStream({ ...REQUEST, config })
    await assert.rejects(Array.fromAsync(stream), ApiError)
    sim.configure({ requireKey: 'right' })
    await assert.rejects(ask({}), { status: 401 })
    const right = await post(sim, '/v1beta/models/gemini-2.5-flash:generateContent?key=right', CONTENTS)
    assert.equal(right.status, 200)
  })
})
