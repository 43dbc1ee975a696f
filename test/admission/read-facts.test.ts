import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readFacts } from '../../src/admission/read-facts.ts'
import { REFUSED_NAMES } from '../../src/admission/refused-fields.ts'
import type { ApiFormat, Endpoint, RequestFacts } from '../../src/admission/request-facts.ts'
import { pdfOf, pngOf } from '../helpers/images.ts'

interface Asked {
  readonly body: unknown
  readonly format?: ApiFormat
  readonly pathModel?: string | null
  readonly query?: string
  readonly headers?: Record<string, string>
}

function read(endpoint: Endpoint, { body, format, pathModel, query = '', headers = {} }: Asked) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const formatOf = { messages: 'anthropic', count_tokens: 'anthropic' } as const
  const google = endpoint.endsWith('content')
  const own = google ? 'google' : endpoint in formatOf ? 'anthropic' : 'openai'
  const inPath = pathModel === undefined ? (google ? 'gemini-2.5-flash' : null) : pathModel
  return readFacts({ endpoint, format: format ?? own, pathModel: inPath, query, headers, body: bytes })
}

function factsOf(endpoint: Endpoint, asked: Asked): RequestFacts {
  const result = read(endpoint, asked)
  assert.ok(result.ok, result.ok ? '' : result.refusal.message)
  return result.value
}

function paramOf(endpoint: Endpoint, asked: Asked): string | undefined {
  const result = read(endpoint, asked)
  assert.ok(!result.ok, `not refused: ${JSON.stringify(asked)}`)
  assert.equal(result.refusal.code, 'invalid_request')
  return result.refusal.param
}

const user = (content: unknown) => ({ role: 'user', content })
const BASE64 = 'A'.repeat(4_000)

