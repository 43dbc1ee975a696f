import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import OpenAI from 'openai'
import { NO_USAGE } from '../../src/usage/usage.ts'
import { lastServed, start } from './start.ts'

const HELLO = [{ role: 'user' as const, content: 'Hello there' }]
const HELLO_TOKENS = 7
const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 3 }, unit: { enum: ['C', 'F'] } },
  required: ['city', 'days', 'unit'],
}
const WEATHER_SAMPLE = { city: 'simulated', days: 3, unit: 'C' }

async function client(t: TestContext) {
  const sim = await start(t)
  const openai = new OpenAI({ baseURL: `${sim.url}/v1`, apiKey: 'any', maxRetries: 0 })
  return { sim, openai }
}

describe('the OpenAI SDK against chat completions', () => {
  test('a collected answer has text, an end and the usage that the ledger has', async (t) => {
    const { sim, openai } = await client(t)
    const answer = await openai.chat.completions.create({ model: 'gpt-4o-mini', messages: HELLO })
    assert.equal(answer.object, 'chat.completion')
    assert.match(answer.id, /^chatcmpl-[0-9a-z]{24}$/)
    assert.equal(answer.model, 'gpt-4o-mini')
    const [choice] = answer.choices
    assert.equal(choice?.finish_reason, 'stop')
    const said = choice?.message.content ?? ''
    assert.equal(answer.usage?.prompt_tokens, HELLO_TOKENS)
    assert.equal(answer.usage?.completion_tokens, said.split(' ').length)
    assert.equal(answer.usage?.total_tokens, HELLO_TOKENS + said.split(' ').length)

    const served = await lastServed(sim)
    assert.equal(served.outcome, 'completed')
    assert.equal(served.model, 'gpt-4o-mini')
    assert.equal(served.usageReported, true)
    assert.equal(served.sentTokens, answer.usage?.completion_tokens)
    assert.deepEqual(served.usage, {
      ...NO_USAGE,
      inputTokens: answer.usage?.prompt_tokens,
      outputTokens: answer.usage?.completion_tokens,
    })
  })

  test('a stream says what the collected answer says, and reports usage in a chunk without choices only if asked', async (t) => {
    const { sim, openai } = await client(t)
    const whole = await openai.chat.completions.create({ model: 'sim-small', messages: HELLO })
    for (const include_usage of [true, false]) {
      const stream = await openai.chat.completions.create({
        model: 'sim-small',
        messages: HELLO,
        stream: true,
        stream_options: { include_usage },
      })
      const chunks = await Array.fromAsync(stream)
      const said = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
      assert.equal(said, whole.choices[0]?.message.content)
      const reports = chunks.filter((chunk) => chunk.usage)
      assert.equal(reports.length, include_usage ? 1 : 0)
      if (include_usage) {
        assert.equal(chunks.at(-1), reports[0])
        assert.deepEqual(reports[0]?.choices, [])
        assert.deepEqual(reports[0]?.usage, whole.usage)
      }
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1)
      const served = await lastServed(sim)
      assert.equal(served.stream, true)
      assert.equal(served.outcome, 'completed')
      assert.equal(served.usageReported, include_usage)
      assert.equal(served.sentTokens, whole.usage?.completion_tokens)
    }
  })

  test("the SDK's own accumulator accepts a stream with several choices", async (t) => {
    const { sim, openai } = await client(t)
    const stream = openai.chat.completions.stream({
      model: 'sim-large',
      messages: HELLO,
      n: 3,
      max_completion_tokens: 5,
      stream_options: { include_usage: true },
    })
    const final = await stream.finalChatCompletion()
    assert.deepEqual(
      final.choices.map(({ index, finish_reason }) => ({ index, finish_reason })),
      [0, 1, 2].map((index) => ({ index, finish_reason: 'length' })),
    )
    for (const choice of final.choices) assert.equal(choice.message.content?.split(' ').length, 5)
    assert.equal(final.usage?.completion_tokens, 15)
    assert.equal((await lastServed(sim)).sentTokens, 15)
  })

  test('the ceiling cuts, by either name, and an answer that just fits is whole', async (t) => {
    const { openai } = await client(t)
    const ask = (ceiling: object) =>
      openai.chat.completions.create(
        { model: 'gpt-4o', messages: HELLO, ...ceiling },
        { headers: { 'x-sim-output-tokens': '10' } },
      )
    for (const ceiling of [{ max_tokens: 9 }, { max_completion_tokens: 9 }]) {
      const answer = await ask(ceiling)
      assert.equal(answer.choices[0]?.finish_reason, 'length')
      assert.equal(answer.usage?.completion_tokens, 9)
    }
    const whole = await ask({ max_tokens: 10 })
    assert.equal(whole.choices[0]?.finish_reason, 'stop')
    assert.equal(whole.usage?.completion_tokens, 10)
  })

  test('a forced tool is called with arguments that fit its schema, collected and streamed', async (t) => {
    const { openai } = await client(t)
    const tools = ['sunset', 'weather'].map((name) => ({
      type: 'function' as const,
      function: { name, parameters: name === 'weather' ? WEATHER : { type: 'object', properties: {} } },
    }))
    const request = {
      model: 'gpt-4o',
      messages: HELLO,
      tools,
      tool_choice: { type: 'function' as const, function: { name: 'weather' } },
    }
    const collected = await openai.chat.completions.create(request)
    const streamed = await openai.chat.completions.stream(request).finalChatCompletion()
    for (const answer of [collected, streamed]) {
      const [choice] = answer.choices
      assert.equal(choice?.finish_reason, 'tool_calls')
      assert.equal(choice?.message.content ?? null, null)
      const call = choice?.message.tool_calls?.[0]
      assert.ok(call?.type === 'function')
      assert.match(call.id, /^call_/)
      assert.equal(call.function.name, 'weather')
      assert.deepEqual(JSON.parse(call.function.arguments), WEATHER_SAMPLE)
    }
    assert.ok(!('index' in (collected.choices[0]?.message.tool_calls?.[0] ?? {})), 'only deltas are numbered')
    const required = await openai.chat.completions.create({ ...request, tool_choice: 'required' })
    const first = required.choices[0]?.message.tool_calls?.[0]
    assert.ok(first?.type === 'function')
    assert.equal(first.function.name, 'sunset')
    assert.equal(first.function.arguments, '{}')
    const free = await openai.chat.completions.create({ ...request, tool_choice: 'auto' })
    assert.equal(free.choices[0]?.message.tool_calls, undefined)
  })

  test('JSON mode answers JSON, with a schema JSON that fits it', async (t) => {
    const { openai } = await client(t)
    const ask = async (response_format: OpenAI.ChatCompletionCreateParams['response_format'] & object) => {
      const answer = await openai.chat.completions.create({ model: 'gpt-4o', messages: HELLO, response_format })
      return JSON.parse(answer.choices[0]?.message.content ?? '')
    }
    assert.equal(typeof (await ask({ type: 'json_object' })).answer, 'string')
    assert.deepEqual(
      await ask({ type: 'json_schema', json_schema: { name: 'weather', schema: WEATHER } }),
      WEATHER_SAMPLE,
    )
  })
})

