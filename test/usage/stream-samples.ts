/** Streams as their providers write them, and what they come to. */
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import { NO_USAGE, type Usage } from '../../src/usage/usage.ts'

export interface Sample {
  readonly name: string
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  readonly framing: 'events' | 'array'
  readonly dropReport: boolean
  /** The provider's bytes, piece by piece; what is held back begins at `heldFrom`, what is taken out is at `dropped`. */
  readonly pieces: readonly string[]
  readonly heldFrom: number
  readonly dropped: number | null
  readonly usage: Usage | null
  /** Bytes of text in the whole stream. */
  readonly text: number
}

const sse = (data: unknown, event?: string, end = '\n') =>
  `${event === undefined ? '' : `event: ${event}${end}`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}${end}${end}`

const chunk = (delta: object, finish: string | null = null, rest: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...rest,
})

const chatUsage = {
  prompt_tokens: 12,
  completion_tokens: 34,
  total_tokens: 46,
  prompt_tokens_details: { cached_tokens: 4 },
}
const chatRead: Usage = { ...NO_USAGE, inputTokens: 12, outputTokens: 34, cacheReadTokens: 4 }

function chat(fields: Partial<Sample> & Pick<Sample, 'name' | 'pieces'>): Sample {
  return {
    format: 'openai',
    endpoint: 'chat',
    framing: 'events',
    dropReport: true,
    heldFrom: fields.pieces.length - 1,
    dropped: null,
    usage: chatRead,
    text: 0,
    ...fields,
  }
}

const TRICKY = 'He said: "usage": {"prompt_tokens": 0}\n\ndata: [DONE]\n\n\\"'

