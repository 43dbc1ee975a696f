import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredFact } from '../../src/ledger/facts.ts'
import { Pruner } from '../../src/persist/pruner.ts'
import { findStoredObject } from '../../src/persist/repositories/stored-objects.ts'
import { newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { testBooks } from '../helpers/books.ts'
import { forEachDatabase } from '../helpers/databases.ts'
import { settled } from '../helpers/facts.ts'

const NOON = Date.parse('2026-11-21T12:00:00Z')

forEachDatabase((_kind, open) => {
  test('what a provider keeps has one owner, the first, whatever is told again, until it is pruned', async (t) => {
    const database = await open(t)
    const stored = (fields: Partial<StoredFact>): StoredFact => ({
      t: 'stored',
      at: NOON,
      ids: ['resp_1', 'msg_1'],
      virtualKeyId: newId(),
      provider: 'openai',
      providerKeyId: null,
      ...fields,
    })
    const first = stored({ providerKeyId: newId() })
    const books = testBooks(t, database)
    await books.write([settled(), first, stored({ ids: ['resp_2'] }), stored({})])
    await books.dump.run()
    await books.write([stored({ ids: ['msg_1', 'resp_3'] })])
    await books.dump.run()
    for (const id of first.ids) {
      const { virtualKeyId, provider, providerKeyId } = first
      assert.deepEqual(await findStoredObject(database.db, id), { virtualKeyId, provider, providerKeyId })
    }
    assert.ok(await findStoredObject(database.db, 'resp_3'))
    assert.equal(await findStoredObject(database.db, 'resp_4'), null)

    const events = { kind: 'months', months: 1, unit: 'M', count: 1 } as const
    await new Pruner({ db: database.db, events, log: silentLog }).run(NOON + 40 * 86_400_000)
    assert.equal(await findStoredObject(database.db, 'resp_3'), null)
  })
})
