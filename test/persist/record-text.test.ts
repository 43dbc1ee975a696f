import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { fieldsOfRecord } from '../../src/persist/record-text.ts'
import { forEachDatabase } from '../helpers/databases.ts'

forEachDatabase((_kind, open) => {
  test('the fields of a record come out as they went in, whatever is in them', async (t) => {
    const { db } = await open(t, { migrate: false })
    const texts = [
      '',
      'a',
      null,
      'a,b',
      '"',
      '""',
      '\\',
      '\\"',
      'a"b"',
      '(x)',
      ' ',
      '\n',
      'null',
      '{"a":"\\"}',
      null,
      '","',
      ',',
    ]
    for (const rest of [texts, [null], [''], texts.toReversed(), [null, null], ['"', '"']]) {
      const fields = sql.join(rest.map((text) => sql`${text}::text`))
      const { rows } = await sql<{ record: string }>`select row(${fields})::text as record`.execute(db)
      assert.deepEqual(fieldsOfRecord(rows[0]?.record ?? ''), rest)
    }
  })
})
