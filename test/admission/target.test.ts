import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pathModelOf, pathOf, queryOf, refusalOfTarget } from '../../src/admission/target.ts'

describe('target', () => {
  test('paths that two servers could read differently are refused, whatever the query holds', () => {
    for (const url of [
      '/a/../b',
      '/..',
      '/a//b',
      '//a',
      '/a\\b',
      '/a%2fb',
      '/a%2Fb',
      '/a%2eb',
      '/%2E%2E',
      '/a%5cb',
      '/a..b',
    ]) {
      assert.equal(refusalOfTarget(url)?.code, 'invalid_request', url)
    }
    for (const url of ['/', '/v1/models/gemini-2.5-pro:generateContent', '/a?x=//..%2f\\', '/a%20b', '/a%3Ab']) {
      assert.equal(refusalOfTarget(url), null, url)
    }
  })

  test('F23 a key in the query is refused without being repeated', () => {
    const refusal = refusalOfTarget('/v1/models?alt=sse&key=sk-bursar-secret')
    assert.equal(refusal?.code, 'key_in_query')
    assert.ok(!JSON.stringify(refusal).includes('secret'))
  })

  test('path and query are parted at the first question mark', () => {
    assert.deepEqual([pathOf('/a?b=c?d'), queryOf('/a?b=c?d')], ['/a', 'b=c?d'])
    assert.deepEqual([pathOf('/a'), queryOf('/a')], ['/a', ''])
  })

  test('the model of a Gemini path, as each pattern of a route gives it', () => {
    assert.equal(pathModelOf('google', { model: 'gemini-2.5-pro' }), 'gemini-2.5-pro')
    assert.equal(pathModelOf('google', { provider: 'google', model: 'gemini-2.5-pro' }), 'google/gemini-2.5-pro')
    assert.equal(pathModelOf('google', { '*': 'gemini-2.5-pro:generateContent' }), 'gemini-2.5-pro')
    assert.equal(pathModelOf('google', { '*': 'google/a:free:generateContent' }), 'google/a:free')
    assert.equal(pathModelOf('google', {}), null)
    assert.equal(pathModelOf('openai', { model: 'm', '*': 'x' }), null)
  })
})
