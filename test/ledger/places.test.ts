/** Places: shared by the holds of a chain for as long as they mean the same windows of the same limits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChargesText, linesOf, PlacedCharges } from '../../src/ledger/charges.ts'
import { amountsOf, type ChainLimit, chargesOf } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const MINUTE = 60_000

function bench() {
  let elapsed = 0
  const ledger = new Ledger(new Meters(() => elapsed, new SharedArrayBuffer(64 * 1_024)))
  const link = (limit: Limit): ChainLimit => {
    ledger.track(limit, NOW)
    const meter = ledger.meterOf(limit.id)
    assert.ok(meter)
    return { limit, meter, metric: METRICS.indexOf(limit.metric), enforced: true }
  }
  const hold = (chain: readonly ChainLimit[], now = NOW) => {
    const amounts = amountsOf({ requests: 1n, tokens: 20n })
    const outcome = ledger.hold({ requestId: 'r', attempt: 1, chain, amounts, deadline: 1_000 }, now)
    assert.ok(outcome.ok)
    return outcome.hold
  }
  return { ledger, link, hold, pass: (ms: number) => (elapsed += ms) }
}

const minute = (fields: Partial<Limit> = {}) =>
  aLimit({ metric: 'tokens', max: 1_000n, window: '1m', anchor: NOW, ...fields })

test('holds of one chain share their places until one of its windows passes', () => {
  const { link, hold } = bench()
  const chain = [link(minute()), link(aLimit({ metric: 'requests', max: 10n, window: '1h', anchor: NOW }))]
  const first = hold(chain)
  assert.equal(hold(chain, NOW + MINUTE - 1).places, first.places)
  const next = hold(chain, NOW + MINUTE)
  assert.notEqual(next.places, first.places)
  assert.deepEqual(
    next.places.map(({ windowStart }) => windowStart),
    [NOW + MINUTE, NOW],
  )
  assert.deepEqual(
    first.places.map(({ windowStart }) => windowStart),
    [NOW, NOW],
    'what an earlier hold lies on has not moved',
  )
})

test('a limit that counts anew, or has gone, is no place of the next hold, and takes nothing from its slot’s next tenant', () => {
  const { ledger, link, hold } = bench()
  const limit = minute()
  const chain = [link(limit), link(minute())]
  const before = hold(chain)
  ledger.untrack(limit.id)
  const tenant = link(minute())
  assert.equal(tenant.meter.slot, before.places[0]?.slot, 'the slot is used again')
  const after = hold(chain)
  assert.deepEqual(
    after.places.map((place) => place.limit),
    [chain[1]?.limit],
  )
  ledger.settle(before, amountsOf({ tokens: 5n }))
  ledger.settle(after, amountsOf({ tokens: 5n }))
  assert.equal(ledger.read(tenant.limit.id, NOW)?.posted, 0n)
  assert.equal(ledger.read(chain[1]?.limit.id ?? '', NOW)?.posted, 10n)
})

test('a clock that brings the same window round a second time makes other places of it', () => {
  const { link, hold, pass } = bench()
  const chain = [link(minute())]
  const first = hold(chain)
  hold(chain, NOW + 5 * MINUTE)
  // Set back: the window ahead stays for its own length, then the first one comes again.
  hold(chain, NOW)
  pass(MINUTE)
  const again = hold(chain, NOW)
  assert.equal(again.places[0]?.windowStart, first.places[0]?.windowStart)
  assert.notEqual(again.places[0]?.windowNumber, first.places[0]?.windowNumber)
})

test('charges say the same as amounts, as lines and as text', () => {
  const { link, hold } = bench()
  const chain = [link(minute()), link(aLimit({ metric: 'cost', max: 10n })), link(minute({ metric: 'requests' }))]
  const charges = chargesOf(hold(chain))
  assert.ok(charges instanceof PlacedCharges)
  assert.deepEqual(
    linesOf(charges).map(([, , , metric, amount]) => [metric, amount]),
    [
      ['tokens', '20'],
      ['cost', '0'],
      ['requests', '1'],
    ],
  )
  const posted = new PlacedCharges(charges.places, charges.amounts, false)
  const text = new ChargesText()
  for (const some of [charges, posted, posted.lines()]) assert.deepEqual(JSON.parse(text.of(some)), linesOf(some))
  assert.equal(posted.lines().length, 2, 'without the limit that nothing is taken from')
})
