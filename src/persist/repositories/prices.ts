/** Price overrides in the database. */
import type { PriceOverride } from '../../store/entities.ts'
import { priceFromRow, rowOfPrice } from '../rows.ts'
import { containing, type Db, type Page } from './db.ts'

export async function findPrice(db: Db, id: string): Promise<PriceOverride | null> {
  const row = await db.selectFrom('prices').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : priceFromRow(row)
}

/** The overrides of one provider and model, oldest first. */
export async function pricesOf(db: Db, provider: string, model: string): Promise<PriceOverride[]> {
  const rows = await db
    .selectFrom('prices')
    .selectAll()
    .where(({ eb, fn }) => eb(fn<string>('lower', ['provider']), '=', provider.toLowerCase()))
    .where('model', '=', model)
    .orderBy('effective_from')
    .execute()
  return rows.map(priceFromRow)
}

export async function insertPrice(db: Db, price: PriceOverride): Promise<void> {
  await db.insertInto('prices').values(rowOfPrice(price)).execute()
}

export async function updatePrice(db: Db, price: PriceOverride): Promise<void> {
  const { id, ...columns } = rowOfPrice(price)
  await db.updateTable('prices').set(columns).where('id', '=', id).execute()
}

export async function deletePrice(db: Db, id: string): Promise<void> {
  await db.deleteFrom('prices').where('id', '=', id).execute()
}

export async function pageOfPrices(
  db: Db,
  page: Page,
  { provider, search }: { provider?: string; search?: string },
): Promise<PriceOverride[]> {
  let query = db.selectFrom('prices').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (provider !== undefined) query = query.where('provider', '=', provider)
  if (search !== undefined) query = query.where('model', 'ilike', containing(search))
  return (await query.execute()).map(priceFromRow)
}

/** Those that the configuration file has made. */
export async function pricesOfFile(db: Db): Promise<PriceOverride[]> {
  return (await db.selectFrom('prices').selectAll().where('managed_by', '=', 'file').execute()).map(priceFromRow)
}
