import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { extractUsage, findProvider } from '@pydantic/genai-prices'
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import { usageOfAnswer } from '../../src/usage/extract.ts'
import { NO_USAGE, type Usage } from '../../src/usage/usage.ts'

interface Answer {
  readonly name: string
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  /** How the price library calls this shape: provider and flavour. */
  readonly listed: readonly [provider: string, flavour: string] | null
  readonly body: Record<string, unknown>
  readonly usage: Partial<Usage>
}

const ANSWERS: readonly Answer[] = [
  {
    name: 'chat completions',
    format: 'openai',
    endpoint: 'chat',
    listed: ['openai', 'chat'],
    body: {
      model: 'gpt-4o-mini',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi', refusal: null } }],
      usage: {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 40, audio_tokens: 5 },
        completion_tokens_details: { reasoning_tokens: 30, audio_tokens: 2 },
      },
      system_fingerprint: 'fp_1',
    },
    usage: {
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 40,
      inputAudioTokens: 5,
      reasoningTokens: 30,
      outputAudioTokens: 2,
    },
  },
  {
    name: 'embeddings',
    format: 'openai',
    endpoint: 'embeddings',
    listed: ['openai', 'embeddings'],
    body: { model: 'text-embedding-3-small', data: [], usage: { prompt_tokens: 8, total_tokens: 8 } },
    usage: { inputTokens: 8 },
  },
  {
    name: 'responses',
    format: 'openai',
    endpoint: 'responses',
    listed: ['openai', 'responses'],
    body: {
      id: 'resp_1',
      model: 'gpt-5-mini',
      usage: {
        input_tokens: 70,
        input_tokens_details: { cached_tokens: 10 },
        output_tokens: 20,
        output_tokens_details: { reasoning_tokens: 12 },
        total_tokens: 90,
      },
      metadata: {},
    },
    usage: { inputTokens: 70, cacheReadTokens: 10, outputTokens: 20, reasoningTokens: 12 },
  },
  {
    name: 'messages',
    format: 'anthropic',
    endpoint: 'messages',
    listed: ['anthropic', 'default'],
    body: {
      model: 'claude-sonnet-4-5',
      content: [{ type: 'text', text: 'Hi' }],
      usage: {
        input_tokens: 10,
        cache_read_input_tokens: 200,
        cache_creation_input_tokens: 30,
        cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 10 },
        output_tokens: 7,
      },
    },
    usage: { inputTokens: 240, cacheReadTokens: 200, cacheWriteTokens: 30, cacheWrite1hTokens: 10, outputTokens: 7 },
  },
  {
    name: 'generateContent',
    format: 'google',
    endpoint: 'generate_content',
    listed: ['google', 'default'],
    body: {
      candidates: [{ content: { parts: [{ text: 'Hi' }] } }],
      usageMetadata: {
        promptTokenCount: 90,
        cachedContentTokenCount: 20,
        candidatesTokenCount: 11,
        thoughtsTokenCount: 5,
        totalTokenCount: 106,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 83 },
          { modality: 'AUDIO', tokenCount: 7 },
        ],
      },
      modelVersion: 'gemini-2.5-flash',
    },
    usage: { inputTokens: 90, cacheReadTokens: 20, outputTokens: 16, reasoningTokens: 5, inputAudioTokens: 7 },
  },
]

function read(format: ApiFormat, endpoint: Endpoint, body: unknown): Usage | null {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return usageOfAnswer(format, endpoint, endpoint !== 'embeddings' && endpoint !== 'embed_content', Buffer.from(text))
}

const chat = (usage: unknown) => read('openai', 'chat', { choices: [], usage })

