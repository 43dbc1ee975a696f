/** Who has made what providers keep. */
import type { StoredFact } from '../../ledger/facts.ts'
import type { Db } from './db.ts'

/** The owner of what a provider knows by this id; null where nobody has made it, or it is too long ago. */
export async function findStoredObject(
  db: Db,
  id: string,
): Promise<Pick<StoredFact, 'virtualKeyId' | 'provider' | 'providerKeyId'> | null> {
  const found = await db
    .selectFrom('stored_objects')
    .select(['virtual_key_id as virtualKeyId', 'provider', 'provider_key_id as providerKeyId'])
    .where('id', '=', id)
    .executeTakeFirst()
  return found ?? null
}
