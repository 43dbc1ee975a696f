/**
 * What answers of every API cost, from the bytes that a provider sends to the nano-dollar that is charged. Every expectation is
 * worked out by hand from the prices in `RATES`' comments; none is computed here.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Estimate } from '../../src/admission/estimate.ts'
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import { GenaiPriceBook } from '../../src/pricing/price-book.ts'
import { nanoUsd } from '../../src/units/money.ts'
import { usageOfAnswer } from '../../src/usage/extract.ts'
import { outcome, resolutionOf } from '../../src/usage/settle.ts'
import { dialectOf } from '../../src/usage/stream-dialect.ts'
import { StreamTap } from '../../src/usage/stream-tap.ts'
import type { Usage } from '../../src/usage/usage.ts'

const NOW = Date.parse('2026-11-15T12:00:00Z')

type Json = Readonly<Record<string, unknown>>

/** One answer as the provider sends it collected, and as the events of a stream. */
interface Answer {
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  readonly whole: Json
  readonly events?: readonly Json[]
}

/** [what, answer, provider/model, input tokens, output tokens, nano-dollars, what the request asked to be served as] */
type Row = readonly [string, Answer, string, number, number, bigint, ...string[]]

interface Parts {
  /** The assistant's message. */
  readonly message?: Json
  readonly choices?: number
  readonly service_tier?: string
}

function chat(usage: Json, { message = { content: 'Hi' }, choices = 1, ...beside }: Parts = {}): Answer {
  const made = Array.from({ length: choices }, (_, index) => index)
  const head = { id: 'chatcmpl-1', model: 'm' }
  const chunk = (rest: Json) => ({ ...head, object: 'chat.completion.chunk', usage: null, ...beside, ...rest })
  return {
    format: 'openai',
    endpoint: 'chat',
    whole: {
      ...head,
      choices: made.map((index) => ({ index, message: { role: 'assistant', ...message }, finish_reason: 'stop' })),
      usage,
      ...beside,
      system_fingerprint: 'fp_1',
    },
    events: [
      ...made.map((index) => chunk({ choices: [{ index, delta: message, finish_reason: null }] })),
      ...made.map((index) => chunk({ choices: [{ index, delta: {}, finish_reason: 'stop' }] })),
      chunk({ choices: [], usage }),
    ],
  }
}

function completions(usage: Json, choices = 1): Answer {
  const made = Array.from({ length: choices }, (_, index) => ({ index, text: ' yes', finish_reason: 'stop' }))
  const events = [...made.map((choice) => ({ choices: [choice], usage: null })), { choices: [], usage }]
  return { format: 'openai', endpoint: 'completions', whole: { id: 'cmpl-1', choices: made, usage }, events }
}

const TEXT_ITEM = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hi' }] }

function responses(usage: Json, { output = [TEXT_ITEM], ...beside }: { output?: Json[]; service_tier?: string } = {}) {
  const head = { id: 'resp_1', object: 'response', status: 'completed' }
  const whole = { ...head, output, ...beside, tools: [], usage, user: null, metadata: {} }
  const events = [
    { type: 'response.created', response: { ...head, status: 'in_progress', output: [], ...beside, usage: null } },
    { type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta: 'Hi' },
    { type: 'response.completed', response: whole },
  ]
  return { format: 'openai', endpoint: 'responses', whole, events } satisfies Answer
}

function embeddings(usage: Json): Answer {
  return { format: 'openai', endpoint: 'embeddings', whole: { data: [{ embedding: [0.1] }], model: 'm', usage } }
}

/** @param atEnd what the last event of the stream says beside the output */
function messages(usage: Json, content: readonly Json[] = [{ type: 'text', text: 'Hi' }], atEnd: Json = {}): Answer {
  const { output_tokens, ...input } = usage
  return {
    format: 'anthropic',
    endpoint: 'messages',
    whole: { id: 'msg_1', type: 'message', content, stop_reason: 'end_turn', usage: { ...usage, ...atEnd } },
    events: [
      { type: 'message_start', message: { id: 'msg_1', content: [], usage: { ...input, output_tokens: 1 } } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens, ...atEnd } },
      { type: 'message_stop' },
    ],
  }
}

