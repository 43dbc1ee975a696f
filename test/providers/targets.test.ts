import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nativeTarget, targetBelow, targetOf } from '../../src/providers/targets.ts'
import type { ProviderKind } from '../../src/store/entities.ts'

const at = (kind: ProviderKind, baseUrl: string, apiVersion: string | null = null) => ({ kind, baseUrl, apiVersion })

test('what the base URL and a native path both say is meant once', () => {
  const rows: readonly [base: string, path: string, reached: string][] = [
    ['https://h/v1', '/v1/files', '/v1/files'],
    ['https://h/v1', '/files', '/v1/files'],
    ['https://h/v1/', '/v1', '/v1'],
    ['https://h/v1', '/v10/files', '/v1/v10/files'],
    ['https://h/openai/v1', '/openai/v1/files', '/openai/v1/files'],
    ['https://h/openai/v1', '/v1/files', '/openai/v1/files'],
    ['https://h/deep/v1', '/openai/files', '/deep/v1/openai/files'],
    ['https://h', '/v1beta/files', '/v1beta/files'],
  ]
  for (const [base, path, reached] of rows) {
    assert.deepEqual(nativeTarget(at('openai_compatible', base), path, 'a=b'), {
      origin: 'https://h',
      path: `${reached}?a=b`,
    })
  }
  assert.equal(nativeTarget(at('openai', 'https://h'), '/files', '').path, '/v1/files')
})

test('Azure’s form with the deployment in the path keeps the version that the client asks for', () => {
  const azure = at('azure', 'https://h', '2024-10-21')
  const path = (query: string, classic: boolean, provider = azure) =>
    targetOf(provider, 'openai', 'chat', 'prod', query, classic).path
  assert.equal(path('api-version=2025-01-01', true), '/openai/deployments/prod/chat/completions?api-version=2025-01-01')
  assert.equal(path('', true), '/openai/deployments/prod/chat/completions?api-version=2024-10-21')
  const unversioned = at('azure', 'https://h')
  assert.equal(path('api-version=preview', false, unversioned), '/openai/v1/chat/completions?api-version=preview')
})

test('what is stored lies below its endpoint, whatever form that has', () => {
  const below = (provider: ReturnType<typeof at>) =>
    targetBelow(provider, 'openai', 'responses', '/resp_1/input_items', 'limit=3').path
  assert.equal(below(at('openai', 'https://h/v1')), '/v1/responses/resp_1/input_items?limit=3')
  assert.equal(below(at('azure', 'https://h')), '/openai/v1/responses/resp_1/input_items?limit=3')
  const versioned = at('azure', 'https://h', '2025-03-01-preview')
  assert.equal(below(versioned), '/openai/responses/resp_1/input_items?limit=3&api-version=2025-03-01-preview')
})

test('Cohere has its reranking beside what it has made compatible', () => {
  const cohere = at('openai_compatible', 'https://api.cohere.ai/compatibility/v1')
  assert.equal(targetOf(cohere, 'openai', 'rerank', 'x', '').path, '/v2/rerank')
  assert.equal(
    targetOf(at('openai_compatible', 'https://api.jina.ai/v1'), 'openai', 'rerank', 'x', '').path,
    '/v1/rerank',
  )
})
