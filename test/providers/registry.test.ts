import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import { KINDS, providersFromEnvironment, speaks, takesUsageOption } from '../../src/providers/registry.ts'
import { targetOf } from '../../src/providers/targets.ts'
import type { ProviderKind } from '../../src/store/entities.ts'

function url(
  kind: ProviderKind,
  baseUrl: string,
  format: ApiFormat,
  endpoint: Endpoint,
  rest: { model?: string; query?: string; apiVersion?: string } = {},
): string {
  const { model = 'm', query = '', apiVersion = null } = rest
  const { origin, path } = targetOf({ kind, baseUrl, apiVersion }, format, endpoint, model, query)
  return origin + path
}

describe('where a request goes', () => {
  test('a base URL works with and without its version, as people write both', () => {
    const messages = 'https://api.anthropic.com/v1/messages'
    assert.equal(url('anthropic', 'https://api.anthropic.com', 'anthropic', 'messages'), messages)
    assert.equal(url('anthropic', 'https://api.anthropic.com/v1/', 'anthropic', 'messages'), messages)
    const chat = 'https://api.openai.com/v1/chat/completions'
    assert.equal(url('openai', 'https://api.openai.com/v1', 'openai', 'chat'), chat)
    assert.equal(url('openai', 'https://api.openai.com', 'openai', 'chat'), chat)
    const google = 'https://generativelanguage.googleapis.com'
    const generate = `${google}/v1beta/models/m:generateContent`
    assert.equal(url('google', google, 'google', 'generate_content'), generate)
    assert.equal(url('google', `${google}/v1beta`, 'google', 'generate_content'), generate)
    assert.equal(url('google', `${google}/v1`, 'google', 'generate_content'), `${google}/v1/models/m:generateContent`)
    assert.equal(url('google', google, 'openai', 'chat'), `${google}/v1beta/openai/chat/completions`)
    for (const base of ['http://127.0.0.1:9', 'http://127.0.0.1:9/v1', 'http://127.0.0.1:9/v1beta']) {
      assert.equal(url('sim', base, 'openai', 'chat'), 'http://127.0.0.1:9/v1/chat/completions')
      assert.equal(url('sim', base, 'anthropic', 'count_tokens'), 'http://127.0.0.1:9/v1/messages/count_tokens')
    }
  })

  test('an OpenAI-compatible provider is addressed below exactly what its base URL says', () => {
    assert.equal(
      url('openai_compatible', 'https://api.perplexity.ai', 'openai', 'chat'),
      'https://api.perplexity.ai/chat/completions',
    )
    assert.equal(
      url('openai_compatible', 'http://host:1/a/b/v1', 'openai', 'embeddings', { query: 'x=1' }),
      'http://host:1/a/b/v1/embeddings?x=1',
    )
  })

  test('Azure’s classic form has the deployment in the path, its newer one looks like OpenAI’s', () => {
    const base = 'https://acme.openai.azure.com'
    const classic = { apiVersion: '2024-10-21', model: 'prod', query: 'a=1' }
    assert.equal(
      url('azure', base, 'openai', 'chat', classic),
      `${base}/openai/deployments/prod/chat/completions?a=1&api-version=2024-10-21`,
    )
    assert.equal(
      url('azure', base, 'openai', 'responses', classic),
      `${base}/openai/responses?a=1&api-version=2024-10-21`,
    )
    assert.equal(url('azure', `${base}/openai/v1/`, 'openai', 'chat'), `${base}/openai/v1/chat/completions`)
  })

  test('a model in a path cannot leave its place in it', () => {
    const base = 'http://h'
    assert.equal(
      url('google', base, 'google', 'generate_content', { model: 'x?y#z:a/b c' }),
      `${base}/v1beta/models/x%3Fy%23z%3Aa/b%20c:generateContent`,
    )
  })

  test('a format a provider does not speak has no address', () => {
    assert.throws(() => url('openai', 'http://h', 'anthropic', 'messages'), /does not take anthropic messages/)
    assert.equal(speaks('openai', 'anthropic', 'messages'), false)
    assert.equal(speaks('anthropic', 'openai', 'embeddings'), false)
    for (const format of ['openai', 'anthropic', 'google'] as const) {
      assert.notEqual(KINDS.sim.surfaces[format], undefined, 'the simulated provider speaks all three')
    }
  })
})

describe('asking a stream for its usage', () => {
  const takes = (kind: ProviderKind, baseUrl: string, apiVersion: string | null = null) =>
    takesUsageOption({ kind, baseUrl, apiVersion })

  test('is left out where the provider refuses the field or reports without it', () => {
    assert.equal(takes('openai', 'https://api.openai.com/v1'), true)
    assert.equal(takes('openai_compatible', 'http://127.0.0.1:11434/v1'), true)
    assert.equal(takes('openai_compatible', 'https://api.mistral.ai/v1'), false)
    assert.equal(takes('openai_compatible', 'https://api.perplexity.ai'), false)
    assert.equal(takes('openai_compatible', 'https://mistral.ai.example/v1'), true)
    assert.equal(takes('azure', 'https://a.openai.azure.com', '2024-02-01'), false)
    assert.equal(takes('azure', 'https://a.openai.azure.com', '2024-10-21'), true)
    assert.equal(takes('azure', 'https://a.openai.azure.com'), true)
  })
})

const VARIABLES = [
  'OPENAI_API_KEY',
  'ANTHROPIC_API_KEY',
  'GEMINI_API_KEY',
  'MISTRAL_API_KEY',
  'GROQ_API_KEY',
  'DEEPSEEK_API_KEY',
  'XAI_API_KEY',
  'OPENROUTER_API_KEY',
  'TOGETHER_API_KEY',
  'FIREWORKS_API_KEY',
  'CEREBRAS_API_KEY',
  'PERPLEXITY_API_KEY',
  'COHERE_API_KEY',
]

describe('providers of the environment', () => {
  test('each key that is set adds its provider; an empty one does not', () => {
    const found = providersFromEnvironment({ OPENAI_API_KEY: ' sk-1 ', GROQ_API_KEY: '', XAI_API_KEY: 'x', OTHER: 'y' })
    assert.deepEqual(
      found.map(({ name, kind, key }) => [name, kind, key]),
      [
        ['openai', 'openai', 'sk-1'],
        ['xai', 'openai_compatible', 'x'],
      ],
    )
    const all = providersFromEnvironment(Object.fromEntries(VARIABLES.map((variable) => [variable, 'key'])))
    assert.equal(all.length, VARIABLES.length)
    for (const { name, baseUrl } of all) assert.match(baseUrl, /^https:\/\//, name)
  })
})