describe('model and headers', () => {
  test('the model is the body’s, with its place; a missing, empty or overlong one is refused', () => {
    const facts = factsOf('chat', { body: { messages: [], model: 'openai/gpt-4o' } })
    assert.equal(facts.requestedModel, 'openai/gpt-4o')
    assert.ok(facts.modelSpan !== null)
    assert.equal(facts.body.toString('utf8', facts.modelSpan.start, facts.modelSpan.end), '"openai/gpt-4o"')
    assert.equal(factsOf('chat', { body: { model: 'm'.repeat(256) } }).requestedModel.length, 256)
    for (const endpoint of ['chat', 'completions', 'responses', 'embeddings', 'messages', 'count_tokens'] as const) {
      for (const model of [
        undefined,
        null,
        1,
        {},
        ['gpt-4o'],
        '',
        'm'.repeat(257),
        'gpt\n4',
        'gpt\u0000',
        'gpt\u0085',
      ]) {
        assert.equal(paramOf(endpoint, { body: { model } }), 'model', `${endpoint} ${JSON.stringify(model)}`)
      }
    }
    assert.equal(paramOf('chat', { body: '{"model":"gpt-\\ud800"}' }), 'model')
  })

  test('where the path carries the model the body need not, and nothing in the body is replaced', () => {
    const azure = factsOf('chat', { body: { messages: [] }, pathModel: 'gpt-4o' })
    assert.deepEqual([azure.requestedModel, azure.modelSpan], ['gpt-4o', null])
    assert.equal(paramOf('generate_content', { body: {}, pathModel: 'm'.repeat(257) }), 'model')
  })

  test('F20 a list of models to fall back to is refused', () => {
    assert.equal(paramOf('chat', { body: { model: 'a', models: ['b'] } }), 'models')
    assert.equal(paramOf('responses', { body: { model: 'a', fallbacks: ['b'] } }), 'fallbacks')
    assert.equal(paramOf('messages', { body: { model: 'a', messages: [], fallbacks: [{ model: 'b' }] } }), 'fallbacks')
    assert.equal(paramOf('messages', { body: { model: 'a', messages: [], fallbacks: 'default' } }), 'fallbacks')
  })

  test('F20 what reaches other models of a provider, or has no bound or report, is refused by its name', () => {
    const asked: readonly [string, unknown][] = [
      ['multi_agent', { enabled: true, max_concurrent_subagents: 100 }],
      ['moderation', { model: 'gpt-6-astra' }],
      ['data_sources', [{ type: 'azure_search', parameters: { embedding_dependency: { deployment_name: 'e' } } }]],
      ['plugins', [{ id: 'response-healing' }, { id: 'fusion', model: 'b' }]],
      ['preset', 'dear'],
      ['safety_model', 'b'],
      ['compound_custom', { models: { answering_model: 'b' } }],
      ['search_parameters', { mode: 'auto' }],
      ['deferred', true],
      ['prompt_cache_options', { ttl: '12h' }],
      ['providerOptions', { gateway: { models: ['b'] } }],
    ]
    for (const [name, value] of asked) {
      for (const endpoint of ['chat', 'responses'] as const) {
        assert.equal(paramOf(endpoint, { body: { model: 'a', [name]: value } }), name)
      }
    }
    const innocent = {
      multi_agent: { enabled: false },
      moderation: { model: 'omni-moderation-latest' },
      plugins: [{ id: 'response-healing' }],
      search_parameters: { mode: 'off' },
      deferred: false,
      prompt_cache_options: { ttl: '30m', mode: 'explicit' },
      providerOptions: { openai: {} },
      preset: null,
    }
    factsOf('responses', { body: { model: 'a', ...innocent } })
    factsOf('image_generations', { body: { model: 'a', moderation: 'low' } })
    assert.equal(paramOf('image_generations', { body: { model: 'a', models: ['b'] } }), 'models')
    for (const thread of [{ type: 'create' }, { type: 'continue', previous_message_id: 'msg_1' }]) {
      assert.equal(paramOf('messages', { body: { model: 'a', messages: [], thread } }), 'thread')
    }
    const routed = { generationConfig: { routingConfig: { manualMode: { modelName: 'b' } } } }
    assert.equal(paramOf('generate_content', { body: routed }), 'generationConfig.routingConfig')
    const snake = { generation_config: { model_selection_config: {} } }
    assert.equal(paramOf('generate_content', { body: snake }), 'generation_config.model_selection_config')
  })

  test('F20 headers by which a provider is told of another model or a dearer tier are refused', () => {
    for (const name of [
      'x-ms-oai-image-generation-deployment',
      'x-amzn-bedrock-service-tier',
      'x-amzn-bedrock-performanceconfig-latency',
      'x-vertex-ai-llm-request-type',
      'x-vertex-ai-llm-shared-request-type',
    ]) {
      assert.equal(paramOf('responses', { body: { model: 'a' }, headers: { [name]: 'b' } }), name)
    }
  })

  test('a field that is refused or lists tools cannot be given twice, for two parsers', () => {
    assert.equal(paramOf('responses', { body: '{"model":"a","tools":[],"tools":[]}' }), 'tools')
    assert.equal(paramOf('messages', { body: '{"model":"a","Thread":{}}' }), 'thread')
  })

  test('F20 what is refused is not hidden by giving it once more, as nothing, or by another letter case', () => {
    for (const name of [...REFUSED_NAMES, 'svg', 'compaction']) {
      const twice = `{"model":"m","messages":[],"${name}":{"model":"b"},"${name}":null}`
      assert.equal(paramOf('chat', { body: twice }), name)
      assert.equal(paramOf('chat', { body: `{"model":"m","messages":[],"${name.toUpperCase()}":{}}` }), name)
    }
  })

  test('F20 models that a provider may call as tools are read, wherever the tools stand', () => {
    const image = { type: 'image_generation', model: 'gpt-image-2', quality: 'low' }
    const read = (endpoint: Endpoint, body: object) => factsOf(endpoint, { body: { model: 'm', ...body } }).toolModels
    const one = [{ model: 'gpt-image-2', uses: 1, outputTokens: 500, besideTokens: 5_000 }]
    assert.deepEqual(read('responses', { tools: [image] }), one)
    assert.deepEqual(read('responses', { tools: [], input: [{ type: 'tool_search_output', tools: [image] }] }), one)
    const [unnamed] = read('responses', { tools: [{ type: 'image_generation' }], max_tool_calls: 3 }) ?? []
    assert.deepEqual([unnamed?.model.startsWith('gpt-image-'), unnamed?.uses, unnamed?.outputTokens], [true, 3, 7_100])
    const advisor = {
      type: 'advisor_20260301',
      name: 'advisor',
      model: 'claude-opus-4-8',
      max_uses: 2,
      max_tokens: 900,
    }
    assert.deepEqual(read('messages', { messages: [], tools: [advisor] }), [
      { model: 'claude-opus-4-8', uses: 2, outputTokens: 900, besideTokens: 5_000 },
    ])
    const addition = { type: 'tool_addition', tool: { type: 'tool_definition', definition: advisor } }
    assert.deepEqual(
      read('messages', { messages: [{ role: 'system', content: [addition] }] }),
      read('messages', { messages: [], tools: [advisor] }),
    )
    const schema = { type: 'object', model: 1 }
    assert.equal(
      read('chat', { tools: [{ type: 'function', function: { name: 'f', parameters: schema } }] }),
      undefined,
    )
    assert.equal(read('responses', { tools: [{ type: 'function', name: 'f', parameters: schema }] }), undefined)
    assert.equal(read('messages', { messages: [], tools: [{ name: 'f', input_schema: schema }] }), undefined)
  })

  test('F20 a tool that names a model in another way, and an author of SVG, are refused', () => {
    const rows: readonly [Endpoint, object, param: string][] = [
      ['chat', { tools: [{ type: 'openrouter:advisor', parameters: { model: 'b' } }] }, 'tools'],
      ['chat', { tools: [{ type: 'orq:advisor', model: 'b' }] }, 'tools'],
      ['messages', { messages: [], tools: [{ type: 'advisor_20260301', name: 'advisor' }] }, 'tools'],
      ['responses', { tools: [{ type: 'image_generation', model: 7 }] }, 'tools'],
      ['responses', { tools: [{ type: 'image_generation', output_format: 'svg' }] }, 'tools'],
      ['responses', { tools: [{ type: 'image_generation', svg: { model: 'b' } }] }, 'tools'],
      ['responses', { tools: Array.from({ length: 17 }, () => ({ type: 'image_generation' })) }, 'tools'],
      ['image_generations', { prompt: 'a', svg: { model: 'b' } }, 'output_format'],
      ['image_generations', { prompt: 'a', output_format: 'svg' }, 'output_format'],
    ]
    for (const [endpoint, body, param] of rows) {
      assert.equal(paramOf(endpoint, { body: { model: 'a', ...body } }), param, JSON.stringify(body).slice(0, 90))
    }
  })

  test('F07 an answer must be asked for in a form that tells what it has cost', () => {
    const body = { contents: [] }
    for (const [query, param] of [
      ['fields=candidates(content)', 'fields'],
      ['alt=sse&%24fields=candidates', 'fields'],
      ['%66ields=candidates', 'fields'],
      ['$alt=proto', 'alt'],
      ['alt=media', 'alt'],
      ['callback=f', 'callback'],
    ] as const) {
      assert.equal(paramOf('generate_content', { body, query }), param, query)
    }
    const headers = { 'x-goog-fieldmask': 'candidates' }
    assert.equal(paramOf('chat', { body: { model: 'm' }, headers }), 'x-goog-fieldmask')
    for (const query of [
      'alt=sse',
      '$alt=json;enum-encoding=int',
      '%24alt=json%3Benum-encoding%3Dint',
      'api-version=1',
    ]) {
      factsOf('generate_content', { body, query })
    }
  })

  test('F05 a prediction is held beside the answer: what is not taken of it is billed as output', () => {
    const predicted = (prediction: unknown) => factsOf('chat', { body: { model: 'm', prediction } }).predictedTokens
    assert.equal(predicted({ type: 'content', content: 'größer' }), 8)
    assert.equal(predicted({ type: 'content', content: [{ type: 'text', text: 'abc' }, { text: 'de' }, 1] }), 5)
    assert.equal(predicted(null), undefined)
  })

  test('F05 images that are made are held by quality, size and frames', () => {
    const rows: readonly [object, number][] = [
      [{ quality: 'low', n: 2 }, 1_000],
      [{ quality: 'medium', size: '1024x1024' }, 1_800],
      [{ quality: 'auto', size: 'auto' }, 7_100],
      [{ quality: 'xhigh', size: '1536x1024' }, 14_200],
      [{ quality: 'max' }, 28_400],
      // 3,840 × 2,160 pixels are 5.2734 times 1,536 × 1,024
      [{ quality: 'high', size: '3840x2160' }, 37_442],
      [{ quality: 'high', size: '9999x9999' }, 37_442],
      // Nine frames of 768 × 768: 3.375 times
      [{ quality: 'low', size: '768x768', output_format: 'gif' }, 1_688],
      [{ quality: 'low', size: '768x768', output_format: 'gif', frame_count: 12 }, 2_250],
      [{ quality: 'low', size: '768x768', frame_count: 12, partial_images: 2 }, 700],
    ]
    for (const [asked, tokens] of rows) {
      const body = { model: 'gpt-image-2', prompt: 'a', ...asked }
      assert.equal(factsOf('image_generations', { body }).flatOutputTokens, tokens, JSON.stringify(asked))
      if ('n' in asked) continue
      const tools = [{ type: 'image_generation', ...asked }]
      const [tool] = factsOf('responses', { body: { model: 'm', tools } }).toolModels ?? []
      assert.equal(tool?.outputTokens, tokens, JSON.stringify(asked))
    }
  })

  test('F05 that the provider may sum up the conversation is noted, and from which length on', () => {
    const edits = [{ type: 'clear_tool_uses_20250919' }, { type: 'compact_20260112' }]
    const anthropic = (fields: object) => factsOf('messages', { body: { model: 'm', messages: [], ...fields } })
    assert.equal(anthropic({ context_management: { edits } }).compactsFrom, 50_000)
    assert.equal(anthropic({ context_management: { edits: edits.slice(0, 1) } }).compactsFrom, undefined)
    assert.equal(anthropic({ compaction: { type: 'summarize' } }).compactsFrom, 0)
    const openai = (fields: object) =>
      factsOf('responses', { body: { model: 'm', input: 'a', ...fields } }).compactsFrom
    const compaction = { type: 'compaction' }
    assert.equal(openai({ context_management: [compaction] }), 50_000)
    assert.equal(openai({ context_management: [{ ...compaction, compact_threshold: 1_000 }] }), 1_000)
    assert.equal(openai({ context_management: [{ ...compaction, compact_threshold: 200_000 }] }), 50_000)
    assert.equal(openai({ input: [{ type: 'compaction_trigger' }] }), 0)
    assert.equal(openai({}), undefined)
  })

  test('tags are at most five of at most 64 characters', () => {
    const tagged = (tags: string) => ({ body: { model: 'm' }, headers: { 'x-bursar-tags': tags } })
    assert.deepEqual(factsOf('chat', tagged('a, b ,,c')).tags, ['a', 'b', 'c'])
    assert.deepEqual(factsOf('chat', { body: { model: 'm' } }).tags, [])
    assert.equal(factsOf('chat', tagged('t'.repeat(64))).tags.length, 1)
    assert.equal(paramOf('chat', tagged('t'.repeat(65))), 'x-bursar-tags')
    assert.equal(factsOf('chat', tagged('a,b,c,d,e')).tags.length, 5)
    assert.equal(paramOf('chat', tagged('a,b,c,d,e,f')), 'x-bursar-tags')
  })

  test('a dry run is asked for by 1; a misspelt wish for one is refused rather than forwarded and charged', () => {
    const asking = (value: string) => ({ body: { model: 'm' }, headers: { 'x-bursar-dry-run': value } })
    assert.equal(factsOf('chat', asking('1')).dryRun, true)
    assert.equal(factsOf('chat', asking('0')).dryRun, false)
    assert.equal(factsOf('chat', { body: { model: 'm' } }).dryRun, false)
    assert.equal(paramOf('chat', asking('yes')), 'x-bursar-dry-run')
  })

  test('F26 the body is kept byte for byte, and so is the query', () => {
    const body = '{ "model":"m",\n "big": 12345678901234567890, "x": 1.0 }'
    const facts = factsOf('chat', { body, query: 'api-version=2024-10-21&x=%20' })
    assert.equal(facts.body.toString(), body)
    assert.equal(facts.query, 'api-version=2024-10-21&x=%20')
  })
})