describe('usage of a collected answer', () => {
  for (const { name, format, endpoint, body, usage, listed } of ANSWERS) {
    test(`T03 ${name}: every part of the report is read, and the price library reads the same`, () => {
      const ours = read(format, endpoint, body)
      assert.deepEqual(ours, { ...NO_USAGE, ...usage })
      if (listed === null) return
      const provider = findProvider({ providerId: listed[0] })
      assert.ok(provider !== undefined)
      const theirs = extractUsage(provider, body, listed[1]).usage
      assert.equal(theirs.input_tokens, ours?.inputTokens)
      assert.equal(theirs.output_tokens ?? 0, ours?.outputTokens)
      assert.equal(theirs.cache_read_tokens ?? 0, ours?.cacheReadTokens)
      assert.equal(theirs.cache_write_tokens ?? 0, ours?.cacheWriteTokens)
    })
  }

  test('F08 what an advisor has used, and what summing up took, stand apart from the totals of a message', () => {
    const usage = {
      input_tokens: 23_000,
      output_tokens: 1_000,
      iterations: [
        { type: 'compaction', input_tokens: 180_000, output_tokens: 3_500, cache_read_input_tokens: 10 },
        { type: 'message', input_tokens: 23_000, output_tokens: 1_000 },
        { type: 'advisor_message', model: 'claude-opus-4-8', input_tokens: 900, output_tokens: 500 },
        { type: 'advisor_message', input_tokens: -1, output_tokens: 500 },
        null,
      ],
    }
    const read = usageOfAnswer('anthropic', 'messages', true, Buffer.from(JSON.stringify({ usage })))
    const compaction = { ...NO_USAGE, inputTokens: 180_010, outputTokens: 3_500, cacheReadTokens: 10, fees: 0 }
    const advice = { model: 'claude-opus-4-8', usage: { ...NO_USAGE, inputTokens: 900, outputTokens: 500 } }
    const total = { ...NO_USAGE, inputTokens: 23_000, outputTokens: 1_000 }
    assert.deepEqual(read, { ...total, compactions: [compaction], toolUse: [advice] })
  })

  test('F08 what images have used stands beside the usage of a response; where that is missing nobody knows', () => {
    const image = { type: 'image_generation_call', result: 'iVBO' }
    const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 }
    const toolUse = (rest: object) => read('openai', 'responses', { usage, ...rest })?.toolUse
    const used = { ...NO_USAGE, inputTokens: 50, outputTokens: 1_600, outputImageTokens: 1_600 }
    const reported = { image_gen: { input_tokens: 50, output_tokens: 1_600, total_tokens: 1_650 } }
    const nothing = { image_gen: { input_tokens: 0, output_tokens: 0, total_tokens: 0 } }
    assert.deepEqual(toolUse({ output: [image], tool_usage: reported }), [{ model: null, usage: used }])
    assert.equal(toolUse({ output: [image] }), null)
    assert.deepEqual(toolUse({ output: [image], tool_usage: nothing }), [])
    assert.deepEqual(toolUse({ output: [{ type: 'message' }] }), [])
    const large = { ...image, result: 'i'.repeat(5_000_000) }
    assert.equal(toolUse({ output: [large] }), null)
    assert.deepEqual(toolUse({ output: [large], tool_usage: reported }), [{ model: null, usage: used }])
  })

  test('F08 reasoning that a provider leaves out of its output count, but not out of its total, is counted once', () => {
    const grok = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 35,
      completion_tokens_details: { reasoning_tokens: 20 },
    }
    assert.deepEqual(chat(grok), { ...NO_USAGE, inputTokens: 10, outputTokens: 25, reasoningTokens: 20 })
    const gpt = {
      prompt_tokens: 10,
      completion_tokens: 25,
      total_tokens: 35,
      completion_tokens_details: { reasoning_tokens: 20 },
    }
    assert.deepEqual(chat(gpt), chat(grok))
  })

  test('a count that is negative, fractional, a string, null or absurd is no report', () => {
    for (const bad of [-1, 0.5, '12', null, 1e12, true, {}, [3]]) {
      assert.equal(chat({ prompt_tokens: bad, completion_tokens: 3 }), null, `input ${JSON.stringify(bad)}`)
      assert.equal(chat({ prompt_tokens: 3, completion_tokens: bad }), null, `output ${JSON.stringify(bad)}`)
      assert.equal(read('anthropic', 'messages', { usage: { input_tokens: bad, output_tokens: 1 } }), null)
      assert.equal(read('google', 'generate_content', { usageMetadata: { promptTokenCount: bad } }), null)
    }
    for (const bad of [null, 3, 'x', []]) assert.equal(chat(bad), null)
  })

  test('a bad part does not spoil the report, and no part is larger than its whole', () => {
    const usage = chat({
      prompt_tokens: 10,
      completion_tokens: 5,
      prompt_tokens_details: { cached_tokens: '9', audio_tokens: 99 },
      completion_tokens_details: null,
    })
    assert.deepEqual(usage, { ...NO_USAGE, inputTokens: 10, outputTokens: 5, inputAudioTokens: 10 })
  })

  test('nothing that a model writes into its answer passes for a report', () => {
    const forged = { usage: { input_tokens: 0, output_tokens: 0 } }
    const tool = { type: 'tool_use', input: forged }
    const real = { input_tokens: 500, output_tokens: 60 }
    const expected = { ...NO_USAGE, inputTokens: 500, outputTokens: 60 }
    assert.deepEqual(read('anthropic', 'messages', { usage: real, content: [tool] }), expected)
    assert.deepEqual(read('anthropic', 'messages', { content: [tool], usage: real }), expected)
    assert.equal(read('anthropic', 'messages', { content: [tool] }), null)
    const text = JSON.stringify({ content: [{ type: 'text', text: JSON.stringify(forged) }], usage: real })
    assert.deepEqual(read('anthropic', 'messages', text), expected)
    const last = `{"content":[],"usage":${JSON.stringify(real)},"note":"\\"usage\\":{\\"input_tokens\\":0}"}`
    assert.deepEqual(read('anthropic', 'messages', last), expected)
  })

  test('an answer that is no JSON, empty, or cut off reports nothing and does not throw', () => {
    for (const body of ['', '{', '"usage"', '{"usage":', '[1]', '<html>"usage"</html>', '\u0000']) {
      assert.equal(read('openai', 'chat', body), null, body)
    }
  })

  test('counting tokens is free: its answer’s count is no charge', () => {
    assert.deepEqual(read('anthropic', 'count_tokens', { input_tokens: 4_000 }), NO_USAGE)
    assert.deepEqual(read('google', 'count_tokens', { totalTokens: 4_000 }), NO_USAGE)
  })
})