function gemini(usageMetadata: Json, candidates: readonly Json[] = [{ content: { parts: [{ text: 'Hi' }] } }]): Answer {
  const done = candidates.map((candidate) => ({ ...candidate, finishReason: 'STOP' }))
  const { candidatesTokenCount, thoughtsTokenCount, totalTokenCount, ...input } = usageMetadata
  const whole = { candidates: done, usageMetadata, modelVersion: 'm', responseId: 'r' }
  return {
    format: 'google',
    endpoint: 'generate_content',
    whole,
    events: [{ candidates, usageMetadata: { ...input, totalTokenCount: input.promptTokenCount } }, whole],
  }
}

const DRAWN_FROM: Json = { image_tokens: 40, text_tokens: 10 }

function images(usage: Json): Answer {
  return {
    format: 'openai',
    endpoint: 'image_generations',
    whole: { created: 1, data: [{ b64_json: 'iVBO' }], usage },
    events: [
      { type: 'image_generation.partial_image', b64_json: 'iVBO', partial_image_index: 0 },
      { type: 'image_generation.completed', b64_json: 'iVBO', usage },
    ],
  }
}

function transcriptions(usage: Json, done = 'transcript.text.done'): Answer {
  const events = [
    { type: 'transcript.text.delta', delta: 'Hi' },
    { type: done, text: 'Hi', usage },
  ]
  return { format: 'openai', endpoint: 'transcriptions', whole: { text: 'Hi', usage }, events }
}

function embedded(usageMetadata: Json): Answer {
  return { format: 'google', endpoint: 'embed_content', whole: { embedding: { values: [0.1] }, usageMetadata } }
}

/** Counts of chat and text completions. */
const counts = (prompt_tokens: number, completion_tokens: number, rest: Json = {}): Json => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
  ...rest,
})

const inOut = (input_tokens: number, output_tokens: number, rest: Json = {}): Json => ({
  input_tokens,
  output_tokens,
  ...rest,
})

const google = (promptTokenCount: number, candidatesTokenCount: number, rest: Json = {}): Json => ({
  promptTokenCount,
  candidatesTokenCount,
  totalTokenCount: promptTokenCount + candidatesTokenCount,
  ...rest,
})

