/** Durations: what people may write, and what is refused rather than guessed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DURATION_FORMS, formatResetDuration, parseDuration, parseExactMs } from '../../src/units/duration.ts'

const EXACT: readonly (readonly [string, number])[] = [
  ['1s', 1_000],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['1d', 86_400_000],
  ['1w', 604_800_000],
  ['90m', 5_400_000],
  ['1h30m', 5_400_000],
  ['30m1h', 5_400_000],
  ['1w2d3h4m5s', 788_645_000],
  ['0h1s', 1_000],
  ['36525d', 36_525 * 86_400_000],
]

const MONTHS: readonly (readonly [string, number])[] = [
  ['1M', 1],
  ['3M', 3],
  ['1Q', 3],
  ['2Q', 6],
  ['1Y', 12],
  ['13M', 13],
  ['100Y', 1_200],
]

describe('T20 durations', () => {
  test('of s, m, h, d and w, alone and combined, are exact', () => {
    for (const [text, ms] of EXACT) {
      const duration = parseDuration(text)
      assert.ok(duration?.kind === 'exact', text)
      assert.equal(duration.ms, ms, text)
      assert.equal(parseExactMs(text), ms)
    }
  })

  test('of M, Q and Y are months of the calendar', () => {
    for (const [text, months] of MONTHS) {
      const duration = parseDuration(text)
      assert.ok(duration?.kind === 'months', text)
      assert.equal(duration.months, months, text)
      assert.equal(parseExactMs(text), null, 'a month has no exact length')
    }
  })

  test('remember the one unit they were written in, for calendars', () => {
    const unitOf = (text: string) => {
      const duration = parseDuration(text)
      return duration === null ? null : [duration.unit, duration.count]
    }
    assert.deepEqual(unitOf('2w'), ['w', 2])
    assert.deepEqual(unitOf('2Q'), ['Q', 2])
    assert.deepEqual(unitOf('1d12h'), [null, 0])
  })

  test('of zero, below zero, of unknown units and near-misses are refused', () => {
    const zero = ['0s', '0m', '0M', '0Y', '0h0m', '0d']
    const negative = ['-1s', '-1M', '1h-30m']
    const nearMisses = [
      '1month',
      '1D',
      '1H',
      '1S',
      '1W',
      '1y',
      '1q',
      '1mo',
      '1min',
      '1 h',
      ' 1h',
      '1h ',
      '1h\n',
      '1.5h',
      '1e3s',
      '1ms',
    ]
    const wrong = [
      '',
      's',
      'h1',
      '1',
      '60',
      '1h1h',
      '30s30s',
      '1d1M',
      '1M1d',
      '1M1M',
      '1Y6M',
      '1x',
      '１h',
      'lifetime',
      'P1D',
    ]
    const tooLong = ['36526d', '101Y', '1201M', '401Q', '999999999999w', '9999999999999s']
    for (const text of [...zero, ...negative, ...nearMisses, ...wrong, ...tooLong]) {
      assert.equal(parseDuration(text), null, JSON.stringify(text))
    }
  })

  test('that are refused are answered with every accepted form', () => {
    for (const form of [
      '30s',
      '5m',
      '1h',
      '1d',
      '1w',
      '1M',
      '1Q',
      '1Y',
      '1h30m',
      'at least 1s',
      'm is a minute, M a month',
    ]) {
      assert.ok(DURATION_FORMS.includes(form), form)
    }
  })

  test('parse to the sum of their parts, whatever the order', () => {
    const unit = fc.constantFrom(['s', 1_000], ['m', 60_000], ['h', 3_600_000], ['d', 86_400_000], ['w', 604_800_000])
    const part = fc.tuple(fc.integer({ min: 0, max: 999 }), unit as fc.Arbitrary<[string, number]>)
    const parts = fc.uniqueArray(part, { minLength: 1, maxLength: 5, selector: ([, [name]]) => name })
    fc.assert(
      fc.property(parts, (chosen) => {
        const ms = chosen.reduce((sum, [count, [, length]]) => sum + count * length, 0)
        const text = chosen.map(([count, [name]]) => `${count}${name}`).join('')
        return parseExactMs(text) === (ms >= 1_000 ? ms : null)
      }),
    )
  })

  test('take no longer to refuse than to accept: a hundred thousand digits are no trap', () => {
    const begun = performance.now()
    for (const text of ['1'.repeat(100_000), `${'1h'.repeat(50_000)}!`, '0'.repeat(100_000)]) parseDuration(text)
    assert.ok(performance.now() - begun < 500)
  })
})

test('a time to wait reads as OpenAI writes it', () => {
  const table: readonly (readonly [number, string])[] = [
    [0, '0ms'],
    [-5, '0ms'],
    [0.2, '1ms'],
    [120, '120ms'],
    [999, '999ms'],
    [1_000, '1s'],
    [1_001, '2s'],
    [59_999, '1m0s'],
    [60_000, '1m0s'],
    [360_000, '6m0s'],
    [3_600_000, '1h0m0s'],
    [3_661_000, '1h1m1s'],
    [90_000_000, '25h0m0s'],
  ]
  for (const [ms, text] of table) assert.equal(formatResetDuration(ms), text, `${ms}`)
})
