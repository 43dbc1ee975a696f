/**
 * One batch of facts inside its transaction: events and corrections that are new, what they add to limits and hours, and what else the
 * data plane has to tell.
 */
import type { Transaction } from 'kysely'
import pg from 'pg'
import type {
  AlertFact,
  CorrectFact,
  DeliveryFact,
  DisableFact,
  EventFact,
  Fact,
  NoticeFact,
  SeenFact,
  StoredFact,
} from '../ledger/facts.ts'
import { insertAlerts, insertNotices, recordDeliveries } from './dump-alerts.ts'
import {
  type AddressUse,
  addHourly,
  addLimitClosed,
  addLimitUsage,
  disable,
  insertCorrections,
  insertEvents,
  insertStored,
  type LastUse,
  touchAddresses,
  touchLastUse,
} from './dump-statements.ts'
import { ClosedSums, HourlySums, LimitSums } from './dump-sums.ts'
import type { Tables } from './tables.ts'

/** Rows in one statement: what is made and sent at once without the event loop turning. */
const ROWS_MAX = 60

/** A fact that is not of the form its kind has. */
class UnreadableFact extends Error {
  override readonly name = 'UnreadableFact'
}

/**
 * Whether a batch failed for what is in it, so that smaller batches may pass: a value out of range, a broken constraint, a fact of
 * the wrong form. A missing table or column is no such thing: every fact would fail, and none may be given up for it.
 */
export function isAboutTheData(error: unknown): boolean {
  if (error instanceof UnreadableFact) return true
  return error instanceof pg.DatabaseError && /^(21|22|23|54|P0001)/.test(error.code ?? '')
}

/** Writes a batch. Of events and corrections that are in the books already, nothing is added again. */
export async function writeFacts(trx: Transaction<Tables>, facts: readonly Fact[]): Promise<void> {
  const { events, corrections, seen, disabled, alerts, notices, deliveries, stored } = readable(() => sorted(facts))
  const limits = new LimitSums()
  const closed = new ClosedSums()
  const hours = new HourlySums()
  await inPieces(events, async (piece) => {
    const fresh = newOnes(piece, await insertEvents(trx, piece))
    readable(() => {
      for (const { event } of fresh) {
        limits.add(event.charges)
        hours.add(event)
      }
    })
  })
  await inPieces(corrections, async (piece) => {
    const fresh = matched(new Set(await insertCorrections(trx, piece)), piece, ({ id }) => id)
    readable(() => {
      for (const { charges, requestId } of fresh) {
        limits.add(charges)
        // Not about a request: an admin set the count back.
        if (requestId === null) closed.add(charges)
      }
    })
  })
  await inPieces(limits.additions(), (piece) => addLimitUsage(trx, piece))
  await inPieces(closed.additions(), (piece) => addLimitClosed(trx, piece))
  await inPieces(hours.additions(), (piece) => addHourly(trx, piece))
  const { keys, users, addresses } = lastUses(seen)
  await inPieces(keys, (piece) => touchLastUse(trx, 'virtual_keys', piece))
  await inPieces(users, (piece) => touchLastUse(trx, 'users', piece))
  await inPieces(addresses, (piece) => touchAddresses(trx, piece))
  for (const fact of disabled) await disable(trx, fact)
  await inPieces(stored, (piece) => insertStored(trx, piece))
  await inPieces(alerts, (piece) => insertAlerts(trx, piece))
  await inPieces(notices, (piece) => insertNotices(trx, piece))
  // After the alerts that they are about. Of several tries the last one counts.
  const lastTries = new Map(deliveries.map((delivery) => [delivery.alertId, delivery]))
  await inPieces([...lastTries.values()], (piece) => recordDeliveries(trx, piece))
}

interface Sorted {
  readonly events: EventFact[]
  readonly corrections: CorrectFact[]
  readonly seen: SeenFact[]
  readonly disabled: DisableFact[]
  readonly alerts: AlertFact[]
  readonly notices: NoticeFact[]
  readonly deliveries: DeliveryFact[]
  readonly stored: StoredFact[]
}

function sorted(facts: readonly Fact[]): Sorted {
  const into: Sorted = {
    events: [],
    corrections: [],
    seen: [],
    disabled: [],
    alerts: [],
    notices: [],
    deliveries: [],
    stored: [],
  }
  for (const fact of facts) {
    switch (fact.t) {
      case 'settle':
      case 'void':
      case 'refuse':
        if (typeof fact.event?.requestId !== 'string') throw new UnreadableFact('an event without a request id')
        into.events.push(fact)
        break
      case 'correct':
        into.corrections.push(fact)
        break
      case 'seen':
        into.seen.push(fact)
        break
      case 'disable':
        into.disabled.push(fact)
        break
      case 'alert':
        into.alerts.push(fact)
        break
      case 'notice':
        into.notices.push(fact)
        break
      case 'delivery':
        into.deliveries.push(fact)
        break
      case 'stored':
        into.stored.push(fact)
        break
      case 'hold':
        break
    }
  }
  return into
}

/** The events that were inserted, each once. */
function newOnes(
  events: readonly EventFact[],
  inserted: Awaited<ReturnType<typeof insertEvents>>,
): readonly EventFact[] {
  if (inserted === null) return events
  const fresh = new Set(inserted.map(([requestId, attempt]) => `${requestId}/${attempt}`))
  return matched(fresh, events, ({ event }) => `${event.requestId}/${event.attempt}`)
}

/**
 * The rows whose keys are in `fresh`, each key once: the same event twice in one batch counts once. A key that is left over was written
 * otherwise than Postgres writes it, and its amounts would be lost.
 */
function matched<T>(fresh: Set<string>, rows: readonly T[], keyOf: (row: T) => string): T[] {
  const found = rows.filter((row) => fresh.delete(keyOf(row)))
  if (fresh.size > 0) throw new UnreadableFact(`an id that is not in canonical form: ${[...fresh][0]}`)
  return found
}

function lastUses(seen: readonly SeenFact[]): { keys: LastUse[]; users: LastUse[]; addresses: AddressUse[] } {
  const keys = new Map<string, number>()
  const users = new Map<string, number>()
  const addresses = new Map<string, AddressUse>()
  for (const { at, virtualKeyId, userId, address } of seen) {
    keys.set(virtualKeyId, Math.max(keys.get(virtualKeyId) ?? at, at))
    if (userId === null) continue
    users.set(userId, Math.max(users.get(userId) ?? at, at))
    if (address === null) continue
    const key = `${userId} ${address}`
    const { firstAt, lastAt } = addresses.get(key) ?? { firstAt: at, lastAt: at }
    addresses.set(key, { userId, address, firstAt: Math.min(firstAt, at), lastAt: Math.max(lastAt, at) })
  }
  return {
    keys: [...keys].map(([id, at]) => ({ id, at })),
    users: [...users].map(([id, at]) => ({ id, at })),
    addresses: [...addresses].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, use]) => use),
  }
}

async function inPieces<T>(rows: readonly T[], write: (piece: readonly T[]) => Promise<void>): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_MAX) await write(rows.slice(from, from + ROWS_MAX))
}

/** What goes wrong in here is the facts' fault. */
function readable<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof UnreadableFact) throw error
    throw new UnreadableFact(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