const cached = (cached_tokens: number): Json => ({ prompt_tokens_details: { cached_tokens, audio_tokens: 0 } })
const reasoned = (reasoning_tokens: number): Json => ({ completion_tokens_details: { reasoning_tokens } })
const toolCall = { content: null, tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{"a":1}' } }] }
const search = (action?: string) => ({
  type: 'web_search_call',
  status: 'completed',
  ...(action === undefined ? {} : { action: { type: action } }),
})

/** Nano-dollars per token, of input, cached input and output: gpt-4o-mini 150, 75, 600; gpt-5-mini 250, 25, 2,000. */
const CHAT: readonly Row[] = [
  // Perplexity's research, whose parts its total leaves out: 33 × 2,000 + 7,163 × 8,000 + 73,997 × 3,000 + 20,016 × 2,000 + 50 searches of $0.005
  [
    'research',
    chat({
      ...counts(33, 7_163),
      citation_tokens: 20_016,
      num_search_queries: 50,
      reasoning_tokens: 73_997,
      search_context_size: 'low',
    }),
    'perplexity/sonar-deep-research',
    33,
    101_176,
    569_393_000n,
  ],
  // 812 × 150 + 256 × 600
  ['plain', chat(counts(812, 256)), 'openai/gpt-4o-mini', 812, 256, 275_400n],
  // 900 × 150 + 1,100 × 75 + 10 × 600
  ['cached', chat(counts(2_000, 10, cached(1_100))), 'openai/gpt-4o-mini', 2_000, 10, 223_500n],
  // all cached: 1,024 × 25 + 1 × 2,000
  ['cached whole', chat(counts(1_024, 1, cached(1_024))), 'openai/gpt-5-mini', 1_024, 1, 27_600n],
  // reasoning is output, once: 50 × 250 + 700 × 2,000
  ['reasoning', chat(counts(50, 700, reasoned(640))), 'openai/gpt-5-mini', 50, 700, 1_412_500n],
  // xAI leaves reasoning out of the output but not out of the total: 10 × 3,000 + 25 × 15,000
  [
    'reasoning beside the output',
    chat({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 35, ...reasoned(20) }),
    'xai/grok-4',
    10,
    25,
    405_000n,
  ],
  // 90 × 150 + 17 × 600
  ['tool use', chat(counts(90, 17), { message: toolCall }), 'openai/gpt-4o-mini', 90, 17, 23_700n],
  // 33 × 150 + 12 × 600
  [
    'a refusal',
    chat(counts(33, 12), { message: { content: null, refusal: 'I cannot.' } }),
    'openai/gpt-4o-mini',
    33,
    12,
    12_150n,
  ],
  // 7 × 150
  ['empty', chat(counts(7, 0), { message: { content: '' } }), 'openai/gpt-4o-mini', 7, 0, 1_050n],
  // the report counts all four: 20 × 150 + 40 × 600
  ['several choices', chat(counts(20, 40), { choices: 4 }), 'openai/gpt-4o-mini', 20, 40, 27_000n],
  // one token: 1 × 150 + 1 × 600
  ['the smallest', chat(counts(1, 1)), 'openai/gpt-4o-mini', 1, 1, 750n],
  // DeepSeek's names, by day: 60 × 270 + 40 × 70 + 5 × 1,100
  [
    'cached, in DeepSeek’s words',
    chat(counts(100, 5, { prompt_cache_hit_tokens: 40, prompt_cache_miss_tokens: 60 })),
    'deepseek/deepseek-chat',
    100,
    5,
    24_500n,
  ],
  // 272,000 tokens are long context: 272,000 × 10,000 + 10 × 45,000
  ['long context', chat(counts(272_000, 10)), 'openai/gpt-5.5', 272_000, 10, 2_720_450_000n],
  // half of 100 × 250 + 10 × 2,000
  ['flex', chat(counts(100, 10), { service_tier: 'flex' }), 'openai/gpt-5-mini', 100, 10, 22_500n, 'flex'],
  // 1.8 × 45,000
  ['priority', chat(counts(100, 10), { service_tier: 'priority' }), 'openai/gpt-5-mini', 100, 10, 81_000n, 'priority'],
  // asked for, and served as usual
  [
    'priority, declined',
    chat(counts(100, 10), { service_tier: 'default' }),
    'openai/gpt-5-mini',
    100,
    10,
    45_000n,
    'priority',
  ],
  // set for the whole project at the provider: nobody asked
  ['priority, unasked', chat(counts(100, 10), { service_tier: 'priority' }), 'openai/gpt-5-mini', 100, 10, 81_000n],
  // asked for, and nothing said
  ['fast, unsaid', chat(counts(100, 10)), 'openai/gpt-5-mini', 100, 10, 81_000n, 'fast'],
  // 5/3 of 1 × 150 + 1 × 75 is 375; 5/3 of 1 × 75 + 0 is 125
  [
    'priority of a cached token',
    chat(counts(1, 0, cached(1)), { service_tier: 'priority' }),
    'openai/gpt-4o-mini',
    1,
    0,
    125n,
  ],
  // Groq's flex costs what all else does: 100 × 590 + 10 × 790
  [
    'flex of a provider with one price',
    chat(counts(100, 10), { service_tier: 'flex' }),
    'groq/llama-3.3-70b-versatile',
    100,
    10,
    66_900n,
    'flex',
  ],
]

/** gpt-3.5-turbo-instruct 1,500 and 2,000; text-embedding-3-small 20; gemini-embedding-001 150. */
const TEXTS: readonly Row[] = [
  ['plain', completions(counts(5, 7)), 'openai/gpt-3.5-turbo-instruct', 5, 7, 21_500n],
  ['several choices', completions(counts(5, 21), 3), 'openai/gpt-3.5-turbo-instruct', 5, 21, 49_500n],
  ['empty', completions(counts(5, 0)), 'openai/gpt-3.5-turbo-instruct', 5, 0, 7_500n],
  ['embeddings', embeddings({ prompt_tokens: 8, total_tokens: 8 }), 'openai/text-embedding-3-small', 8, 0, 160n],
  ['one embedding', embeddings({ prompt_tokens: 1, total_tokens: 1 }), 'openai/text-embedding-3-small', 1, 0, 20n],
  ['no tokens', embeddings({ prompt_tokens: 0, total_tokens: 0 }), 'openai/text-embedding-3-small', 0, 0, 0n],
  ['Gemini’s embeddings', embedded({ promptTokenCount: 11 }), 'google/gemini-embedding-001', 11, 0, 1_650n],
  // gemini-embedding-2: 2 × 200 + 258 × 450 (a page) + 4,000 × 12,000 (film) + 500 × 6,500 (its sound)
  [
    'embeddings of a film and a page',
    embedded({
      promptTokenCount: 4_760,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 2 },
        { modality: 'DOCUMENT', tokenCount: 258 },
        { modality: 'VIDEO', tokenCount: 4_000 },
        { modality: 'AUDIO', tokenCount: 500 },
      ],
    }),
    'google/gemini-embedding-2',
    4_760,
    0,
    51_366_500n,
  ],
]

