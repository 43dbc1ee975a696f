/** Charges on shared places, as a running gateway's facts carry them. */
import { PlacedCharges, type Places } from '../../src/ledger/charges.ts'
import type { AttemptIdentity, EventFact, HoldFact } from '../../src/ledger/facts.ts'
import { amountsOf } from '../../src/ledger/hold.ts'
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { aLimit } from './entities.ts'
import { held, settled } from './facts.ts'

/** One limit of each of three metrics, in windows that began at `windowStart` (ms). */
export function somePlaces(windowStart: number, limits: readonly Limit[] = someLimits()): Places {
  return limits.map((limit, slot) => {
    const metric = METRICS.indexOf(limit.metric)
    return { limit, metric, slot, generation: 0, windowStart, windowNumber: 0 }
  })
}

function someLimits(): Limit[] {
  return (['requests', 'tokens', 'cost'] as const).map((metric) => aLimit({ metric, max: 1_000_000_000n }))
}

/** A hold on the places and the event that settles it, its JSON made as the usage tracker makes it. */
export function placedFacts(
  places: Places,
  amounts: Parameters<typeof amountsOf>[0],
  identity: Partial<AttemptIdentity> = {},
): [HoldFact, EventFact] {
  const hold = { ...held(identity), charges: new PlacedCharges(places, amountsOf({ ...amounts, requests: 1n }), true) }
  const { t, event } = settled(hold.identity)
  const { charges: _, ...rest } = event
  const charges = new PlacedCharges(places, amountsOf(amounts), false)
  return [hold, { t, event: { ...event, charges }, json: JSON.stringify(rest) }]
}

/** A fact as somebody reads it who knows nothing of places. */
export function spelledOut(fact: HoldFact | EventFact): unknown {
  if (fact.t === 'hold') return JSON.parse(JSON.stringify(fact))
  return JSON.parse(JSON.stringify({ t: fact.t, event: fact.event }))
}
