/** One name per model: whoever could write it in two ways could be refused under one and served under the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bareName } from '../../src/store/bare-name.ts'

test('F20 models/<name> is the same model as <name>, however often the prefix is written', () => {
  for (const name of ['gemini-2.5-pro', 'models/gemini-2.5-pro', 'models/models/gemini-2.5-pro']) {
    assert.equal(bareName(name), 'gemini-2.5-pro')
  }
  assert.equal(bareName('accounts/fireworks/models/llama'), 'accounts/fireworks/models/llama')
})