describe('ceilings and counts', () => {
  test('F05 a ceiling whose name is escaped is seen, also by a parser that another body has misled', () => {
    factsOf('chat', { body: '{"model":"m","max_tok\\\\u0":1}' })
    const facts = factsOf('chat', { body: '{"model":"m","max_tok\\u0065ns":100000}' })
    assert.equal(facts.outputCeiling, 100_000)
  })

  const bad = [-1, 1.5, 2 ** 53, 1e300, '100', true, [], {}]

  test('those that are no non-negative safe integers are refused by name', () => {
    const rows: readonly [Endpoint, string][] = [
      ['chat', 'max_tokens'],
      ['chat', 'max_completion_tokens'],
      ['chat', 'max_output_tokens'],
      ['chat', 'n'],
      ['completions', 'max_tokens'],
      ['completions', 'n'],
      ['completions', 'best_of'],
      ['responses', 'max_output_tokens'],
      ['responses', 'max_tool_calls'],
      ['embeddings', 'max_tokens'],
      ['messages', 'max_tokens'],
    ]
    for (const [endpoint, name] of rows) {
      for (const value of bad) assert.equal(paramOf(endpoint, { body: { model: 'm', [name]: value } }), name)
      for (const value of [0, 1, 2 ** 53 - 1, null]) factsOf(endpoint, { body: { model: 'm', [name]: value } })
    }
    assert.equal(paramOf('chat', { body: '{"model":"m","max_tokens":9007199254740993}' }), 'max_tokens')
    assert.equal(paramOf('chat', { body: '{"model":"m","n":1e400}' }), 'n')
  })

  test('Gemini’s are looked for in the generation config, under both spellings', () => {
    for (const [config, names] of [
      ['generationConfig', ['maxOutputTokens', 'candidateCount']],
      ['generation_config', ['max_output_tokens', 'candidate_count']],
    ] as const) {
      for (const name of names) {
        for (const value of bad) {
          assert.equal(paramOf('generate_content', { body: { [config]: { [name]: value } } }), `${config}.${name}`)
        }
      }
      const facts = factsOf('generate_content', { body: { [config]: { [names[0]]: 7, [names[1]]: 3 } } })
      assert.deepEqual([facts.outputCeiling, facts.choices], [7, 3])
    }
  })

  test('the ceiling is the endpoint’s own; of two names for it, the larger', () => {
    assert.equal(factsOf('chat', { body: { model: 'm', max_tokens: 5 } }).outputCeiling, 5)
    assert.equal(factsOf('chat', { body: { model: 'm', max_tokens: 5, max_completion_tokens: 9 } }).outputCeiling, 9)
    // Zero means "no ceiling" to servers that cannot tell it from absent.
    assert.equal(factsOf('chat', { body: { model: 'm', max_tokens: 0 } }).outputCeiling, null)
    assert.equal(factsOf('messages', { body: { model: 'm', max_tokens: 0 } }).outputCeiling, null)
    assert.equal(factsOf('chat', { body: { model: 'm', max_tokens: null } }).outputCeiling, null)
    assert.equal(factsOf('chat', { body: { model: 'm', max_output_tokens: 5 } }).outputCeiling, null)
    assert.equal(factsOf('responses', { body: { model: 'm', max_output_tokens: 5 } }).outputCeiling, 5)
    assert.equal(factsOf('responses', { body: { model: 'm', max_tokens: 5 } }).outputCeiling, null)
    assert.equal(factsOf('messages', { body: { model: 'm', max_tokens: 5 } }).outputCeiling, 5)
  })

  test('choices are the answers of every prompt', () => {
    assert.equal(factsOf('chat', { body: { model: 'm', n: 3 } }).choices, 3)
    assert.equal(factsOf('chat', { body: { model: 'm', n: 0 } }).choices, 1)
    const completions = (body: object) => factsOf('completions', { body: { model: 'm', ...body } }).choices
    assert.equal(completions({ prompt: 'a' }), 1)
    assert.equal(completions({ prompt: ['a', 'b'], n: 3 }), 6)
    assert.equal(completions({ prompt: ['a', 'b'], n: 1, best_of: 5 }), 10)
    assert.equal(completions({ prompt: [1, 2, 3], n: 2 }), 2)
    assert.equal(completions({ prompt: [[1, 2], [3]], n: 2 }), 4)
    assert.equal(completions({ prompt: [] }), 1)
  })
})

