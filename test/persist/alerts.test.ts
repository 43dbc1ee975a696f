import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AlertFact } from '../../src/ledger/facts.ts'
import { alertOf, undeliveredAlerts } from '../../src/persist/repositories/alerts.ts'
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
    const told = 'The team research has used 8 of 10.'
    await before.write([
      settled(),
      { ...first, message: told },
      alert({ limitId }),
      alert({ limitId, threshold: '1', windowStart: 0 }),
    ])
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
      rows.map((row) => `${row.count_number} ${Number(row.window_start) - NOON} ${row.threshold}`).sort(),
      [`1 ${-NOON} 1`, '1 0 0.8', '1 1 0.8', '2 0 0.8'].sort(),
    )
    const kept = rows.find(({ id }) => id === first.id)
    assert.deepEqual([kept?.used, kept?.max, kept?.at, kept?.delivered_at], [10n ** 18n, 10n, NOON + 1, null])
    const facts = rows.map(alertOf)
    assert.deepEqual(
      facts.find(({ id }) => id === first.id),
      { ...first, message: told },
    )
    assert.ok(facts.filter((fact) => 'message' in fact).length === 1, 'facts of earlier versions have none')
  })
})

forEachDatabase((_kind, open) => {
  test('F10 alerts about no limit stand in the books, and what the webhook made of each; one that was taken stays taken', async (t) => {
    const database = await open(t)
    const books = testBooks(t, database)
    const [userId, first, second] = [newId(), newId(), newId()]
    const at = NOON + 1
    await books.write([
      {
        t: 'notice',
        id: first,
        at,
        kind: 'user_disabled',
        subjectId: userId,
        message: 'The user ada has been disabled.',
      },
      {
        t: 'notice',
        id: second,
        at: at + 1,
        kind: 'dump_lag',
        subjectId: null,
        message: 'Usage waits in the journal.',
      },
      { t: 'delivery', alertId: first, at: at + 2, attempts: 1, error: 'answered 500' },
      { t: 'delivery', alertId: second, at: at + 2, attempts: 1, error: 'answered 500' },
      { t: 'delivery', alertId: first, at: at + 3, attempts: 2, error: null },
    ])
    await books.dump.run()
    await books.write([
      { t: 'delivery', alertId: first, at: at + 9, attempts: 3, error: 'answered 502' },
      { t: 'delivery', alertId: newId(), at: at + 9, attempts: 3, error: null },
    ])
    await books.dump.run()
    const rows = await database.db.selectFrom('alerts').selectAll().orderBy('at').execute()
    assert.deepEqual(
      rows.map((row) => [row.kind, row.subject_id, row.delivery_attempts, row.delivery_error, row.delivered_at]),
      [
        ['user_disabled', userId, 2, null, at + 3],
        ['dump_lag', null, 1, 'answered 500', null],
      ],
    )
    const waiting = await undeliveredAlerts(database.db, at, 10)
    assert.deepEqual(waiting.map(alertOf), [
      {
        t: 'notice',
        id: second,
        at: at + 1,
        kind: 'dump_lag',
        subjectId: null,
        message: 'Usage waits in the journal.',
      },
    ])
  })
})
