/** Wrong keys slow their address down, and nobody else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailedAttempts } from '../../src/auth/failed-attempts.ts'

test('the first twenty cost nothing, later ones more and more, up to a second', () => {
  const failures = new FailedAttempts()
  const delays = Array.from({ length: 60 }, () => failures.delayAfter('10.0.0.1', 0))
  assert.ok(delays.slice(0, 20).every((delay) => delay === 0))
  assert.deepEqual(delays.slice(20, 23), [50, 100, 150])
  assert.equal(delays.at(-1), 1_000)
  assert.equal(failures.delayAfter('10.0.0.2', 0), 0)
})

test('a quiet minute is forgiven', () => {
  const failures = new FailedAttempts()
  for (let n = 0; n < 30; n += 1) failures.delayAfter('10.0.0.1', 0)
  assert.ok(failures.delayAfter('10.0.0.1', 60_000) > 0)
  assert.equal(failures.delayAfter('10.0.0.1', 120_001), 0)
})