/** gpt-4o-mini-transcribe 1,250, sound 3,000, 5,000; voxtral-mini-2602 $0.18 an hour: 5,000 for a tenth of a second. */
const SOUND: readonly Row[] = [
  // 4 × 1,250 + 100 × 3,000 + 20 × 5,000
  [
    'tokens',
    transcriptions({
      type: 'tokens',
      input_tokens: 104,
      input_token_details: { audio_tokens: 100, text_tokens: 4 },
      output_tokens: 20,
      total_tokens: 124,
    }),
    'openai/gpt-4o-mini-transcribe',
    104,
    20,
    405_000n,
  ],
  // 203 seconds, whatever tokens are counted besides
  [
    'seconds beside tokens',
    transcriptions(
      { prompt_audio_seconds: 203, prompt_tokens: 4, completion_tokens: 635, total_tokens: 3_264 },
      'transcription.done',
    ),
    'mistral/voxtral-mini-2602',
    2_030,
    635,
    10_150_000n,
  ],
]

/** gpt-5-mini as above; gpt-4.1 2,000, 500, 8,000; a search of the web $0.01, one in files $0.0025. */
const RESPONSES: readonly Row[] = [
  ['plain', responses(inOut(40, 30)), 'openai/gpt-5-mini', 40, 30, 70_000n],
  // 60 × 250 + 10 × 25 + 20 × 2,000
  [
    'cached',
    responses(inOut(70, 20, { input_tokens_details: { cached_tokens: 10 } })),
    'openai/gpt-5-mini',
    70,
    20,
    55_250n,
  ],
  // 9 × 250 + 400 × 2,000
  [
    'reasoning',
    responses(inOut(9, 400, { output_tokens_details: { reasoning_tokens: 384 } })),
    'openai/gpt-5-mini',
    9,
    400,
    802_250n,
  ],
  [
    'tool use',
    responses(inOut(30, 15), { output: [{ type: 'function_call', name: 'f', arguments: '{"a":1}' }] }),
    'openai/gpt-5-mini',
    30,
    15,
    37_500n,
  ],
  [
    'a refusal',
    responses(inOut(12, 6), { output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'No.' }] }] }),
    'openai/gpt-5-mini',
    12,
    6,
    15_000n,
  ],
  ['empty', responses(inOut(12, 0), { output: [] }), 'openai/gpt-5-mini', 12, 0, 3_000n],
  // 1,000 × 2,000 + 50 × 8,000 + two searches; what was opened is free
  [
    'searches of the web',
    responses(inOut(1_000, 50), { output: [search('search'), search('open_page'), search(), TEXT_ITEM] }),
    'openai/gpt-4.1',
    1_000,
    50,
    22_400_000n,
  ],
  // 1,000 × 2,000 + 50 × 8,000 + two searches in files; what has failed is free
  [
    'searches in files',
    responses(inOut(1_000, 50), {
      output: [
        { type: 'file_search_call', status: 'completed', queries: ['a', 'b'] },
        { type: 'file_search_call', status: 'failed', queries: ['c'] },
        { type: 'file_search_call', status: 'completed', queries: ['c'] },
        TEXT_ITEM,
      ],
    }),
    'openai/gpt-4.1',
    1_000,
    50,
    7_400_000n,
  ],
  // 7/4 of 2,400,000; the fee for one search stays
  [
    'priority with a search',
    responses(inOut(1_000, 50), { output: [search('search'), TEXT_ITEM], service_tier: 'priority' }),
    'openai/gpt-4.1',
    1_000,
    50,
    14_200_000n,
    'priority',
  ],
  ['flex', responses(inOut(40, 30), { service_tier: 'flex' }), 'openai/gpt-5-mini', 40, 30, 35_000n, 'flex'],
]

