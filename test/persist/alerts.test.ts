import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AlertFact } from '../../src/ledger/facts.ts'
import { newId } from '../../src/units/id.ts'
import { testBooks } from '../helpers/books.ts'
import { forEachDatabase } from '../helpers/databases.ts'
import { settled } from '../helpers/facts.ts'

const NOON = Date.parse('2026-11-21T12:00:00Z')

function alert(fields: Partial<AlertFact>): AlertFact {
  return {
    t: 'alert',
    id: newId(),
    at: NOON + 1,
    limitId: newId(),
    countNumber: 1,
    windowStart: NOON,
    metric: 'cost',
    threshold: '0.8',
    used: '8',
    max: '10',
    ...fields,
  }
}

forEachDatabase((_kind, open) => {
  test('F10 an alert is in the books once for its limit, count, window and share, whatever is told again', async (t) => {
    const database = await open(t)
    const limitId = newId()
    const first = alert({ limitId, used: (10n ** 18n).toString() })
    const before = testBooks(t, database)
    await before.write([settled(), first, alert({ limitId }), alert({ limitId, threshold: '1', windowStart: 0 })])
    await before.dump.run()
    await before.write([
      alert({ limitId }),
      alert({ limitId, countNumber: 2 }),
      alert({ limitId, windowStart: NOON + 1 }),
    ])
    await before.dump.run()
    // Another process, with a journal of its own, tells the same.
    const after = testBooks(t, database)
    await after.write([alert({ limitId, used: '9' })])
    await after.dump.run()
    const rows = await database.db.selectFrom('alerts').selectAll().where('limit_id', '=', limitId).execute()
    assert.deepEqual(
      rows.map((row) => `${row.count_number} ${row.window_start - NOON} ${row.threshold}`).sort(),
      [`1 ${-NOON} 1`, '1 0 0.8', '1 1 0.8', '2 0 0.8'].sort(),
    )
    const kept = rows.find(({ id }) => id === first.id)
    assert.deepEqual([kept?.used, kept?.max, kept?.at, kept?.delivered_at], [10n ** 18n, 10n, NOON + 1, null])
  })
})