export const SAMPLES: readonly Sample[] = [
  chat({
    name: 'chat, usage asked for by us',
    pieces: [
      sse(chunk({ role: 'assistant', content: '' }, null, { usage: null })),
      sse(chunk({ content: 'Hello' }, null, { usage: null })),
      sse(chunk({ content: TRICKY }, null, { usage: null })),
      sse(chunk({}, 'stop', { usage: null })),
      sse({ id: 'chatcmpl-1', choices: [], usage: chatUsage }),
      sse('[DONE]'),
    ],
    dropped: 4,
    text: 5 + JSON.stringify(TRICKY).length - 2,
  }),
  chat({
    name: 'chat, usage asked for by the client',
    dropReport: false,
    pieces: [
      sse(chunk({ content: 'ü😀' })),
      sse(chunk({}, 'stop')),
      sse({ id: 'chatcmpl-1', choices: [], usage: chatUsage }),
      sse('[DONE]'),
    ],
    text: 6,
  }),
  chat({
    name: 'chat with \\r\\n, comments, pretty JSON and usage in the last content chunk',
    pieces: [
      ': OPENROUTER PROCESSING\r\n\r\n',
      'data: {\r\ndata: "choices" : [ { "delta" : { "content" : "Hi" } , "finish_reason" : "stop" } ] ,\r\ndata: "usage" : {"prompt_tokens":12,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":4}} }\r\n\r\n',
      'data: [DONE]\r\n\r\n',
    ],
    text: 2,
  }),
  chat({
    name: 'chat whose provider reports with every chunk',
    pieces: [
      sse(chunk({ content: 'One' }, null, { usage: { prompt_tokens: 12, completion_tokens: 1 } })),
      sse(chunk({ content: ' two' }, null, { usage: { prompt_tokens: 12, completion_tokens: 2 } })),
      sse(chunk({}, 'stop', { usage: chatUsage })),
      sse('[DONE]'),
    ],
    text: 7,
  }),
  chat({
    name: 'chat whose provider reports in x_groq',
    pieces: [
      sse(chunk({ content: 'One' })),
      sse(chunk({}, 'stop', { x_groq: { id: 'req_1', usage: chatUsage } })),
      sse('[DONE]'),
    ],
    text: 3,
  }),
  chat({
    name: 'chat with tool calls, reasoning and an empty first event of Azure',
    pieces: [
      sse({ choices: [], prompt_filter_results: [] }),
      sse(chunk({ reasoning_content: 'Hmm' })),
      sse(chunk({ tool_calls: [{ index: 0, function: { arguments: '{"usage":1}' } }] })),
      sse(chunk({}, 'tool_calls')),
      sse({ choices: [], usage: chatUsage }),
      sse('[DONE]'),
    ],
    dropped: 4,
    text: 3 + 13,
  }),
  chat({
    name: 'chat that ends without [DONE] and without usage',
    pieces: [sse(chunk({ content: 'Hello' })), sse(chunk({}, 'stop'))],
    heldFrom: 2,
    usage: null,
    text: 5,
  }),
  {
    name: 'text completion',
    format: 'openai',
    endpoint: 'completions',
    framing: 'events',
    dropReport: true,
    pieces: [
      sse({ choices: [{ text: 'Once', finish_reason: null }], usage: null }),
      sse({ choices: [{ text: '', finish_reason: 'length' }], usage: null }),
      sse({ choices: [], usage: chatUsage }),
      sse('[DONE]'),
    ],
    heldFrom: 3,
    dropped: 2,
    usage: chatRead,
    text: 4,
  },
  {
    name: 'response',
    format: 'openai',
    endpoint: 'responses',
    framing: 'events',
    dropReport: true,
    pieces: [
      sse(
        { type: 'response.created', response: { usage: null, metadata: { a: 'response.completed' } } },
        'response.created',
      ),
      sse({ type: 'response.output_text.delta', delta: 'Hello' }, 'response.output_text.delta'),
      sse({ type: 'response.output_text.done', text: 'Hello' }, 'response.output_text.done'),
      sse(
        {
          type: 'response.completed',
          response: {
            output: [{ content: [{ type: 'output_text', text: 'Hello' }] }],
            usage: {
              input_tokens: 12,
              input_tokens_details: { cached_tokens: 4 },
              output_tokens: 34,
              total_tokens: 46,
            },
          },
        },
        'response.completed',
      ),
    ],
    heldFrom: 3,
    dropped: null,
    usage: chatRead,
    text: 5,
  },
  {
    name: 'message',
    format: 'anthropic',
    endpoint: 'messages',
    framing: 'events',
    dropReport: true,
    pieces: [
      sse(
        {
          type: 'message_start',
          message: {
            usage: { input_tokens: 8, cache_read_input_tokens: 4, cache_creation_input_tokens: 0, output_tokens: 1 },
          },
        },
        'message_start',
      ),
      sse({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }, 'content_block_start'),
      sse({ type: 'ping' }, 'ping'),
      sse({ type: 'content_block_delta', delta: { type: 'text_delta', text: 'message_stop' } }, 'content_block_delta'),
      sse(
        { type: 'content_block_delta', delta: { type: 'input_json_delta', partial_json: '{"usage":{' } },
        'content_block_delta',
      ),
      sse(
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { input_tokens: null, output_tokens: 34 } },
        'message_delta',
      ),
      sse({ type: 'message_stop' }, 'message_stop'),
    ],
    heldFrom: 6,
    dropped: null,
    usage: chatRead,
    text: 12 + 12,
  },
  {
    name: 'Gemini as events',
    format: 'google',
    endpoint: 'stream_generate_content',
    framing: 'events',
    dropReport: true,
    pieces: [
      sse(
        {
          candidates: [{ content: { parts: [{ text: 'Hel' }] } }],
          usageMetadata: { promptTokenCount: 12, totalTokenCount: 12 },
        },
        undefined,
        '\r\n',
      ),
      sse(
        {
          candidates: [{ content: { parts: [{ text: 'lo' }] } }],
          usageMetadata: { promptTokenCount: 12, candidatesTokenCount: 20 },
        },
        undefined,
        '\r\n',
      ),
      sse(
        {
          candidates: [{ content: { parts: [{ text: '!' }] }, finishReason: 'STOP' }],
          usageMetadata: {
            promptTokenCount: 12,
            cachedContentTokenCount: 4,
            candidatesTokenCount: 34,
            totalTokenCount: 46,
          },
        },
        undefined,
        '\r\n',
      ),
    ],
    heldFrom: 2,
    dropped: null,
    usage: chatRead,
    text: 6,
  },
  {
    name: 'Gemini as an array, a finish reason on every element',
    format: 'google',
    endpoint: 'stream_generate_content',
    framing: 'array',
    dropReport: true,
    pieces: [
      `[${JSON.stringify({ candidates: [{ content: { parts: [{ text: 'a]"}{' }] }, finishReason: 'STOP' }] }, null, 2)}`,
      `,\r\n${JSON.stringify({
        candidates: [{ content: { parts: [{ text: '\\' }] }, finishReason: 'STOP' }],
        usageMetadata: { promptTokenCount: 12, cachedContentTokenCount: 4, candidatesTokenCount: 34 },
      })}`,
      '\n]\n',
    ],
    heldFrom: 1,
    dropped: null,
    usage: chatRead,
    text: 6 + 2,
  },
]