/** Nano-dollars per token of input, cache read, cache write, of an hour, and output: claude-sonnet-4-5 3,000, 300, 3,750, 6,000, 15,000;
 * claude-opus-4-6 and 4-8 5,000, 500, 6,250, 10,000, 25,000. */
const MESSAGES: readonly Row[] = [
  ['plain', messages(inOut(25, 12)), 'anthropic/claude-sonnet-4-5', 25, 12, 255_000n],
  // 10 × 3,000 + 2,000 × 300 + 7 × 15,000
  [
    'cache read',
    messages(inOut(10, 7, { cache_read_input_tokens: 2_000, cache_creation_input_tokens: 0 })),
    'anthropic/claude-sonnet-4-5',
    2_010,
    7,
    735_000n,
  ],
  // 10 × 3,000 + 20 × 3,750 + 10 × 6,000 + 200 × 300 + 7 × 15,000
  [
    'cache writes of both lifetimes',
    messages(
      inOut(10, 7, {
        cache_read_input_tokens: 200,
        cache_creation_input_tokens: 30,
        cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 10 },
      }),
    ),
    'anthropic/claude-sonnet-4-5',
    240,
    7,
    330_000n,
  ],
  // 23,000 × 3,000 + 1,000 × 15,000, and at the rates of its own length 180,000 × 3,000 + 3,500 × 15,000
  [
    'summing up',
    messages(inOut(23_000, 1_000), undefined, {
      iterations: [
        { type: 'compaction', input_tokens: 180_000, output_tokens: 3_500 },
        { type: 'message', input_tokens: 23_000, output_tokens: 1_000 },
      ],
    }),
    'anthropic/claude-sonnet-4-5',
    203_000,
    4_500,
    676_500_000n,
  ],
  [
    'thinking',
    messages(inOut(25, 900, { output_tokens_details: { thinking_tokens: 880 } })),
    'anthropic/claude-sonnet-4-5',
    25,
    900,
    13_575_000n,
  ],
  [
    'tool use',
    messages(inOut(300, 40), [{ type: 'tool_use', id: 't', name: 'f', input: { usage: { input_tokens: 0 } } }]),
    'anthropic/claude-sonnet-4-5',
    300,
    40,
    1_500_000n,
  ],
  ['empty', messages(inOut(25, 0), []), 'anthropic/claude-sonnet-4-5', 25, 0, 75_000n],
  // two steps write 10 and 20 for an hour, and the second 5 for five minutes: 10 × 3,000 + 30 × 6,000 + 5 × 3,750 + 7 × 15,000
  [
    'cache writes of several steps',
    messages(
      inOut(10, 7, {
        cache_creation_input_tokens: 10,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 10 },
      }),
      undefined,
      {
        cache_creation_input_tokens: 35,
        iterations: [
          { type: 'message', input_tokens: 5, output_tokens: 3, cache_creation: { ephemeral_1h_input_tokens: 10 } },
          {
            type: 'message',
            input_tokens: 5,
            output_tokens: 4,
            cache_creation: { ephemeral_5m_input_tokens: 5, ephemeral_1h_input_tokens: 20 },
          },
          { type: 'compaction', cache_creation: { ephemeral_1h_input_tokens: 9 } },
        ],
      },
    ),
    'anthropic/claude-sonnet-4-5',
    45,
    7,
    333_750n,
  ],
  // 200,001 × 6,000 + 1 × 22,500
  ['long context', messages(inOut(200_001, 1)), 'anthropic/claude-sonnet-4-5', 200_001, 1, 1_200_028_500n],
  ['at the edge of it', messages(inOut(200_000, 1)), 'anthropic/claude-sonnet-4-5', 200_000, 1, 600_015_000n],
  // 100 × 3,000 + 10 × 15,000 + three searches of $0.01
  [
    'searches of the web',
    messages(inOut(100, 10), undefined, { server_tool_use: { web_search_requests: 3, web_fetch_requests: 2 } }),
    'anthropic/claude-sonnet-4-5',
    100,
    10,
    30_450_000n,
  ],
  [
    'the standard tier',
    messages(inOut(25, 12, { service_tier: 'standard' })),
    'anthropic/claude-sonnet-4-5',
    25,
    12,
    255_000n,
    'auto',
  ],
  // paid for in advance
  [
    'the priority tier',
    messages(inOut(25, 12, { service_tier: 'priority' })),
    'anthropic/claude-sonnet-4-5',
    25,
    12,
    255_000n,
    'auto',
  ],
  // 6 × (10 × 5,000 + 10 × 25,000)
  ['fast', messages(inOut(10, 10, { speed: 'fast' })), 'anthropic/claude-opus-4-6', 10, 10, 1_800_000n, 'fast'],
  // 2 × 300,000
  ['fast and newer', messages(inOut(10, 10, { speed: 'fast' })), 'anthropic/claude-opus-4-8', 10, 10, 600_000n, 'fast'],
  [
    'fast, declined',
    messages(inOut(10, 10, { speed: 'standard' })),
    'anthropic/claude-opus-4-8',
    10,
    10,
    300_000n,
    'fast',
  ],
  // 2 × 1.1 × 300,000
  [
    'fast in the United States',
    messages(inOut(10, 10, { speed: 'fast', inference_geo: 'us', service_tier: 'standard' })),
    'anthropic/claude-opus-4-8',
    10,
    10,
    660_000n,
  ],
]