describe('the OpenAI SDK against responses', () => {
  test('events come in the documented order, numbered without a gap, and end with the collected response', async (t) => {
    const { sim, openai } = await client(t)
    const request = { model: 'gpt-4o', input: 'Hello there', instructions: 'Be brief' }
    const whole = await openai.responses.create(request)
    // 19 bytes are 5 tokens; a text given as input is one message.
    assert.equal(whole.usage?.input_tokens, 9)
    assert.equal(whole.status, 'completed')
    assert.equal(whole.usage?.output_tokens, whole.output_text.split(' ').length)

    const stream = await openai.responses.create({ ...request, stream: true })
    const received = await Array.fromAsync(stream)
    const deltas = received.filter((event) => event.type === 'response.output_text.delta')
    assert.equal(deltas.map((event) => event.delta).join(''), whole.output_text)
    assert.deepEqual(
      received.map((event) => event.type).filter((type, index, all) => type !== all[index - 1]),
      [
        'response.created',
        'response.in_progress',
        'response.output_item.added',
        'response.content_part.added',
        'response.output_text.delta',
        'response.output_text.done',
        'response.content_part.done',
        'response.output_item.done',
        'response.completed',
      ],
    )
    assert.deepEqual(
      received.map((event) => ('sequence_number' in event ? event.sequence_number : null)),
      received.map((_, index) => index),
    )
    const last = received.at(-1)
    assert.ok(last?.type === 'response.completed')
    assert.deepEqual(last.response.usage, whole.usage)
    const served = await lastServed(sim)
    assert.equal(served.sentTokens, whole.usage?.output_tokens)
    assert.equal(served.usageReported, true)
  })

  test("the SDK's accumulator ends with a response, incomplete where the ceiling cut it", async (t) => {
    const { openai } = await client(t)
    const input = [{ role: 'user' as const, content: [{ type: 'input_text' as const, text: 'Hello there' }] }]
    const final = await openai.responses.stream({ model: 'gpt-4o', input, max_output_tokens: 4 }).finalResponse()
    assert.equal(final.status, 'incomplete')
    assert.deepEqual(final.incomplete_details, { reason: 'max_output_tokens' })
    assert.equal(final.output_text.split(' ').length, 4)
    assert.equal(final.usage?.input_tokens, HELLO_TOKENS)
    assert.equal(final.usage?.output_tokens, 4)
  })

  test('a forced function call carries arguments that fit, collected and streamed', async (t) => {
    const { openai } = await client(t)
    const request = {
      model: 'gpt-4o',
      input: 'Hello there',
      tools: [{ type: 'function' as const, name: 'weather', parameters: WEATHER, strict: true }],
      tool_choice: 'required' as const,
    }
    const collected = await openai.responses.create(request)
    const streamed = await openai.responses.stream(request).finalResponse()
    for (const response of [collected, streamed]) {
      const [item] = response.output
      assert.ok(item?.type === 'function_call')
      assert.equal(item.name, 'weather')
      assert.deepEqual(JSON.parse(item.arguments), WEATHER_SAMPLE)
    }
    const received = await Array.fromAsync(await openai.responses.create({ ...request, stream: true }))
    const done = received.find((event) => event.type === 'response.function_call_arguments.done')
    assert.deepEqual(JSON.parse(done?.arguments ?? ''), WEATHER_SAMPLE)
  })

  test('a text format with a schema is answered in JSON that fits', async (t) => {
    const { openai } = await client(t)
    const format = { type: 'json_schema' as const, name: 'weather', schema: WEATHER }
    const response = await openai.responses.create({ model: 'gpt-4o', input: 'Hello', text: { format } })
    assert.deepEqual(JSON.parse(response.output_text), WEATHER_SAMPLE)
  })
})

