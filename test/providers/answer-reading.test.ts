/** What is taken from a collected answer, where it has no report. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Admitted } from '../../src/admission/admission.ts'
import { wholeAnswer } from '../../src/providers/answer-reading.ts'

test('F07 the output of an answer that is no JSON is not known, of any other it is the text that is seen', () => {
  const facts = { format: 'google', endpoint: 'generate_content', producesOutput: true }
  const admitted = { request: { facts } } as Admitted
  const seen = (body: string) => wholeAnswer(admitted, 200, Buffer.from(body), () => 3).textTokens
  assert.equal(seen('\n\u0012\n\u0010\n\u0004text'), null)
  assert.equal(seen('// API callback\nf({"candidates":[]});'), null)
  assert.equal(seen('{"candidates":[]}'), 3)
  assert.equal(seen(' \n[{"candidates":[]}]'), 3)
})