/** gemini-2.5-flash 300, cached 30, sound 1,000, 2,500; gemini-2.5-pro 1,250, 125, 10,000, and above 200,000 tokens 2,500, 250, 15,000. */
const GEMINI: readonly Row[] = [
  ['plain', gemini(google(90, 11)), 'google/gemini-2.5-flash', 90, 11, 54_500n],
  // 10 × 300 + 5 × 2,500 + 1,290 × 30,000
  [
    'an image',
    gemini(
      google(10, 1_295, {
        candidatesTokensDetails: [
          { modality: 'TEXT', tokenCount: 5 },
          { modality: 'IMAGE', tokenCount: 1_290 },
        ],
      }),
    ),
    'google/gemini-2.5-flash-image',
    10,
    1_295,
    38_715_500n,
  ],
  // 70 × 300 + 20 × 30 + 11 × 2,500
  ['cached', gemini(google(90, 11, { cachedContentTokenCount: 20 })), 'google/gemini-2.5-flash', 90, 11, 49_100n],
  // thoughts stand beside the candidates: 90 × 300 + 511 × 2,500
  [
    'thoughts',
    gemini(google(90, 11, { thoughtsTokenCount: 500, totalTokenCount: 601 })),
    'google/gemini-2.5-flash',
    90,
    511,
    1_304_500n,
  ],
  // 83 × 300 + 7 × 1,000 + 11 × 2,500
  [
    'sound',
    gemini(
      google(90, 11, {
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 83 },
          { modality: 'AUDIO', tokenCount: 7 },
        ],
      }),
    ),
    'google/gemini-2.5-flash',
    90,
    11,
    59_400n,
  ],
  // of 900 tokens of sound 800 are cached, at 100 of their own: 100 × 300 + 100 × 1,000 + 800 × 100 + 50 × 30 + 11 × 2,500
  [
    'cached sound',
    gemini(
      google(1_050, 11, {
        promptTokensDetails: [
          { modality: 'AUDIO', tokenCount: 900 },
          { modality: 'TEXT', tokenCount: 150 },
        ],
        cachedContentTokenCount: 850,
        cacheTokensDetails: [
          { modality: 'TEXT', tokenCount: 50 },
          { modality: 'AUDIO', tokenCount: 800 },
        ],
      }),
    ),
    'google/gemini-2.5-flash',
    1_050,
    11,
    239_000n,
  ],
  // the kinds as numbers: 83 × 300 + 7 × 1,000 + 11 × 2,500
  [
    'sound by number',
    gemini(
      google(90, 11, {
        promptTokensDetails: [
          { modality: 1, tokenCount: 83 },
          { modality: 4, tokenCount: 7 },
        ],
      }),
    ),
    'google/gemini-2.5-flash',
    90,
    11,
    59_400n,
  ],
  // gemini-omni-flash-preview 1,500, 9,000, film 17,500: 10 × 1,500 + 5 × 9,000 + 2,000 × 17,500
  [
    'a film',
    gemini(google(10, 2_005, { candidatesTokensDetails: [{ modality: 'VIDEO', tokenCount: 2_000 }] })),
    'google/gemini-omni-flash-preview',
    10,
    2_005,
    35_060_000n,
  ],
  // a tool has found sound: 90 × 300 + 25 × 1,000 + 5 × 300 + 11 × 2,500
  [
    'sound in what a tool found',
    gemini(
      google(90, 11, {
        toolUsePromptTokenCount: 30,
        toolUsePromptTokensDetails: [{ modality: 'AUDIO', tokenCount: 25 }],
        totalTokenCount: 131,
      }),
    ),
    'google/gemini-2.5-flash',
    120,
    11,
    81_000n,
  ],
  // what tools put into the prompt is input: 120 × 300 + 11 × 2,500
  [
    'tool use',
    gemini(google(90, 11, { toolUsePromptTokenCount: 30, totalTokenCount: 131 }), [
      { content: { parts: [{ functionCall: { name: 'f', args: {} } }] } },
    ]),
    'google/gemini-2.5-flash',
    120,
    11,
    63_500n,
  ],
  // blocked: 90 × 300
  ['a refusal', gemini(google(90, 0), [{ content: {} }]), 'google/gemini-2.5-flash', 90, 0, 27_000n],
  [
    'several candidates',
    gemini(google(90, 44), [
      { index: 0, content: { parts: [{ text: 'Hi' }] } },
      { index: 1, content: { parts: [{ text: 'Ho' }] } },
    ]),
    'google/gemini-2.5-flash',
    90,
    44,
    137_000n,
  ],
  // 200,001 × 2,500 + 1 × 15,000
  ['long context', gemini(google(200_001, 1)), 'google/gemini-2.5-pro', 200_001, 1, 500_017_500n],
  ['flex', gemini(google(90, 11, { serviceTier: 'flex' })), 'google/gemini-2.5-flash', 90, 11, 27_250n, 'flex'],
  [
    'priority, in the long form',
    gemini(google(90, 11, { serviceTier: 'SERVICE_TIER_PRIORITY' })),
    'google/gemini-2.5-flash',
    90,
    11,
    109_000n,
    'priority',
  ],
  [
    'priority, declined',
    gemini(google(90, 11, { serviceTier: 'standard' })),
    'google/gemini-2.5-flash',
    90,
    11,
    54_500n,
    'priority',
  ],
]

