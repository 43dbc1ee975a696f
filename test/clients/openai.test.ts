/** The `openai` package as shipped, with only its base URL and key changed. */
import assert from 'node:assert/strict'
import OpenAI, { toFile } from 'openai'
import { formatUsd } from '../../src/units/money.ts'
import { eventually } from '../helpers/eventually.ts'
import { createKey, eventsOf, onBothDatabases, startWithSim } from '../helpers/program.ts'
import { assertCharged, BUDGET, costOfLastCall, type Event, nanoOf } from './expectation.ts'

const messages = [{ role: 'user' as const, content: 'Say hello to the accountants.' }]

onBothDatabases('openai', async (t, env) => {
  const program = await startWithSim(t, { env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' } })

  async function client() {
    const key = await createKey(program, [BUDGET])
    return { key, openai: new OpenAI({ apiKey: key.key, baseURL: `${program.gatewayUrl}/v1`, maxRetries: 0 }) }
  }

  /** The event of a key's only call. */
  const onlyEvent = (key: { id: string }) =>
    eventually(async () => {
      const [event, ...more] = await eventsOf<Event>(program, `virtual_key_id=${key.id}`)
      assert.ok(event && more.length === 0)
      return event
    })

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

  await t.test('moderations are free, and pass under a budget', async () => {
    const { key, openai } = await client()
    const { results } = await openai.moderations.create({ model: 'omni-moderation-latest', input: 'Good day' })
    assert.equal(results[0]?.flagged, false)
    assert.equal((await onlyEvent(key)).cost_usd, '0.00')
  })

  await t.test('images, made and edited, are charged to the nano-dollar', async () => {
    const made = await client()
    const image = await made.openai.images.generate({ model: 'gpt-image-1', prompt: 'A ledger', quality: 'low' })
    assert.ok(image.data?.[0]?.b64_json)
    await assertCharged(program, made.key)
    const edited = await client()
    const pixel = await toFile(Buffer.from(image.data[0].b64_json, 'base64'), 'pixel.png', { type: 'image/png' })
    const again = await edited.openai.images.edit({ model: 'gpt-image-1', prompt: 'Sharper', image: [pixel, pixel] })
    assert.ok(again.data?.[0]?.b64_json)
    assert.equal((await onlyEvent(edited.key)).usage_source, 'reported')
  })

  await t.test('speech comes as sound and is charged', async () => {
    const { key, openai } = await client()
    const speech = await openai.audio.speech.create({ model: 'gpt-4o-mini-tts', voice: 'alloy', input: 'Good day' })
    assert.equal(Buffer.from(await speech.arrayBuffer()).length, 8 * 64)
    const event = await onlyEvent(key)
    assert.deepEqual([event.usage_source, event.input_tokens, event.output_tokens], ['estimated', 8, 16])
    assert.equal(nanoOf(event.cost_usd), 8n * 600n + 16n * 12_000n)
  })

  await t.test('a transcription is charged to the nano-dollar, streamed and not', async () => {
    for (const stream of [false, true]) {
      const { key, openai } = await client()
      const file = await toFile(Buffer.alloc(40_000, 'sound'), 'speech.mp3')
      const transcription = await openai.audio.transcriptions.create({ model: 'gpt-4o-mini-transcribe', file, stream })
      assert.ok(typeof transcription === 'object')
      if ('text' in transcription) assert.ok(transcription.text.length > 10)
      else assert.equal((await Array.fromAsync(transcription)).at(-1)?.type, 'transcript.text.done')
      const event = await onlyEvent(key)
      assert.deepEqual([event.usage_source, event.input_tokens], ['reported', 30])
      assert.equal(nanoOf(event.cost_usd), 30n * 3_000n + BigInt(event.output_tokens) * 5_000n)
    }
  })

  await t.test('a response is retrieved, gone on with and deleted by its key, and not found by another', async () => {
    const { openai } = await client()
    const other = await client()
    const first = await openai.responses.create({ model: 'gpt-4o-mini', input: 'Say hello.' })
    assert.equal((await openai.responses.retrieve(first.id)).id, first.id)
    assert.ok((await Array.fromAsync(await openai.responses.inputItems.list(first.id))).length > 0)
    const more = { model: 'gpt-4o-mini', input: 'Go on.', previous_response_id: first.id }
    assert.equal((await openai.responses.create(more)).previous_response_id, first.id)
    await assert.rejects(other.openai.responses.retrieve(first.id), OpenAI.NotFoundError)
    await assert.rejects(other.openai.responses.create(more), OpenAI.NotFoundError)
    await openai.responses.delete(first.id)
  })

  await t.test('a provider’s own API under its name is charged alike', async () => {
    const { key } = await client()
    const openai = new OpenAI({ apiKey: key.key, baseURL: `${program.gatewayUrl}/sim/v1`, maxRetries: 0 })
    await openai.chat.completions.create({ model: 'gpt-4o-mini', messages, max_tokens: 100 })
    await assertCharged(program, key)
    await assert.rejects(openai.files.list(), OpenAI.PermissionDeniedError)
    const asked = { virtual_key_id: key.id, path: '/sim/v1/chat/completions', body: { model: 'gpt-4o-mini', messages } }
    const explained = await program.admin<{ verdict: string; provider: string }>('POST', '/explain', asked, 200)
    assert.deepEqual([explained.verdict, explained.provider], ['allow', 'sim'])
  })

  await t.test('the model list shows what the key may use', async () => {
    const key = await createKey(program, [], { access: [{ provider: 'sim', models: ['gpt-4o*'] }] })
    const openai = new OpenAI({ apiKey: key.key, baseURL: `${program.gatewayUrl}/v1` })
    const models = await Array.fromAsync(await openai.models.list())
    assert.ok(models.length >= 2)
    assert.ok(models.every(({ id }) => /(^|\/)gpt-4o/.test(id)))
  })
})
