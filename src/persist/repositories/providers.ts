/** Providers and their credentials in the database: credentials encrypted. */
import type { Provider } from '../../store/entities.ts'
import { providerFromRow, rowOfProvider, rowsOfProviderKeys } from '../rows.ts'
import type { Secrets } from '../secrets.ts'
import type { Row } from '../tables.ts'
import type { Db } from './db.ts'

export type ProviderSecrets = Pick<Secrets, 'encrypt' | 'decrypt'>

async function withKeys(db: Db, row: Row<'providers'> | undefined, secrets: ProviderSecrets): Promise<Provider | null> {
  if (row === undefined) return null
  const keys = await db.selectFrom('provider_keys').selectAll().where('provider_id', '=', row.id).execute()
  return providerFromRow(row, keys, secrets)
}

export async function findProvider(db: Db, id: string, secrets: ProviderSecrets): Promise<Provider | null> {
  return withKeys(db, await db.selectFrom('providers').selectAll().where('id', '=', id).executeTakeFirst(), secrets)
}

/** Names are the same in any case. */
export async function findProviderByName(db: Db, name: string, secrets: ProviderSecrets): Promise<Provider | null> {
  const row = await db
    .selectFrom('providers')
    .selectAll()
    .where(({ eb, fn }) => eb(fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst()
  return withKeys(db, row, secrets)
}

export async function insertProvider(db: Db, provider: Provider, secrets: ProviderSecrets): Promise<void> {
  await db.insertInto('providers').values(rowOfProvider(provider, secrets)).execute()
  await putKeys(db, provider, secrets)
}

export async function updateProvider(db: Db, provider: Provider, secrets: ProviderSecrets): Promise<void> {
  const { id, ...columns } = rowOfProvider(provider, secrets)
  await db.updateTable('providers').set(columns).where('id', '=', id).execute()
  await db.deleteFrom('provider_keys').where('provider_id', '=', id).execute()
  await putKeys(db, provider, secrets)
}

async function putKeys(db: Db, provider: Provider, secrets: ProviderSecrets): Promise<void> {
  const rows = rowsOfProviderKeys(provider, secrets)
  if (rows.length > 0) await db.insertInto('provider_keys').values(rows).execute()
}

export async function deleteProvider(db: Db, id: string): Promise<void> {
  await db.deleteFrom('providers').where('id', '=', id).execute()
}

/** Those that the configuration file has made. */
export async function providersOfFile(db: Db, secrets: ProviderSecrets): Promise<Provider[]> {
  const rows = await db.selectFrom('providers').selectAll().where('managed_by', '=', 'file').execute()
  const providers = await Promise.all(rows.map((row) => withKeys(db, row, secrets)))
  return providers.filter((provider) => provider !== null)
}
