import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { accessOf, compileAccess } from '../../src/auth/access.ts'
import type { AccessRule } from '../../src/store/entities.ts'
import { aVirtualKey } from '../helpers/entities.ts'

function aRule(fields: Partial<AccessRule> = {}): AccessRule {
  return { provider: 'openai', models: null, blockedModels: [], keyIds: null, weight: 1, ...fields }
}

function allows(rules: readonly AccessRule[], provider: string, model: string): boolean {
  return compileAccess(rules).grantOf(provider, model) !== null
}

describe('access', () => {
  test('B12 B13 B14 null is everything, an empty list is nothing', () => {
    const open = accessOf(aVirtualKey({ access: null }))
    assert.ok(open.allowsProvider('anything') && open.grantOf('anything', 'any-model') !== null)
    const closed = accessOf(aVirtualKey({ access: [] }))
    assert.equal(closed.allowsProvider('openai'), false)
    assert.equal(closed.grantOf('openai', 'gpt-4o'), null)
    assert.equal(allows([aRule({ models: null })], 'openai', 'gpt-4o'), true)
    assert.equal(allows([aRule({ models: [] })], 'openai', 'gpt-4o'), false)
    assert.equal(allows([aRule({ models: ['*'] })], 'openai', 'gpt-4o'), true)
  })

  test('B9 a provider that no rule names is not allowed', () => {
    const access = compileAccess([aRule()])
    assert.equal(access.allowsProvider('openai'), true)
    assert.equal(access.allowsProvider('anthropic'), false)
    assert.equal(access.grantOf('anthropic', 'claude-sonnet-4'), null)
  })

  test('B10 a model outside the list is not allowed', () => {
    assert.equal(allows([aRule({ models: ['gpt-4o*'] })], 'openai', 'gpt-4o-mini'), true)
    assert.equal(allows([aRule({ models: ['gpt-4o*'] })], 'openai', 'o1'), false)
  })

  test('B11 a blocked model stays blocked, whatever else allows it', () => {
    assert.equal(allows([aRule({ models: ['gpt-4o'], blockedModels: ['gpt-4o'] })], 'openai', 'gpt-4o'), false)
    assert.equal(allows([aRule({ models: null, blockedModels: ['*-mini'] })], 'openai', 'gpt-4o-mini'), false)
    const rules = [aRule({ models: ['gpt-4o'] }), aRule({ models: [], blockedModels: ['gpt-*'] })]
    assert.equal(allows(rules, 'openai', 'gpt-4o'), false)
  })

  test('B15 letter case does not matter, in names and in patterns', () => {
    assert.equal(allows([aRule({ models: ['GPT-4o'] })], 'OpenAI', 'gpt-4O'), true)
    assert.equal(allows([aRule({ provider: 'OPENAI', models: ['Gpt-*'] })], 'openai', 'gpt-4o'), true)
    assert.equal(allows([aRule({ blockedModels: ['GPT-4O*'] })], 'openai', 'gpt-4o-mini'), false)
  })

  test('a provider may be a pattern too', () => {
    assert.equal(allows([aRule({ provider: 'azure-*' })], 'azure-eu', 'gpt-4o'), true)
    assert.equal(allows([aRule({ provider: 'azure-*' })], 'openai', 'gpt-4o'), false)
  })

  test('several rules for one provider allow what any of them allows, with its provider keys and weight', () => {
    const access = compileAccess([
      aRule({ models: ['gpt-4o*'], keyIds: ['a'], weight: null }),
      aRule({ models: ['gpt-4o-mini', 'o1'], keyIds: ['b'], weight: 3 }),
      aRule({ models: ['o3'], keyIds: null, weight: null }),
      aRule({ models: ['o3'], keyIds: ['c'], weight: 2 }),
    ])
    assert.deepEqual(access.grantOf('openai', 'gpt-4o'), { keyIds: ['a'], weight: null })
    assert.deepEqual(access.grantOf('openai', 'gpt-4o-mini'), { keyIds: ['a', 'b'], weight: 3 })
    assert.deepEqual(access.grantOf('openai', 'o1'), { keyIds: ['b'], weight: 3 })
    assert.deepEqual(access.grantOf('openai', 'o3'), { keyIds: null, weight: 2 })
  })

  test('F16 an edited list counts from the next question on', () => {
    const key = aVirtualKey({ access: [aRule({ models: ['gpt-4o'] })] })
    assert.notEqual(accessOf(key).grantOf('openai', 'gpt-4o'), null)
    assert.equal(accessOf({ ...key, access: [aRule({ models: ['o1'] })] }).grantOf('openai', 'gpt-4o'), null)
  })

  test('a request without a key may use everything', () => {
    assert.notEqual(accessOf(null).grantOf('openai', 'gpt-4o'), null)
  })
})
