import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readFacts } from '../../src/admission/read-facts.ts'
import type { ApiFormat, Endpoint, RequestFacts } from '../../src/admission/request-facts.ts'
import { rewriteBody } from '../../src/providers/rewrite.ts'
import type { Provider } from '../../src/store/entities.ts'
import { aProvider } from '../helpers/entities.ts'

const openai = aProvider({ kind: 'openai' })
const compatible = aProvider({ kind: 'openai_compatible', name: 'local' })

function facts(body: string, endpoint: Endpoint = 'chat', format: ApiFormat = 'openai'): RequestFacts {
  const pathModel = format === 'google' ? 'gemini-2.5-flash' : null
  const read = readFacts({ format, endpoint, pathModel, query: '', headers: {}, body: Buffer.from(body) })
  assert.ok(read.ok, JSON.stringify(read))
  return read.value
}

function rewritten(of: RequestFacts, provider: Provider, model: string, ceiling: number | null = null): string {
  return rewriteBody(of, { provider, model }, ceiling).toString()
}

describe('a body that goes on', () => {
  test('F26 is the client’s own buffer where nothing has to change', () => {
    const body = ' {"model":"gpt-4o", "n":1.0 }\n'
    const read = facts(body)
    assert.equal(rewriteBody(read, { provider: openai, model: 'gpt-4o' }, null), read.body)
  })

  test('F26 has another model and keeps every other byte', () => {
    const body = '{"a":1.0,"model"  :  "openai\\/gpt-4o" ,"big":123456789012345678901}'
    assert.equal(
      rewritten(facts(body), openai, 'gpt-4o'),
      '{"a":1.0,"model"  :  "gpt-4o" ,"big":123456789012345678901}',
    )
  })

  test('has the name of the deployment, where Azure knows the model by one', () => {
    const azure = aProvider({ kind: 'azure', deployments: { 'gpt-4o': 'prod' } })
    assert.equal(rewritten(facts('{"model":"gpt-4o"}'), azure, 'gpt-4o'), '{"model":"prod"}')
    assert.equal(rewritten(facts('{"model":"constructor"}'), azure, 'constructor'), '{"model":"constructor"}')
  })

  test('of an OpenAI stream asks for usage, once, whatever the client’s options were', () => {
    const ask = '"stream_options":{"include_usage":true}'
    const cases: readonly [body: string, expected: string][] = [
      ['{"model":"m","stream":true}', `{${ask},"model":"m","stream":true}`],
      ['\n{ "model":"m","stream":true}', `\n{${ask}, "model":"m","stream":true}`],
      ['{"model":"m","stream":true,"stream_options":{}}', `{"model":"m","stream":true,${ask}}`],
      ['{"model":"m","stream":true,"stream_options":null}', `{"model":"m","stream":true,${ask}}`],
      [
        '{"model":"m","stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}}',
        '{"model":"m","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}',
      ],
      ['{"model":"m","stream":true,"stream_options":{"include_usage":true}}', ''],
      ['{"model":"m","stream":false}', ''],
    ]
    for (const [body, expected] of cases) assert.equal(rewritten(facts(body), openai, 'm'), expected || body)
    const response = '{"model":"m","stream":true}'
    assert.equal(rewritten(facts(response, 'responses'), openai, 'm'), response, 'responses report by themselves')
    const mistral = aProvider({ kind: 'openai_compatible', baseUrl: 'https://api.mistral.ai/v1' })
    assert.equal(rewritten(facts(response), mistral, 'm'), response)
  })

  test('has the held ceiling written in, where that is configured and the client names none', () => {
    const ceiling = (body: string, endpoint: Endpoint, format: ApiFormat = 'openai', provider = openai) =>
      rewritten(facts(body, endpoint, format), provider, format === 'google' ? 'gemini-2.5-flash' : 'm', 4_096)
    assert.equal(ceiling('{"model":"m"}', 'chat'), '{"max_completion_tokens":4096,"model":"m"}')
    assert.equal(ceiling('{"model":"m"}', 'chat', 'openai', compatible), '{"max_tokens":4096,"model":"m"}')
    assert.equal(ceiling('{"model":"m"}', 'responses'), '{"max_output_tokens":4096,"model":"m"}')
    assert.equal(ceiling('{"model":"m","max_tokens":5}', 'chat'), '{"model":"m","max_tokens":5}')
    assert.equal(ceiling('{"model":"m","input":"x"}', 'embeddings'), '{"model":"m","input":"x"}')
    const gemini = (body: string) => ceiling(body, 'generate_content', 'google')
    assert.equal(gemini('{"contents":[]}'), '{"generationConfig":{"maxOutputTokens":4096},"contents":[]}')
    assert.equal(
      gemini('{"generationConfig": {"temperature":1}}'),
      '{"generationConfig": {"maxOutputTokens":4096,"temperature":1}}',
    )
    assert.equal(gemini('{"generation_config":{}}'), '{"generation_config":{"maxOutputTokens":4096}}')
    assert.equal(gemini('{"generationConfig":{"maxOutputTokens":7}}'), '{"generationConfig":{"maxOutputTokens":7}}')
  })

  test('has the ceiling in the place of an explicit null, which would win over a second field', () => {
    const sent = (body: string, provider: Provider, endpoint: Endpoint = 'chat', format: ApiFormat = 'openai') =>
      rewritten(facts(body, endpoint, format), provider, format === 'google' ? 'gemini-2.5-flash' : 'm', 9)
    assert.equal(
      sent('{"max_completion_tokens" : null,"model":"m"}', openai),
      '{"max_completion_tokens" : 9,"model":"m"}',
    )
    assert.equal(
      sent('{"model":"m","max_tokens":null}', openai),
      '{"max_completion_tokens":9,"model":"m","max_tokens":null}',
      'its reasoning models refuse a number there',
    )
    assert.equal(sent('{"model":"m","max_tokens":null}', compatible), '{"model":"m","max_tokens":9}')
    assert.equal(
      sent('{"model":"m","max_completion_tokens":null}', compatible),
      '{"max_tokens":9,"model":"m","max_completion_tokens":9}',
    )
    assert.equal(
      sent('{"model":"m","max_output_tokens":null}', openai, 'responses'),
      '{"model":"m","max_output_tokens":9}',
    )
    const google = aProvider({ kind: 'google' })
    const cases: readonly [string, string][] = [
      ['{"generationConfig":null}', '{"generationConfig":{"maxOutputTokens":9}}'],
      ['{"generationConfig":{"maxOutputTokens":null}}', '{"generationConfig":{"maxOutputTokens":9}}'],
      ['{"generation_config":{"max_output_tokens": null }}', '{"generation_config":{"max_output_tokens": 9 }}'],
      // Protocol buffers cannot tell zero from absent.
      ['{"generationConfig":{"maxOutputTokens":0,"topK":1}}', '{"generationConfig":{"maxOutputTokens":9,"topK":1}}'],
    ]
    for (const [body, expected] of cases) assert.equal(sent(body, google, 'generate_content', 'google'), expected)
  })

  test('has the ceiling in the place of a zero, and in text completions of servers that would not end by themselves', () => {
    assert.equal(rewritten(facts('{"model":"m","max_tokens":0}'), compatible, 'm', 9), '{"model":"m","max_tokens":9}')
    assert.equal(
      rewritten(facts('{"model":"m","prompt":"x"}', 'completions'), openai, 'm', 9),
      '{"model":"m","prompt":"x"}',
    )
    assert.equal(
      rewritten(facts('{"model":"m","prompt":"x"}', 'completions'), compatible, 'm', 9),
      '{"max_tokens":9,"model":"m","prompt":"x"}',
    )
  })

  test('F26 means what the client’s means, but for the listed changes, whatever it holds', () => {
    const value = fc.jsonValue({ maxDepth: 3 })
    const name = fc.constantFrom('z', 'messages', 'ü"\\', 'user', '__proto__x')
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.boolean(), fc.integer({ min: 0, max: 2 }), (rest, stream, spaces) => {
        const { messages: _, ...others } = rest
        const body = JSON.stringify({ ...others, model: 'openai/gpt-4o', stream }, null, spaces)
        const sent = JSON.parse(rewritten(facts(body), openai, 'gpt-4o', 9)) as Record<string, unknown>
        const { max_completion_tokens, stream_options, ...kept } = sent
        assert.equal(max_completion_tokens, 9)
        assert.deepEqual(stream_options, stream ? { include_usage: true } : undefined)
        assert.deepEqual(kept, { ...(JSON.parse(body) as object), model: 'gpt-4o' })
      }),
    )
  })
})
