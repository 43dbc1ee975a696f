/** Store loading: from the books into memory, at the start and again after somebody has worked on the database by hand. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Governance } from './governance.ts'
import type { Books } from './persist/books.ts'
import { type LoadReport, load } from './persist/load.ts'
import type { Change, EntityKind, Metric } from './store/entities.ts'
import type { GovernanceStore } from './store/governance-store.ts'
import type { Log } from './units/log.ts'

type Put = Extract<Change, { op: 'put' }>

/** How many are looked at without the event loop turning: a millisecond or two. */
const AT_ONCE = 1_000

export interface LoadParts {
  readonly books: Books
  readonly governance: Governance
  readonly log: Log
}

/** Fills an empty store. What cannot be read is named in the log and does not stop the rest (T16, T17, U16). */
export async function loadStore({ books, governance, log }: LoadParts): Promise<void> {
  const { store, ledger, clock } = governance
  const report = await load({
    db: books.database.db,
    secrets: books.secrets,
    targets: {
      expect: (kind, count) => store.reserve(kind, count),
      entities: (changes) => store.apply(changes, clock.now()),
      addresses: (seen) => governance.addresses.load(seen),
      meter: (limitId, state) => ledger.restore(limitId, state),
    },
  })
  tell(report, log)
}

/**
 * Reads the entities again and puts those that differ in place of those in memory, in one step. Meters go on counting: what is in memory is
 * newer than the books. Only limits that are new get their numbers from there. Runs while nobody writes; what the gateway itself has disabled
 * after `since` (ms), when the books were last brought up to date, stays disabled.
 */
export async function reloadStore({ books, governance, log }: LoadParts, since: number): Promise<void> {
  const { store, ledger, clock } = governance
  const inMemory: Readonly<Record<EntityKind, ReadonlyMap<string, unknown>>> = {
    customer: store.customers,
    team: store.teams,
    user: store.users,
    virtual_key: store.virtualKeys,
    limit: store.limits,
    provider: store.providers,
    price: store.prices,
  }
  const loaded = new Set<string>()
  const puts: Put[] = []
  const restores: (() => void)[] = []
  const report = await load({
    db: books.database.db,
    secrets: books.secrets,
    targets: {
      entities: (changes) => {
        for (const put of changes as readonly Put[]) {
          loaded.add(put.entity.id)
          // Of millions hardly any differ: the others are let go at once.
          if (!isDeepStrictEqual(inMemory[put.kind].get(put.entity.id), put.entity)) puts.push(put)
        }
      },
      // Those of users that have come with an import; what is in memory of the others is no older.
      addresses: (seen) => governance.addresses.load(seen),
      meter: (limitId, state) => {
        if (ledger.meterOf(limitId) === null) restores.push(() => ledger.restore(limitId, state))
      },
    },
  })
  const deletes = await missing(inMemory, loaded)
  store.apply([...deletes, ...puts.map((put) => stillDisabled(put, store, since))], clock.now())
  for (const restore of restores) restore()
  tell(report, log)
}

/** What is in memory and was not loaded. Looked for in pieces, between which requests are served. */
async function missing(
  inMemory: Readonly<Record<EntityKind, ReadonlyMap<string, unknown>>>,
  loaded: ReadonlySet<string>,
): Promise<Change[]> {
  const deletes: Change[] = []
  let seen = 0
  for (const [kind, entities] of Object.entries(inMemory) as [EntityKind, ReadonlyMap<string, unknown>][]) {
    for (const id of entities.keys()) {
      if (!loaded.has(id)) deletes.push({ op: 'delete', kind, id })
      seen += 1
      if (seen % AT_ONCE === 0) await nextTurn()
    }
  }
  return deletes
}

/** A user over its addresses is disabled in memory at once and in the database with the next dump. */
function stillDisabled(change: Put, { users }: GovernanceStore, since: number): Put {
  if (change.kind !== 'user' || change.entity.disabledAt !== null) return change
  const live = users.get(change.entity.id)
  if (live == null || live.disabledAt === null || live.disabledAt < since) return change
  const { disabledAt, disabledReason } = live
  return { ...change, entity: { ...change.entity, disabledAt, disabledReason } }
}

/**
 * Rolls the limits in use whose metric is `wanted` into the window of `now` (ms). Only reports wait for it, so it takes its time: requests
 * are served between its pieces.
 */
export async function rollLimits(
  { ledger }: Pick<Governance, 'ledger'>,
  wanted: (metric: Metric) => boolean,
  now: number,
): Promise<void> {
  let piece: string[] = []
  for (const [limitId, { metric }] of ledger.inUse) {
    if (!wanted(metric)) continue
    piece.push(limitId)
    if (piece.length < AT_ONCE) continue
    ledger.roll(piece, now)
    piece = []
    await nextTurn()
  }
  ledger.roll(piece, now)
}

function tell({ counts, problems }: LoadReport, log: Log): void {
  for (const problem of problems) log.error({ ...problem }, 'a row cannot be used as it is')
  if (problems.length > 0) log.error({ count: problems.length }, 'rows that cannot be used')
  log.info({ ...counts }, 'governance store loaded')
}