/** gpt-image-1.5 5,000, images 8,000, text 10,000, images 32,000; gpt-image-2 5,000, 8,000, and 30,000 for all it makes. */
const IMAGES: readonly Row[] = [
  // 10 × 5,000 + 40 × 8,000 + 1,600 × 32,000
  [
    'all that is made',
    images(inOut(50, 1_600, { input_tokens_details: DRAWN_FROM })),
    'openai/gpt-image-1.5',
    50,
    1_600,
    51_570_000n,
  ],
  // 10 × 5,000 + 40 × 8,000 + 100 × 10,000 + 1,500 × 32,000
  [
    'with text',
    images(
      inOut(50, 1_600, {
        input_tokens_details: DRAWN_FROM,
        output_tokens_details: { image_tokens: 1_500, text_tokens: 100 },
      }),
    ),
    'openai/gpt-image-1.5',
    50,
    1_600,
    49_370_000n,
  ],
  [
    'one rate',
    images(inOut(50, 1_600, { input_tokens_details: DRAWN_FROM })),
    'openai/gpt-image-2',
    50,
    1_600,
    48_370_000n,
  ],
]

const ESTIMATE: Estimate = {
  inputTokens: 1,
  outputTokens: 1,
  costNanoUsd: nanoUsd(1n),
  inputCostNanoUsd: nanoUsd(1n),
  basis: 'bytes',
}

