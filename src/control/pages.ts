/** Pages of a list: an opaque cursor out, the place to go on from in. */
import type { Page } from '../persist/repositories/db.ts'
import { LIST_LIMIT_DEFAULT } from '../schemas/lists.ts'
import type { Provider, ProviderKind } from '../store/entities.ts'
import { isId } from '../units/id.ts'
import { invalid } from './refused.ts'

export interface PageQuery {
  readonly limit?: number
  readonly cursor?: string
}

export interface Listed<T> {
  readonly data: T[]
  readonly next_cursor: string | null
}

/** Reads a page of rows that have an id. `read` is asked for one row more than is shown: that there is one tells that there is more. */
export async function listed<Row, View>(
  query: PageQuery,
  read: (page: Page) => Promise<Row[]>,
  idOf: (row: Row) => string,
  present: (rows: Row[]) => View[] | Promise<View[]>,
): Promise<Listed<View>> {
  return await listedBy(query, isId, (after, limit) => read({ after, limit }), idOf, present)
}

/** The same for rows whose place is some other text. */
export async function listedBy<Row, View>(
  { limit = LIST_LIMIT_DEFAULT, cursor }: PageQuery,
  isPlace: (text: string) => boolean,
  read: (after: string | null, limit: number) => Promise<Row[]>,
  placeOf: (row: Row) => string,
  present: (rows: Row[]) => View[] | Promise<View[]>,
): Promise<Listed<View>> {
  const after = cursor === undefined ? null : Buffer.from(cursor, 'base64url').toString('utf8')
  if (after !== null && !isPlace(after))
    throw invalid([{ path: 'cursor', message: 'must be the next_cursor of the page before' }])
  const rows = await read(after, limit + 1)
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    data: await present(shown),
    next_cursor: rows.length > limit && last !== undefined ? Buffer.from(placeOf(last)).toString('base64url') : null,
  }
}

/** Providers of the store, by id like every other list. */
export function pageOfLiveProviders(
  providers: ReadonlyMap<string, Provider>,
  { after, limit }: Page,
  { search, kind }: { search?: string; kind?: ProviderKind },
): Provider[] {
  return [...providers.values()]
    .filter((provider) => after === null || provider.id > after)
    .filter((provider) => kind === undefined || provider.kind === kind)
    .filter(({ name }) => search === undefined || name.toLowerCase().includes(search.toLowerCase()))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, limit)
}
