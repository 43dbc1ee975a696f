/** Problems: what a person is told about a value that does not fit. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Type } from '@sinclair/typebox'
import { ConfigFile } from '../../src/schemas/config-file.ts'
import { LimitCreate } from '../../src/schemas/limit.ts'
import { problemsOf, summaryOf } from '../../src/schemas/problems.ts'
import { ProviderCreate } from '../../src/schemas/provider.ts'
import { check } from '../../src/schemas/validator.ts'
import { VirtualKeyCreate } from '../../src/schemas/virtual-key.ts'

const Body = Type.Object(
  { count: Type.Integer({ minimum: 1, maximum: 10 }), on: Type.Optional(Type.Boolean()) },
  { additionalProperties: false },
)

describe('problems', () => {
  test('F21 an unknown field is a problem at its own path', () => {
    assert.deepEqual(problemsOf(Body, { count: 1, cuont: 2 }), [{ path: 'cuont', message: 'is not a known field' }])
  })

  test('nothing is coerced: a number in a string is a wrong type', () => {
    assert.deepEqual(problemsOf(Body, { count: '3' }), [
      { path: 'count', message: 'must be an integer from 1 to 10, not "3"' },
    ])
  })

  test('every problem is named, each with the path of its field', () => {
    const problems = problemsOf(LimitCreate, {
      scope: { kind: 'teams' },
      metric: 'cots',
      max: 1.5,
      alert_at: ['0.5', '7'],
    })
    assert.deepEqual(
      problems.map(({ path }) => path),
      ['scope.kind', 'metric', 'max', 'alert_at[1]'],
    )
  })

  test('where an object is wrong inside, the place inside is named', () => {
    const problems = problemsOf(VirtualKeyCreate, { name: 'a', access: [{ provider: 'openai', modles: ['x'] }] })
    assert.deepEqual(problems, [{ path: 'access[0].modles', message: 'is not a known field' }])
  })

  test('every problem inside a list that may also be null is named', () => {
    const access = [{ provider: 5 }, { provider: 'openai', modles: [], weight: -1 }]
    const problems = problemsOf(VirtualKeyCreate, { name: 'a', access, allowed_ips: [7] })
    assert.deepEqual(
      problems.map(({ path }) => path),
      ['access[0].provider', 'access[1].modles', 'access[1].weight', 'allowed_ips[0]'],
    )
  })

  test('F23 a secret that does not fit is not repeated', () => {
    const text = JSON.stringify(problemsOf(VirtualKeyCreate, { name: 'a', value: 'hunter2' }))
    assert.ok(text.includes('value') && !text.includes('hunter2'), text)
  })

  test('F23 the password of an address is refused and not repeated; a webhook may have a query', () => {
    const base = ProviderCreate.properties.base_url
    const hook = (url: string) => problemsOf(ConfigFile, { alerts: { webhook: { url } } })
    for (const address of [
      'http://ada:hunter2@h/',
      'http://:hunter2@h/',
      'http://h/?token=hunter2',
      'http://h/#hunter2',
    ])
      assert.equal(problemsOf(base, address).length, 1, address)
    for (const address of ['http://ada:hunter2@h/', 'http://:hunter2@h/']) {
      const [problem] = hook(address)
      assert.equal(problem?.message, 'must be an http or https address without user name, password or fragment')
    }
    assert.deepEqual(hook('https://hooks.example/bursar?token=hunter2'), [])
    assert.ok(!JSON.stringify(problemsOf(base, 'http://h/?token=hunter2')).includes('hunter2'))
  })

  test('integers end where JSON loses them', () => {
    assert.equal(problemsOf(LimitCreate.properties.max, 9007199254740991).length, 0)
    assert.equal(problemsOf(LimitCreate.properties.max, JSON.parse('9007199254740993')).length, 1)
    assert.equal(problemsOf(LimitCreate.properties.max, 1e21).length, 1)
  })

  test('the summary is the first problem and how many there are', () => {
    assert.equal(
      summaryOf([
        { path: 'a', message: 'is missing' },
        { path: 'b', message: 'is not a known field' },
      ]),
      'a is missing (and 1 more: see details)',
    )
  })
})

describe('validator', () => {
  test('only a query string is read as numbers and booleans', () => {
    assert.deepEqual(check(Body, 'querystring', { count: '3', on: 'true' }), {
      ok: true,
      value: { count: 3, on: true },
    })
    assert.equal(check(Body, 'body', { count: '3' }).ok, false)
    for (const count of ['3e0', '0x3', ' 3', '3.0', '']) assert.equal(check(Body, 'querystring', { count }).ok, false)
  })

  test('an absent body is an empty one where nothing is required, and a problem where something is', () => {
    assert.deepEqual(check(Type.Object({ grace: Type.Optional(Type.String()) }), 'body', undefined), {
      ok: true,
      value: {},
    })
    assert.equal(check(Body, 'body', undefined).ok, false)
  })
})
