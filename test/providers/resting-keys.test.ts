import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestingKeys } from '../../src/providers/resting-keys.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { aProvider } from '../helpers/entities.ts'

const START = Date.UTC(2026, 10, 26)
const key = (name: string) => ({ id: name, name, value: name, keyStart: name, weight: 1 })
const provider = aProvider({ name: 'openai', keys: [key('one'), key('two')] })
const candidate = (name: string | null, model = 'gpt-4o') => ({
  provider,
  providerKey: name === null ? null : key(name),
  model,
})

function world() {
  const clock = new ManualClock(START)
  const warnings: object[] = []
  const resting = new RestingKeys({ clock, log: { ...silentLog, warn: (fields: object) => warnings.push(fields) } })
  const [one, two] = [candidate('one'), candidate('two')]
  /** Which of the two is asked first. */
  const first = () => resting.last([one, two], clock.now())[0]?.providerKey?.name
  return { clock, warnings, resting, one, two, first }
}

test('a key rests as long as its provider has asked for, in any of the forms that a header may have', () => {
  const forms: readonly [Record<string, string>, number][] = [
    [{ 'retry-after': '20' }, 20_000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after-ms': '1500', 'retry-after': '2' }, 1_500],
    [{ 'retry-after': new Date(START + 42_000).toUTCString() }, 42_000],
    [{ 'retry-after': '86400' }, 600_000],
    [{}, 5_000],
    [{ 'retry-after': 'soon' }, 5_000],
    [{ 'retry-after': '-1' }, 5_000],
  ]
  for (const [headers, ms] of forms) {
    const { clock, resting, one, first } = world()
    resting.answered(one, 429, headers)
    clock.advance(ms - 1)
    assert.equal(first(), 'two', JSON.stringify(headers))
    clock.advance(1)
    assert.equal(first(), 'one', JSON.stringify(headers))
  }
})

test('429 is about a model, 401 about the key; other statuses are about neither', () => {
  const { clock, resting, one } = world()
  const order = (model: string) =>
    resting.last([candidate('one', model), candidate('two', model)], clock.now()).map((c) => c.providerKey?.name)
  for (const status of [200, 400, 403, 408, 500, 503]) resting.answered(one, status, { 'retry-after': '60' })
  assert.deepEqual(order('gpt-4o'), ['one', 'two'])
  resting.answered(one, 429, {})
  assert.deepEqual(
    [order('gpt-4o'), order('o3')],
    [
      ['two', 'one'],
      ['one', 'two'],
    ],
  )
  resting.answered(candidate('two'), 401, {})
  assert.deepEqual(
    [order('gpt-4o'), order('o3')],
    [
      ['one', 'two'],
      ['one', 'two'],
    ],
  )
})

test('where all rest, the one that wakes first is asked first; a provider without keys rests too', () => {
  const { clock, resting, one, two, first } = world()
  resting.answered(one, 429, { 'retry-after': '20' })
  resting.answered(two, 429, { 'retry-after': '10' })
  assert.equal(first(), 'two')
  const keyless = candidate(null)
  resting.answered(keyless, 429, { 'retry-after': '30' })
  assert.deepEqual(resting.last([keyless, one], clock.now()), [one, keyless])
})

test('it is logged once a rest, without the key, and counted while it lasts', () => {
  const { clock, warnings, resting, one } = world()
  for (let asked = 0; asked < 3; asked += 1) resting.answered(one, 429, {})
  assert.equal(warnings.length, 1)
  assert.deepEqual(warnings[0], { provider: 'openai', providerKey: 'one', model: 'gpt-4o', status: 429, restMs: 5_000 })
  assert.deepEqual([...resting.count()], [['openai', 1]])
  clock.advance(5_000)
  assert.deepEqual([...resting.count()], [])
  resting.answered(one, 429, {})
  assert.equal(warnings.length, 2)
})