const book = new GenaiPriceBook({ prices: new Map(), version: 0 }, null)

function charge(
  usage: Usage | null,
  [, , target, , , , ...asked]: Row,
): readonly [number, number, bigint, string | null] {
  const [name = '', model = ''] = target.split('/')
  const kind = ['openai', 'anthropic', 'google'].includes(name) ? name : 'openai_compatible'
  const price = book.priceOf({ name, kind }, model, NOW)
  assert.ok(price !== null, `the list prices ${target}`)
  const end = outcome('complete', 200, { usage })
  const resolution = resolutionOf(end, ESTIMATE, price, { serviceTiers: asked })
  return [resolution.usage.inputTokens, resolution.usage.outputTokens, resolution.cost, resolution.source]
}

function streamed({ format, endpoint, events = [] }: Answer): Usage | null {
  const name = format === 'google' ? 'stream_generate_content' : endpoint
  const tap = new StreamTap({ dialect: dialectOf(format, name), framing: 'events', dropReport: false })
  for (const event of events) {
    const named = typeof event.type === 'string' ? `event: ${event.type}\n` : ''
    tap.push(Buffer.from(`${named}data: ${JSON.stringify(event)}\n\n`))
  }
  if (format === 'openai' && endpoint !== 'responses') tap.push(Buffer.from('data: [DONE]\n\n'))
  tap.end()
  return tap.reading.usage()
}

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  'chat completions': CHAT,
  'text completions and embeddings': TEXTS,
  transcriptions: SOUND,
  responses: RESPONSES,
  messages: MESSAGES,
  generateContent: GEMINI,
  images: IMAGES,
}

for (const [name, rows] of Object.entries(TABLES)) {
  describe(`F08 what ${name} cost`, () => {
    for (const row of rows) {
      const [what, answer, target, input, output, nano] = row
      const expected = [input, output, nano, 'reported']
      test(`${what}: ${target}, collected`, () => {
        const { format, endpoint, whole } = answer
        const produces = endpoint !== 'embeddings' && endpoint !== 'embed_content'
        const usage = usageOfAnswer(format, endpoint, produces, Buffer.from(JSON.stringify(whole)))
        assert.deepEqual(charge(usage, row), expected)
      })
      if (answer.events === undefined) continue
      test(`${what}: ${target}, as a stream`, () => {
        assert.deepEqual(charge(streamed(answer), row), expected)
      })
    }
  })
}
