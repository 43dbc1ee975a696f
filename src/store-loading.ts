/** Store loading: from the books into memory, at the start and again after somebody has worked on the database by hand. */
import type { Governance } from './governance.ts'
import type { Books } from './persist/books.ts'
import { type LoadReport, load } from './persist/load.ts'
import type { Change, EntityKind } from './store/entities.ts'
import type { Log } from './units/log.ts'

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
      entities: (changes) => store.apply(changes, clock.now()),
      addresses: (seen) => governance.addresses.load(seen),
      meter: (limitId, state) => ledger.restore(limitId, state),
    },
  })
  tell(report, log)
}

/**
 * Reads the entities again and replaces what differs, in one step. Meters go on counting: what is in memory is newer than the books. Only
 * limits that are new get their numbers from there.
 */
export async function reloadStore({ books, governance, log }: LoadParts): Promise<void> {
  const { store, ledger, clock } = governance
  const puts: Change[] = []
  const restores: (() => void)[] = []
  const report = await load({
    db: books.database.db,
    secrets: books.secrets,
    targets: {
      entities: (changes) => puts.push(...changes),
      addresses: () => {},
      meter: (limitId, state) => {
        if (ledger.meterOf(limitId) === null) restores.push(() => ledger.restore(limitId, state))
      },
    },
  })
  const loaded = new Set(puts.map((change) => (change.op === 'put' ? change.entity.id : change.id)))
  const inMemory: readonly (readonly [EntityKind, ReadonlyMap<string, unknown>])[] = [
    ['customer', store.customers],
    ['team', store.teams],
    ['user', store.users],
    ['virtual_key', store.virtualKeys],
    ['limit', store.limits],
    ['provider', store.providers],
    ['price', store.prices],
  ]
  const deletes = inMemory.flatMap(([kind, entities]) =>
    [...entities.keys()].filter((id) => !loaded.has(id)).map((id): Change => ({ op: 'delete', kind, id })),
  )
  store.apply([...deletes, ...puts], clock.now())
  for (const restore of restores) restore()
  tell(report, log)
}

function tell({ counts, problems }: LoadReport, log: Log): void {
  for (const problem of problems) log.error({ ...problem }, 'a row cannot be used as it is')
  if (problems.length > 0) log.error({ count: problems.length }, 'rows that cannot be used')
  log.info({ ...counts }, 'governance store loaded')
}
