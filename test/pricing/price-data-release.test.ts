import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PRICE_DATA } from '../../src/pricing/price-data-release.ts'
import { PRICE_DATA_VERSION } from '../../src/version.ts'

test('the age of the price data is that of the data that is installed', () => {
  assert.equal(PRICE_DATA.version, PRICE_DATA_VERSION)
  assert.ok(Date.parse(PRICE_DATA.publishedAt) > Date.UTC(2026, 0))
})
