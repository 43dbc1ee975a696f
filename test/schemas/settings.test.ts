/** Settings: text to numbers, with a default for everything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSettings, settingsOf } from '../../src/schemas/settings.ts'
import { parseSize } from '../../src/units/size.ts'
import { formatTime, parseTime } from '../../src/units/time.ts'

test('without a file everything has a value', () => {
  assert.equal(defaultSettings.requireKey, true)
  assert.equal(defaultSettings.pricing.unknown, 'refuse')
  assert.deepEqual(defaultSettings.server, {
    bodyLimitBytes: 32 * 1024 ** 2,
    drainMs: 30_000,
    maxAttempts: 3,
    connectTimeoutMs: 5_000,
    headersTimeoutMs: 300_000,
    idleTimeoutMs: 120_000,
    totalTimeoutMs: 3_600_000,
  })
  assert.deepEqual(defaultSettings.journal, { sync: 1_000, maxSizeBytes: 4 * 1024 ** 3, orphans: 'input' })
  assert.equal(defaultSettings.streamCostComment, true)
  assert.equal(defaultSettings.onAbort, 'finish')
})

test('what is written is compiled: durations to ms, sizes to bytes, dollars to nano-dollars', () => {
  const settings = settingsOf({
    pricing: { unknown: { input_usd_per_million: '5', output_usd_per_million: '0.0375' } },
    server: { drain: '1h30m', body_limit: '1KiB' },
    journal: { sync: 'always' },
    aliases: { fast: 'openai/gpt-4o-mini' },
  })
  assert.deepEqual(settings.pricing.unknown, { inputPerMillion: 5_000_000_000n, outputPerMillion: 37_500_000n })
  assert.equal(settings.server.drainMs, 5_400_000)
  assert.equal(settings.server.bodyLimitBytes, 1024)
  assert.equal(settings.journal.sync, 'always')
  assert.equal(settings.aliases.get('fast'), 'openai/gpt-4o-mini')
})

test('U14 model families keep the order of the file', () => {
  const { modelFamilies } = settingsOf({ model_families: { zeta: ['z*'], alpha: ['a*'], gpt4: ['gpt-4*', 'o1*'] } })
  assert.deepEqual(
    modelFamilies.map(({ name }) => name),
    ['zeta', 'alpha', 'gpt4'],
  )
})

test('sizes are whole numbers of B, KiB, MiB and GiB', () => {
  assert.equal(parseSize('4GiB'), 4_294_967_296)
  for (const text of ['0MiB', '1.5MiB', '32MB', '32', 'MiB', '-1KiB']) assert.equal(parseSize(text), null, text)
})

test('times are RFC 3339; what does not exist is no time', () => {
  assert.equal(parseTime('2026-12-01T01:00:00+01:00'), Date.parse('2026-12-01T00:00:00Z'))
  for (const text of ['2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-12-01', '2026-12-01T00:00:00', '1', '']) {
    assert.equal(parseTime(text), null, text)
  }
  assert.equal(formatTime(Date.parse('2026-12-01T00:00:00.000Z')), '2026-12-01T00:00:00Z')
  assert.equal(formatTime(Date.parse('2026-12-01T00:00:00.120Z')), '2026-12-01T00:00:00.120Z')
})
