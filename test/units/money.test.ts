/** Money: exact decimals at the edges, whole nano-dollars inside. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ceilDiv, costOfTokenProducts, formatUsd, nanoUsd, parseUsd, ZERO_USD } from '../../src/units/money.ts'

const MAX_NANO = 999_999_999_999_999_999n
const nano = fc.bigInt({ min: 0n, max: MAX_NANO })

describe('dollars as text', () => {
  test('have at least two decimals, at most nine, and no further trailing zeros', () => {
    const table: readonly (readonly [bigint, string])[] = [
      [0n, '0.00'],
      [1n, '0.000000001'],
      [10n, '0.00000001'],
      [275_400n, '0.0002754'],
      [10_000_000n, '0.01'],
      [100_000_000n, '0.10'],
      [12_500_000_000n, '12.50'],
      [12_505_000_000n, '12.505'],
      [1_000_000_000n, '1.00'],
      [MAX_NANO, '999999999.999999999'],
      [-50_000_000n, '-0.05'],
      [-12_500_000_000n, '-12.50'],
    ]
    for (const [amount, text] of table) assert.equal(formatUsd(amount), text)
  })

  test('come back as the amount they were written from', () => {
    fc.assert(fc.property(nano, (amount) => parseUsd(formatUsd(amount)) === amount))
  })

  test('have one form only, that of the contract', () => {
    fc.assert(fc.property(nano, (amount) => /^(0|[1-9]\d{0,8})\.\d{2}(\d{0,6}[1-9])?$/.test(formatUsd(amount))))
  })

  test('are read in every form that means the same', () => {
    for (const text of ['12.5', '12.50', '12.500000000', '012.5', '000000012.5']) {
      assert.equal(parseUsd(text), 12_500_000_000n, text)
    }
    assert.equal(parseUsd('500'), 500_000_000_000n)
    assert.equal(parseUsd('0'), ZERO_USD)
  })

  test('that are no such decimal are refused, not guessed', () => {
    const refused = [
      '',
      '.5',
      '5.',
      '-1',
      '+1',
      '1e3',
      '1,50',
      '1_000',
      ' 1',
      '1 ',
      '1.0000000001',
      '1000000000',
      '$1',
      '0x1',
      'NaN',
    ]
    for (const text of [...refused, '1.5\n', '１']) assert.equal(parseUsd(text), null, JSON.stringify(text))
  })
})

describe('the one rounding of a request', () => {
  test('goes up, and only when something is left over', () => {
    assert.equal(costOfTokenProducts(0n), 0n)
    assert.equal(costOfTokenProducts(1n), 1n)
    assert.equal(costOfTokenProducts(1_000_000n), 1n)
    assert.equal(costOfTokenProducts(1_000_001n), 2n)
    // Two million tokens at $15 a million: past what a double can count.
    assert.equal(costOfTokenProducts(2_000_000n * 15_000_000_000n), nanoUsd(30_000_000_000n))
  })

  test('is the smallest quotient that covers the dividend', () => {
    fc.assert(
      fc.property(nano, fc.bigInt({ min: 1n, max: MAX_NANO }), (dividend, divisor) => {
        const quotient = ceilDiv(dividend, divisor)
        return quotient * divisor >= dividend && (quotient - 1n) * divisor < dividend
      }),
    )
  })
})