describe('types and streams', () => {
  test('fields of a wrong type are refused by name', () => {
    const rows: readonly [Endpoint, object, string][] = [
      ['chat', { stream: 'true' }, 'stream'],
      ['chat', { stream: 1 }, 'stream'],
      ['chat', { messages: 'hi' }, 'messages'],
      ['chat', { messages: {} }, 'messages'],
      ['chat', { tools: {} }, 'tools'],
      ['chat', { stream_options: true }, 'stream_options'],
      ['chat', { stream_options: { include_usage: 1 } }, 'stream_options.include_usage'],
      ['responses', { background: 'yes' }, 'background'],
      ['messages', { stream: 'true' }, 'stream'],
      ['messages', { messages: 'hi' }, 'messages'],
      ['generate_content', { generationConfig: [] }, 'generationConfig'],
    ]
    for (const [endpoint, body, param] of rows)
      assert.equal(
        paramOf(endpoint, {
          body: { model: undefined, ...(endpoint === 'generate_content' ? {} : { model: 'm' }), ...body },
        }),
        param,
      )
  })

  test('null means absent', () => {
    const facts = factsOf('chat', { body: { model: 'm', stream: null, stream_options: null, tools: null, n: null } })
    assert.deepEqual([facts.stream, facts.asksForUsage, facts.choices], [false, false, 1])
  })

  test('whether the client asked for the usage of its stream, and where that stands', () => {
    const facts = factsOf('chat', { body: '{"model":"m","stream":true,"stream_options": {"include_usage":true} }' })
    assert.deepEqual([facts.stream, facts.asksForUsage], [true, true])
    assert.ok(facts.streamOptionsSpan !== null)
    const { start, end } = facts.streamOptionsSpan
    assert.equal(facts.body.toString('utf8', start, end), '{"include_usage":true}')
    assert.equal(factsOf('chat', { body: { model: 'm', stream: true } }).streamOptionsSpan, null)
    assert.equal(factsOf('chat', { body: { model: 'm', stream_options: {} } }).asksForUsage, false)
  })

  test('Gemini streams by its path', () => {
    assert.equal(factsOf('stream_generate_content', { body: {} }).stream, true)
    assert.equal(factsOf('generate_content', { body: { stream: true } }).stream, false)
  })

  test('responses in the background are refused for now', () => {
    assert.equal(paramOf('responses', { body: { model: 'm', background: true } }), 'background')
    factsOf('responses', { body: { model: 'm', background: false } })
  })

  test('embeddings and counts produce no output', () => {
    assert.equal(factsOf('embeddings', { body: { model: 'm', input: 'a', max_tokens: 9 } }).producesOutput, false)
    const counted = factsOf('count_tokens', { body: { model: 'm', max_tokens: 9, stream: true } })
    assert.deepEqual([counted.producesOutput, counted.outputCeiling, counted.stream], [false, null, false])
    assert.equal(factsOf('embed_content', { body: {} }).producesOutput, false)
    const google = { body: {}, format: 'google', pathModel: 'gemini-2.5-flash' } as const
    assert.equal(factsOf('count_tokens', google).producesOutput, false)
    assert.equal(factsOf('chat', { body: { model: 'm' } }).producesOutput, true)
  })

  test('a body that names another model than its path is refused', () => {
    assert.equal(paramOf('generate_content', { body: { model: 'models/gemini-2.5-pro' } }), 'model')
    assert.equal(paramOf('embed_content', { body: { requests: [{ model: 'models/gemini-2.5-pro' }] } }), 'model')
    const counted = {
      body: { generateContentRequest: { model: 'x' } },
      format: 'google',
      pathModel: 'gemini-2.5-flash',
    } as const
    assert.equal(paramOf('count_tokens', counted), 'model')
    factsOf('embed_content', { body: { requests: [{ model: 'models/gemini-2.5-flash' }] } })
    factsOf('generate_content', { body: { model: 'gemini-2.5-flash' }, pathModel: 'google/gemini-2.5-flash' })
  })
})

