import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ChargeLine } from '../../src/ledger/facts.ts'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { GovernanceStore } from '../../src/store/governance-store.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { newId } from '../../src/units/id.ts'
import { Alerts } from '../../src/usage/alerts.ts'
import { aLimit } from '../helpers/entities.ts'
import { RecordedFacts } from '../helpers/recorded-facts.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const HOUR = 3_600_000

function world({ rememberedMax }: { rememberedMax?: number } = {}) {
  const clock = new ManualClock(NOW)
  const ledger = new Ledger(new Meters(() => clock.elapsed(), new SharedArrayBuffer(64 * 1_024)))
  const store = new GovernanceStore(ledger)
  const facts = new RecordedFacts()
  const warnings: Record<string, unknown>[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (fields: object) => void warnings.push({ ...fields }) }
  const start = () => new Alerts({ store, ledger, facts, clock, log }, rememberedMax)
  let alerts = start()
  const put = (entity: Limit) => {
    store.apply([{ op: 'put', kind: 'limit', entity }], clock.now())
    return entity
  }
  return {
    clock,
    ledger,
    facts,
    warnings,
    put,
    limit: (fields: Parameters<typeof aLimit>[0]) => put(aLimit({ anchor: NOW, ...fields })),
    /** One request that posts this on the limit. */
    use(limit: Limit, amount: bigint) {
      const meter = ledger.meterOf(limit.id)
      assert.ok(meter !== null)
      const amounts = amountsOf({ [limit.metric]: amount })
      const chain = [{ limit, meter, metric: METRICS.indexOf(limit.metric), enforced: limit.mode === 'enforce' }]
      const held = ledger.hold({ requestId: newId(), attempt: 1, chain, amounts, deadline: 1e9 }, clock.now())
      assert.ok(held.ok)
      const charges = held.hold.charges.map(
        ({ windowStart }): ChargeLine => [limit.id, limit.countNumber, windowStart, limit.metric, `${amount}`],
      )
      ledger.settle(held.hold, amounts)
      alerts.look({ charges })
    },
    restart() {
      alerts = start()
    },
    remembered: () => alerts.remembered,
    /** The shares told so far, with what was used. */
    told: () => facts.of('alert').map(({ threshold, used }) => `${threshold} at ${used}`),
  }
}

describe('alerts', () => {
  test('a share is told when the posted amounts reach it, once a window', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n })
    for (let n = 0; n < 7; n++) here.use(limit, 1n)
    assert.deepEqual(here.told(), [])
    for (let n = 0; n < 3; n++) here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 8', '1 at 10'])
    const [first] = here.facts.of('alert')
    const { id: limitId, countNumber } = limit
    assert.deepEqual(
      { ...first, id: '' },
      {
        t: 'alert',
        id: '',
        at: NOW,
        limitId,
        countNumber,
        windowStart: NOW,
        metric: 'requests',
        threshold: '0.8',
        used: '8',
        max: '10',
      },
    )
    here.clock.advance(HOUR)
    for (let n = 0; n < 9; n++) here.use(limit, 1n)
    assert.deepEqual(here.told().slice(2), ['0.8 at 8'])
    assert.equal(here.facts.of('alert')[2]?.windowStart, NOW + HOUR)
    assert.equal(here.remembered(), 1, 'what was told in the window before is dropped')
  })

  test('the log says the limit, its scope, the share and how much, money in dollars', () => {
    const here = world()
    const scope = { kind: 'team', id: newId() } as const
    const limit = here.limit({ metric: 'cost', max: 2_000_000_000n, scope, model: 'gpt-4o' })
    here.use(limit, 1_700_000_000n)
    assert.deepEqual(here.warnings, [
      {
        limitId: limit.id,
        scope: 'team',
        scopeId: scope.id,
        metric: 'cost',
        provider: null,
        model: 'gpt-4o',
        mode: 'enforce',
        share: '0.8',
        used: '1.70',
        max: '2.00',
      },
    ])
  })

  test('one settlement may reach several shares; a share is exact to the unit', () => {
    const here = world()
    const max = 10n ** 18n
    const limit = here.limit({ metric: 'cost', max, alertAt: ['0.333333', '0.5', '1'] })
    here.use(limit, 333_333n * 10n ** 12n - 1n)
    assert.deepEqual(here.told(), [])
    here.use(limit, 1n)
    assert.deepEqual(here.told(), [`0.333333 at ${333_333n * 10n ** 12n}`])
    here.use(limit, max - 333_333n * 10n ** 12n)
    assert.deepEqual(here.told().slice(1), [`0.5 at ${max}`, `1 at ${max}`])
  })

  test('limits that only observe are told of, beyond their maximum too; one without shares never is', () => {
    const here = world()
    const observed = here.limit({ metric: 'tokens', max: 100n, mode: 'observe' })
    here.use(observed, 250n)
    assert.deepEqual(here.told(), ['0.8 at 250', '1 at 250'])
    here.use(here.limit({ metric: 'tokens', max: 100n, alertAt: [] }), 100n)
    assert.equal(here.told().length, 2)
  })

  test('the maximum in force counts: an override while it holds, and an edit at once', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n, override: { max: 100n, until: NOW + HOUR / 2 } })
    here.use(limit, 9n)
    assert.deepEqual(here.told(), [])
    here.clock.advance(HOUR / 2)
    here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 10', '1 at 10'])
    const other = here.limit({ metric: 'requests', max: 1_000n })
    here.use(other, 50n)
    const edited = here.put({ ...other, max: 60n, updatedAt: here.clock.now() })
    here.use(edited, 1n)
    assert.deepEqual(here.told().slice(2), ['0.8 at 51'])
    assert.equal(here.warnings.length, 3, 'all of them in the log too')
  })

  test('a sliding window is measured with the weighted part of the one before it', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n, align: 'sliding' })
    here.use(limit, 6n)
    here.clock.advance(HOUR + HOUR / 2)
    here.use(limit, 4n)
    assert.deepEqual(here.told(), [])
    here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 8'], '5 of this window and half of 6')
  })

  test('a new count is told of anew', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 10n })
    here.use(limit, 8n)
    here.use(here.put({ ...limit, countNumber: 2 }), 8n)
    assert.deepEqual(
      here.facts.of('alert').map(({ countNumber }) => countNumber),
      [1, 2],
    )
  })

  test('after a restart the books are told again, which have it already, and the log is not', () => {
    const here = world()
    const limit = here.limit({ metric: 'requests', max: 100n })
    here.use(limit, 85n)
    here.clock.advance(1_000)
    here.restart()
    here.use(limit, 1n)
    assert.deepEqual(here.told(), ['0.8 at 85', '0.8 at 86'])
    assert.equal(here.warnings.length, 1)
    here.use(limit, 14n)
    assert.equal(here.warnings.length, 2, 'what is reached for the first time is logged')
  })

  test('F25 what is remembered is bounded, and a limit that is gone is passed over', () => {
    const here = world({ rememberedMax: 3 })
    for (let n = 0; n < 10; n++) here.use(here.limit({ metric: 'requests', max: 1n }), 1n)
    assert.equal(here.remembered(), 3)
    assert.equal(here.told().length, 20)
  })
})
