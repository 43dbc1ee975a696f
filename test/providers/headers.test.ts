import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { failureOf, masked } from '../../src/providers/failure.ts'
import { answerHeaders, requestHeaders, servedHeaders } from '../../src/providers/headers.ts'
import { aProvider } from '../helpers/entities.ts'

const providerKey = { id: 'k', name: 'main', value: 'real', keyStart: 'real', weight: 1 }

function sent(
  client: Record<string, string>,
  provider = aProvider(),
  format: 'openai' | 'anthropic' | 'google' = 'openai',
): Record<string, string> {
  const list = requestHeaders(client, { provider, providerKey }, format, 'request-1')
  const headers: Record<string, string> = {}
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] ?? ''
    assert.equal(headers[name], undefined, `${name} is sent once`)
    headers[name] = list[at + 1] ?? ''
  }
  return headers
}

describe('headers to a provider', () => {
  test('what Connection names stays on its connection, but cannot take our credential away', () => {
    const headers = sent({ connection: 'close, X-Hop, Authorization', 'x-hop': '1', te: 'trailers', 'x-kept': '2' })
    assert.deepEqual(headers, { 'x-kept': '2', 'accept-encoding': 'identity', authorization: 'Bearer real' })
  })

  test('an admin’s own headers win over everything, the credential included', () => {
    const provider = aProvider({ headers: { Authorization: 'Custom x', 'User-Agent': 'bursar' } })
    const headers = sent({ 'user-agent': 'client' }, provider)
    assert.equal(headers.authorization, 'Custom x')
    assert.equal(headers['user-agent'], 'bursar')
  })

  test('Anthropic’s version is the client’s, else one is given', () => {
    const provider = aProvider({ kind: 'anthropic' })
    assert.equal(sent({}, provider, 'anthropic')['anthropic-version'], '2023-06-01')
    assert.equal(sent({ 'anthropic-version': '2099-01-01' }, provider, 'anthropic')['anthropic-version'], '2099-01-01')
    assert.equal(sent({ 'anthropic-beta': 'a,b' }, provider, 'anthropic')['anthropic-beta'], 'a,b')
  })

  test('our request id goes to the simulated provider only', () => {
    assert.equal(sent({ 'x-bursar-request-id': 'forged' })['x-bursar-request-id'], undefined)
    assert.equal(sent({}, aProvider({ kind: 'sim' }))['x-bursar-request-id'], 'request-1')
  })
})

describe('headers to a client', () => {
  test('keep the provider’s own, but for its account, its connection and ours', () => {
    const headers = answerHeaders({
      'content-type': 'application/json',
      'content-length': '5',
      'transfer-encoding': 'chunked',
      'set-cookie': ['a', 'b'],
      'x-ratelimit-limit-tokens': '7',
      'x-bursar-model': 'forged',
      'retry-after': '3',
      vary: 'origin',
    })
    assert.deepEqual(headers, {
      'content-type': 'application/json',
      'x-upstream-ratelimit-limit-tokens': '7',
      'retry-after': '3',
      vary: 'origin',
    })
  })
})

test('who served an answer is said in printable ASCII, whatever the model is called', () => {
  const nameOf = (model: string) =>
    servedHeaders({ candidate: { provider: aProvider(), model } }, null)['x-bursar-model']
  assert.equal(nameOf('meta/llama 3 (8b) 100%'), 'meta/llama 3 (8b) 100%')
  assert.equal(nameOf('通义-千问'), '%E9%80%9A%E4%B9%89-%E5%8D%83%E9%97%AE')
  assert.equal(nameOf('café😀'), 'caf%C3%A9%F0%9F%98%80')
})

describe('F23 a provider’s error text', () => {
  test('loses credentials and account ids, and nothing else', () => {
    const cases: readonly [text: string, expected: string][] = [
      ['Incorrect API key provided: sk-proj-abc*****wxyz.', 'Incorrect API key provided: ***.'],
      ['in organization org-AbCdEf0123456789 on tokens', 'in organization *** on tokens'],
      ['Project `proj_AbCdEf0123` has no access', 'Project `***` has no access'],
      ['API key AIzaSyA-1234567890abcdef not valid', 'API key *** not valid'],
      ['consumer projects/123456789012 quota', 'consumer projects/*** quota'],
      ['the organization 0a1b2c3d-0000-4000-8000-0123456789ab is over', 'the organization *** is over'],
      ['request 0a1b2c3d-0000-4000-8000-0123456789ab failed', 'request 0a1b2c3d-0000-4000-8000-0123456789ab failed'],
      ['my own key hunter22 is here', 'my own key *** is here'],
      ['max_tokens is too large: 5', 'max_tokens is too large: 5'],
      ['The task-force asked about sk-learn and org-mode', 'The task-force asked about sk-learn and org-mode'],
    ]
    for (const [text, expected] of cases) assert.equal(masked(text, 'hunter22'), expected)
  })
})

describe('what a broken call is', () => {
  const codeOf = (code: string, forwarded: boolean) => {
    const { ending, refusal } = failureOf(Object.assign(new Error('x'), { code }), 'openai', forwarded)
    return [ending, refusal.code]
  }

  test('by what went wrong, and whether the request was on its way', () => {
    assert.deepEqual(codeOf('ECONNREFUSED', false), ['unreached', 'upstream_unreachable'])
    assert.deepEqual(codeOf('ENOTFOUND', false), ['unreached', 'upstream_unreachable'])
    assert.deepEqual(codeOf('UND_ERR_CONNECT_TIMEOUT', false), ['unreached', 'upstream_timeout'])
    assert.deepEqual(codeOf('UND_ERR_SOCKET', true), ['unreached', 'upstream_unreachable'])
    assert.deepEqual(codeOf('UND_ERR_HEADERS_TIMEOUT', true), ['silent', 'upstream_timeout'])
    assert.deepEqual(codeOf('UND_ERR_DESTROYED', true), ['abandoned', 'overloaded'])
    assert.deepEqual(codeOf('UND_ERR_CLOSED', false), ['withdrawn', 'overloaded'])
  })
})