describe('what is priced apart', () => {
  test('the tier, speed and region that a request asks for are read in every format', () => {
    const rows: readonly [Endpoint, object, readonly string[] | undefined][] = [
      ['chat', { model: 'm', messages: [], service_tier: 'Priority' }, ['priority']],
      ['responses', { model: 'm', input: 'a', service_tier: 'flex' }, ['flex']],
      ['chat', { model: 'm', messages: [], service_tier: null }, undefined],
      ['messages', { model: 'm', messages: [], speed: 'fast', inference_geo: 'us' }, ['fast', 'us']],
      ['generate_content', { contents: [], serviceTier: 'SERVICE_TIER_FLEX' }, ['flex']],
      ['generate_content', { contents: [], service_tier: 'priority' }, ['priority']],
    ]
    for (const [endpoint, body, tiers] of rows) {
      assert.deepEqual(factsOf(endpoint, { body }).serviceTiers, tiers, JSON.stringify(body))
    }
  })

  test('F05 a tier that is no word is refused: Gemini’s JSON takes the number of one, too', () => {
    for (const [endpoint, field] of [
      ['chat', 'service_tier'],
      ['messages', 'speed'],
      ['generate_content', 'serviceTier'],
      ['generate_content', 'service_tier'],
    ] as const) {
      for (const value of [2, ['priority'], { tier: 'priority' }, true]) {
        const body = {
          ...(endpoint === 'generate_content' ? { contents: [] } : { model: 'm', messages: [] }),
          [field]: value,
        }
        assert.equal(paramOf(endpoint, { body }), field, JSON.stringify(body))
      }
    }
  })

  test('searches of the web are held for as often as they may happen', () => {
    const searching = { type: 'web_search_20250305', name: 'web_search' }
    const rows: readonly [Endpoint, object, number | undefined][] = [
      ['responses', { model: 'm', input: 'a', tools: [{ type: 'web_search' }] }, 5],
      ['responses', { model: 'm', input: 'a', tools: [{ type: 'web_search_preview' }], max_tool_calls: 2 }, 2],
      ['responses', { model: 'm', input: 'a', tools: [{ type: 'function' }], max_tool_calls: 2 }, undefined],
      ['messages', { model: 'm', messages: [], tools: [searching] }, 5],
      ['messages', { model: 'm', messages: [], tools: [{ ...searching, max_uses: 3 }] }, 3],
      ['messages', { model: 'm', messages: [], tools: [{ ...searching, max_uses: -1 }] }, 5],
      ['messages', { model: 'm', messages: [], tools: [{ name: 'f' }] }, undefined],
      [
        'messages',
        {
          model: 'm',
          messages: [user([{ type: 'tool_addition', tool: { type: 'tool_definition', definition: searching } }])],
        },
        5,
      ],
    ]
    for (const [endpoint, body, webSearches] of rows) {
      assert.equal(factsOf(endpoint, { body }).webSearches, webSearches, JSON.stringify(body))
    }
    const both = [{ type: 'file_search', vector_store_ids: ['vs_1'] }, { type: 'web_search' }]
    const added = { input: [{ type: 'additional_tools', tools: both }], max_tool_calls: 9 }
    for (const [fields, times] of [
      [{ tools: both }, 5],
      [added, 9],
    ] as const) {
      const facts = factsOf('responses', { body: { model: 'm', ...fields } })
      assert.deepEqual([facts.fileSearches, facts.webSearches, facts.usesStoredInput], [times, times, true])
    }
  })
})

