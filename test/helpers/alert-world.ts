/** A limit's alerts on real meters, with a clock that stands still; what is told is kept. */
import assert from 'node:assert/strict'
import type { Alert } from '../../src/alerts/alert.ts'
import { Alerts, type SaidAlert } from '../../src/alerts/limit-alerts.ts'
import { PlacedCharges } from '../../src/ledger/charges.ts'
import { amountsOf } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { GovernanceStore } from '../../src/store/governance-store.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { newId } from '../../src/units/id.ts'
import { aLimit } from './entities.ts'
import { RecordedFacts } from './recorded-facts.ts'

export const NOW = Date.parse('2026-11-21T12:00:00Z')
export const HOUR = 3_600_000

export function world({ sweptAt, meters = 512 }: { sweptAt?: number; meters?: number } = {}) {
  const clock = new ManualClock(NOW)
  const ledger = new Ledger(new Meters(() => clock.elapsed(), new SharedArrayBuffer(meters * 128)))
  const store = new GovernanceStore(ledger)
  const facts = new RecordedFacts()
  const warnings: Record<string, unknown>[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (fields: object) => void warnings.push({ ...fields }) }
  const raised: Alert[] = []
  const start = () => {
    const alerts = new Alerts({ store, ledger, facts, clock, log }, sweptAt)
    alerts.onRaise((alert) => raised.push(alert))
    return alerts
  }
  let alerts = start()
  const put = (entity: Limit) => {
    store.apply([{ op: 'put', kind: 'limit', entity }], clock.now())
    return entity
  }
  return {
    clock,
    ledger,
    store,
    raised,
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
      ledger.settle(held.hold, amounts)
      alerts.look({ charges: new PlacedCharges(held.hold.places, amounts, false) })
    },
    /** @param said what the books know to have been told */
    restart(said: readonly SaidAlert[] = []) {
      alerts = start()
      alerts.load(said)
    },
    remembered: () => alerts.remembered,
    /** The shares told so far, with what was used. */
    told: () => facts.of('alert').map(({ threshold, used }) => `${threshold} at ${used}`),
  }
}