describe('the OpenAI SDK against the rest', () => {
  test('embeddings are vectors of length one, the same in base64 (what the SDK asks for) and in floats', async (t) => {
    const { sim, openai } = await client(t)
    const model = 'text-embedding-3-small'
    const packed = await openai.embeddings.create({ model, input: ['one', 'another'] })
    assert.equal(packed.usage.prompt_tokens, 1 + 2)
    assert.deepEqual(
      packed.data.map((one) => one.embedding.length),
      [1536, 1536],
    )
    assert.notDeepEqual(packed.data[0]?.embedding, packed.data[1]?.embedding)
    const plain = await openai.embeddings.create({ model, input: 'one', encoding_format: 'float' })
    assert.deepEqual([...(plain.data[0]?.embedding ?? [])], [...(packed.data[0]?.embedding ?? [])])
    const length = Math.hypot(...(plain.data[0]?.embedding ?? []))
    assert.ok(Math.abs(length - 1) < 1e-6)
    const served = await lastServed(sim)
    assert.deepEqual(served.usage, { ...NO_USAGE, inputTokens: 1 })
    const short = await openai.embeddings.create({ model, input: [1, 2, 3], dimensions: 8 })
    assert.equal(short.data[0]?.embedding.length, 8)
    assert.equal(short.usage.prompt_tokens, 3)
  })

  test('text completions answer each prompt n times and bill what best_of makes in vain', async (t) => {
    const { sim, openai } = await client(t)
    const request = { model: 'gpt-3.5-turbo-instruct', prompt: ['Hello there', 'Hi'], n: 2, best_of: 3, max_tokens: 4 }
    const whole = await openai.completions.create(request)
    assert.equal(whole.choices.length, 4)
    for (const choice of whole.choices) assert.equal(choice.text.split(' ').length, 4)
    assert.equal(whole.usage?.prompt_tokens, 3 + 1)
    assert.equal(whole.usage?.completion_tokens, 2 * 3 * 4)
    const stream = await openai.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    const said = chunks.flatMap(({ choices }) => choices.filter(({ index }) => index === 3).map(({ text }) => text))
    assert.equal(said.join(''), whole.choices[3]?.text)
    assert.deepEqual(chunks.at(-1)?.usage, whole.usage)
    assert.equal((await lastServed(sim)).usage?.outputTokens, 24)
  })

  test('models are listed and found by name', async (t) => {
    const { openai } = await client(t)
    const ids = (await Array.fromAsync(openai.models.list())).map(({ id }) => id)
    for (const id of ['sim-small', 'gpt-4o-mini', 'claude-haiku-4-5']) assert.ok(ids.includes(id), id)
    const one = await openai.models.retrieve('gpt-4o')
    assert.deepEqual(
      { id: one.id, object: one.object, owned_by: one.owned_by },
      {
        id: 'gpt-4o',
        object: 'model',
        owned_by: 'openai',
      },
    )
    await assert.rejects(openai.models.retrieve('gpt-unheard-of'), OpenAI.NotFoundError)
  })

  test("errors are the SDK's own classes, by status and code", async (t) => {
    const { sim, openai } = await client(t)
    const create = (model: string, headers = {}) =>
      openai.chat.completions.create({ model, messages: HELLO }, { headers })
    await assert.rejects(create('gpt-unheard-of'), { status: 404, code: 'model_not_found' })
    await assert.rejects(create('text-embedding-3-small'), OpenAI.NotFoundError)
    await assert.rejects(create('gpt-4o', { 'x-sim-status': '429' }), OpenAI.RateLimitError)
    await assert.rejects(create('gpt-4o', { 'x-sim-status': '503' }), OpenAI.InternalServerError)
    sim.configure({ requireKey: 'sk-right' })
    await assert.rejects(create('gpt-4o'), OpenAI.AuthenticationError)
    const right = new OpenAI({ baseURL: `${sim.url}/v1`, apiKey: 'sk-right' })
    assert.equal((await right.chat.completions.create({ model: 'gpt-4o', messages: HELLO })).choices.length, 1)
  })

  test('a stream that fails in its middle is an error to the SDK, not an end', async (t) => {
    const { openai } = await client(t)
    const headers = { 'x-sim-die': 'error-event' }
    const chat = await openai.chat.completions.create({ model: 'gpt-4o', messages: HELLO, stream: true }, { headers })
    await assert.rejects(Array.fromAsync(chat), OpenAI.APIError)
    const response = await openai.responses.create({ model: 'gpt-4o', input: 'Hello', stream: true }, { headers })
    await assert.rejects(Array.fromAsync(response), OpenAI.APIError)
  })
})