describe('size', () => {
  test('text is counted in bytes of UTF-8, the whole body', () => {
    const body = { model: 'm', messages: [user('日本語'), user('hi')] }
    const facts = factsOf('chat', { body })
    assert.equal(facts.textBytes, Buffer.byteLength(JSON.stringify(body)))
    assert.deepEqual([facts.messages, facts.attachments, facts.usesStoredInput], [2, 0, false])
  })

  test('messages and tools are counted, format by format', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }]
    assert.equal(factsOf('chat', { body: { model: 'm', messages: [user('a'), user('b')], tools } }).messages, 3)
    assert.equal(factsOf('completions', { body: { model: 'm', prompt: ['a', 'b'] } }).messages, 2)
    assert.equal(factsOf('responses', { body: { model: 'm', input: 'a' } }).messages, 1)
    assert.equal(
      factsOf('responses', { body: { model: 'm', input: [user('a')], instructions: 'b', tools } }).messages,
      3,
    )
    assert.equal(factsOf('embeddings', { body: { model: 'm', input: ['a', 'b', 'c'] } }).messages, 3)
    const anthropic = { model: 'm', messages: [user('a')], system: 'b', tools: [{ name: 'f' }] }
    assert.equal(factsOf('messages', { body: anthropic }).messages, 3)
    const google = {
      contents: [{ parts: [{ text: 'a' }] }, { parts: [{ text: 'b' }] }],
      systemInstruction: { parts: [{ text: 'c' }] },
      tools: [{ functionDeclarations: [{ name: 'f' }, { name: 'g' }] }],
    }
    assert.equal(factsOf('generate_content', { body: google }).messages, 5)
    const snake = {
      contents: google.contents,
      system_instruction: google.systemInstruction,
      tools: [{ function_declarations: [{ name: 'f' }] }],
    }
    assert.equal(factsOf('generate_content', { body: snake }).messages, 4)
    assert.equal(factsOf('embed_content', { body: { requests: [{}, {}] } }).messages, 2)
  })

  test('inline images and files count as attachments and their base64 not as text', () => {
    const data = `data:image/png;base64,${BASE64}`
    const rows: readonly [Endpoint, object, subtracted: number][] = [
      ['chat', { messages: [user([{ type: 'image_url', image_url: { url: data } }])] }, data.length],
      ['chat', { messages: [user([{ type: 'image_url', image_url: data }])] }, data.length],
      [
        'chat',
        { messages: [user([{ type: 'input_audio', input_audio: { data: BASE64, format: 'wav' } }])] },
        BASE64.length,
      ],
      ['chat', { messages: [user([{ type: 'file', file: { filename: 'a.pdf', file_data: BASE64 } }])] }, BASE64.length],
      ['responses', { input: [user([{ type: 'input_image', image_url: data }])] }, data.length],
      ['responses', { input: [user([{ type: 'input_file', filename: 'a.pdf', file_data: data }])] }, data.length],
      [
        'responses',
        { input: [{ type: 'computer_call_output', output: { type: 'computer_screenshot', image_url: data } }] },
        data.length,
      ],
      [
        'responses',
        { input: [{ type: 'function_call_output', output: [{ type: 'input_image', image_url: data }] }] },
        data.length,
      ],
      [
        'messages',
        { messages: [user([{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: BASE64 } }])] },
        BASE64.length,
      ],
      [
        'messages',
        {
          messages: [
            user([{ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: BASE64 } }]),
          ],
        },
        BASE64.length,
      ],
      [
        'messages',
        {
          messages: [
            user([
              {
                type: 'tool_result',
                content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: BASE64 } }],
              },
            ]),
          ],
        },
        BASE64.length,
      ],
      [
        'generate_content',
        { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: BASE64 } }] }] },
        BASE64.length,
      ],
      [
        'generate_content',
        { contents: [{ parts: [{ inline_data: { mime_type: 'image/png', data: BASE64 } }] }] },
        BASE64.length,
      ],
    ]
    for (const [endpoint, fields, subtracted] of rows) {
      const body = endpoint === 'generate_content' ? fields : { model: 'm', ...fields }
      const facts = factsOf(endpoint, { body })
      const label = JSON.stringify(fields).slice(0, 90)
      assert.deepEqual([facts.attachments, facts.usesStoredInput], [1, false], label)
      assert.equal(facts.textBytes, JSON.stringify(body).length - subtracted, label)
    }
  })

  test('F05 images are told from files, with their size where it can be read and the detail asked for', () => {
    const png = pngOf({ width: 640, height: 480 }).toString('base64')
    const data = `data:image/png;base64,${png}`
    const known = (detail: string | null) => [{ pixels: { width: 640, height: 480 }, detail }]
    const unknown = (detail: string | null) => [{ pixels: null, detail }]
    const base64 = { type: 'base64', media_type: 'image/png', data: png }
    const rows: readonly [Endpoint, object, images: readonly unknown[] | undefined][] = [
      ['chat', { messages: [user([{ type: 'image_url', image_url: { url: data, detail: 'low' } }])] }, known('low')],
      ['chat', { messages: [user([{ type: 'image_url', image_url: { url: 'https://a.b/c.png' } }])] }, unknown(null)],
      ['chat', { messages: [user([{ type: 'file', file: { filename: 'a.pdf', file_data: png } }])] }, undefined],
      ['responses', { input: [user([{ type: 'input_image', image_url: data, detail: 'high' }])] }, known('high')],
      ['responses', { input: [user([{ type: 'input_image', file_id: 'f', detail: 1 }])] }, unknown(null)],
      ['responses', { input: [{ output: { type: 'computer_screenshot', image_url: data } }] }, known(null)],
      ['messages', { messages: [user([{ type: 'image', source: base64 }])] }, known(null)],
      [
        'messages',
        { messages: [user([{ type: 'image', source: { type: 'url', url: 'https://a.b' } }])] },
        unknown(null),
      ],
      [
        'messages',
        { messages: [user([{ type: 'tool_result', content: [{ type: 'image', source: base64 }] }])] },
        known(null),
      ],
      [
        'messages',
        {
          messages: [
            user([
              {
                type: 'document',
                source: {
                  type: 'content',
                  content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }],
                },
              },
            ]),
          ],
        },
        known(null),
      ],
      [
        'generate_content',
        { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: png } }] }] },
        known(null),
      ],
      [
        'generate_content',
        { contents: [{ parts: [{ inlineData: { mimeType: 'application/pdf', data: png } }] }] },
        undefined,
      ],
    ]
    for (const [endpoint, fields, images] of rows) {
      const body = endpoint === 'generate_content' ? fields : { model: 'm', ...fields }
      assert.deepEqual(factsOf(endpoint, { body }).images, images, JSON.stringify(fields).slice(0, 90))
    }
  })

  test('F05 the pages of documents are seen in each format', () => {
    const pdf = pdfOf(12, { compressed: true }).toString('base64')
    const source = { type: 'base64', media_type: 'application/pdf', data: pdf }
    const rows: readonly [Endpoint, object][] = [
      ['chat', { messages: [user([{ type: 'file', file: { filename: 'a.pdf', file_data: pdf } }])] }],
      ['chat', { messages: [user([{ type: 'file', file: { file_data: `data:application/pdf;base64,${pdf}` } }])] }],
      ['responses', { input: [user([{ type: 'input_file', filename: 'a.pdf', file_data: pdf }])] }],
      ['messages', { messages: [user([{ type: 'document', source }])] }],
      [
        'messages',
        { messages: [user([{ type: 'web_fetch_tool_result', content: { content: { type: 'document', source } } }])] },
      ],
      [
        'responses',
        { prompt: { id: 'pmpt_1', variables: { file: { type: 'input_file', filename: 'a.pdf', file_data: pdf } } } },
      ],
      ['generate_content', { contents: [{ parts: [{ inlineData: { mimeType: 'application/pdf', data: pdf } }] }] }],
    ]
    for (const [endpoint, fields] of rows) {
      const facts = factsOf(endpoint, { body: endpoint === 'generate_content' ? fields : { model: 'm', ...fields } })
      assert.deepEqual([facts.attachments, facts.documentPages], [1, [12]], JSON.stringify(fields).slice(0, 90))
    }
  })

  test('an inline file of text stays text: its bytes become tokens', () => {
    const rows: readonly [Endpoint, object][] = [
      ['chat', { model: 'm', messages: [user([{ type: 'file', file: { filename: 'a.md', file_data: BASE64 } }])] }],
      [
        'chat',
        { model: 'm', messages: [user([{ type: 'file', file: { file_data: `data:text/plain;base64,${BASE64}` } }])] },
      ],
      [
        'messages',
        {
          model: 'm',
          messages: [user([{ type: 'document', source: { type: 'text', media_type: 'text/plain', data: BASE64 } }])],
        },
      ],
      ['generate_content', { contents: [{ parts: [{ inlineData: { mimeType: 'text/csv', data: BASE64 } }] }] }],
    ]
    for (const [endpoint, body] of rows)
      assert.equal(factsOf(endpoint, { body }).textBytes, JSON.stringify(body).length)
  })

  test('text that only looks like an attachment stays text', () => {
    const data = `data:image/png;base64,${BASE64}`
    const body = { model: 'm', messages: [user(data), user([{ type: 'text', text: data, image_url: { url: data } }])] }
    const facts = factsOf('chat', { body })
    assert.deepEqual([facts.textBytes, facts.attachments], [JSON.stringify(body).length, 0])
  })

  test('what the provider fetches or has stored is noted, because its size says nothing', () => {
    const image = 'https://example.com/a.png'
    const rows: readonly [Endpoint, object][] = [
      ['chat', { model: 'm', messages: [user([{ type: 'image_url', image_url: { url: image } }])] }],
      ['chat', { model: 'm', messages: [user([{ type: 'file', file: { file_id: 'file-1' } }])] }],
      ['chat', { model: 'm', messages: [], web_search_options: {} }],
      ['responses', { model: 'm', input: 'a', previous_response_id: 'resp_1' }],
      ['responses', { model: 'm', input: 'a', conversation: 'conv_1' }],
      ['responses', { model: 'm', prompt: { id: 'pmpt_1' } }],
      ['responses', { model: 'm', input: 'a', tools: [{ type: 'web_search' }] }],
      ['responses', { model: 'm', input: 'a', tools: [{ type: 'file_search' }] }],
      ['responses', { model: 'm', input: 'a', tools: [{ type: 'shell', environment: { type: 'container_auto' } }] }],
      ['chat', { model: 'm', messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] }],
      ['responses', { model: 'm', input: [{ type: 'item_reference', id: 'i' }] }],
      ['responses', { model: 'm', input: [user([{ type: 'input_file', file_url: image }])] }],
      ['messages', { model: 'm', messages: [user([{ type: 'image', source: { type: 'url', url: image } }])] }],
      ['messages', { model: 'm', messages: [user([{ type: 'document', source: { type: 'file', file_id: 'f' } }])] }],
      ['messages', { model: 'm', messages: [], tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
      ['messages', { model: 'm', messages: [], mcp_servers: [{}] }],
      ['generate_content', { cachedContent: 'c' }],
      ['generate_content', { cached_content: 'c' }],
      ['generate_content', { tools: [{ googleSearch: {} }] }],
      ['generate_content', { contents: [{ parts: [{ fileData: { fileUri: image } }] }] }],
    ]
    for (const [endpoint, body] of rows)
      assert.equal(factsOf(endpoint, { body }).usesStoredInput, true, JSON.stringify(body))
  })

  test('tools that the client runs itself are not input we cannot see', () => {
    const rows: readonly [Endpoint, object][] = [
      ['chat', { model: 'm', tools: [{ type: 'function' }, { type: 'custom' }] }],
      ['responses', { model: 'm', tools: [{ type: 'function' }, { type: 'apply_patch' }, { type: 'shell' }] }],
      ['messages', { model: 'm', tools: [{ name: 'f' }, { type: 'custom' }, { type: 'bash_20250124' }] }],
      ['generate_content', { tools: [{ functionDeclarations: [] }] }],
    ]
    for (const [endpoint, body] of rows)
      assert.equal(factsOf(endpoint, { body }).usesStoredInput, false, JSON.stringify(body))
  })

  test('F18 a body of 400 KB is read in milliseconds', () => {
    const content = 'The quick brown fox jumps over the "lazy" dog.\nAnd then it sleeps. '.repeat(1_450)
    const body = Buffer.from(
      JSON.stringify({ model: 'm', messages: [1, 2, 3, 4].map(() => user(content)), max_tokens: 9 }),
    )
    assert.ok(body.length > 400_000)
    const source = { endpoint: 'chat', format: 'openai', pathModel: null, query: '', headers: {}, body } as const
    let best = Number.POSITIVE_INFINITY
    for (let run = 0; run < 60; run += 1) {
      const start = performance.now()
      assert.ok(readFacts(source).ok)
      best = Math.min(best, performance.now() - start)
    }
    // Some 1 ms; the margin is for slow and busy machines.
    assert.ok(best < 10, `${best} ms`)
  })
})
