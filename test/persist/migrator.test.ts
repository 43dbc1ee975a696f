import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Kysely, sql } from 'kysely'
import {
  lostByMigratingDown,
  MigrationError,
  migrateDown,
  migrateUp,
  migrationStatus,
} from '../../src/persist/migrator.ts'
import type { Tables } from '../../src/persist/tables.ts'
import { newId } from '../../src/units/id.ts'
import { forEachDatabase, temporaryDirectory } from '../helpers/databases.ts'

const MIGRATIONS = join(import.meta.dirname, '../../migrations')
const NAMES = readdirSync(MIGRATIONS)
  .filter((name) => name.endsWith('.up.sql'))
  .map((name) => name.slice(0, -'.up.sql'.length))
  .sort()

async function relations(db: Kysely<Tables>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
    order by relname`.execute(db)
  return rows.map(({ name }) => name)
}

forEachDatabase((kind, open) => {
  test('up, down and up again: with data in between, everything is there, gone, and there', async (t) => {
    const { db } = await open(t, { migrate: false })
    assert.deepEqual(await migrateUp(db), NAMES)
    const whole = await relations(db)
    const customer = { id: newId(), name: 'acme' }
    await db.insertInto('customers').values(customer).execute()
    await db.insertInto('teams').values({ id: newId(), name: 'research', customer_id: customer.id }).execute()
    const limit = { id: newId(), scope_kind: 'global', metric: 'cost', max_nano_usd: 1n, window: '1d' } as const
    await db.insertInto('limits').values(limit).execute()
    await db
      .insertInto('limit_usage')
      .values({ limit_id: limit.id, count_number: 1, window_start: new Date(0), metric: 'cost', posted: 5n })
      .execute()
    assert.deepEqual(await migrateUp(db), [], 'a second time there is nothing to do')
    assert.deepEqual(await migrateDown(db, NAMES.length - 1), NAMES.slice(1).reverse())
    assert.equal((await db.selectFrom('teams').selectAll().execute()).length, 1, 'entities outlive the views and usage')
    assert.deepEqual(await migrateUp(db), NAMES.slice(1))
    assert.equal((await db.selectFrom('limit_usage').selectAll().execute()).length, 0)
    assert.deepEqual(await migrateDown(db, NAMES.length), [...NAMES].reverse())
    assert.deepEqual(await relations(db), ['schema_migrations'])
    assert.deepEqual(await migrateUp(db), NAMES)
    assert.deepEqual(await relations(db), whole)
  })

  test('migrations/README.md documents each table and each column, and none that is not there', async (t) => {
    const { db } = await open(t, { migrate: false })
    await migrateUp(db)
    const { rows } = await sql<{ name: string }>`
      select relname || '.' || attname as name from pg_class join pg_attribute on attrelid = pg_class.oid
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and attnum > 0 and not attisdropped`.execute(db)
    const readme = readFileSync(join(MIGRATIONS, 'README.md'), 'utf8')
    const documented = readme
      .split(/^### /m)
      .slice(1)
      .flatMap((section) => {
        const [, table = ''] = /^`(\w+)`/.exec(section) ?? []
        const list = section.split('\n## ')[0]?.trim().split('\n').at(-1) ?? ''
        return [...list.matchAll(/(?:^|; )`(\w+)`/g)].map(([, column]) => `${table}.${column}`)
      })
    assert.deepEqual(documented.sort(), rows.map(({ name }) => name).sort())
  })

  test('what a down migration would delete is counted beforehand, and counting deletes nothing', async (t) => {
    const { db } = await open(t, { migrate: false })
    await migrateUp(db)
    assert.deepEqual(await lostByMigratingDown(db, NAMES.length), [])
    const limit = { id: newId(), scope_kind: 'global', metric: 'cost', max_nano_usd: 1n, window: '1d' } as const
    await db.insertInto('limits').values(limit).execute()
    await db
      .insertInto('limit_usage')
      .values({ limit_id: limit.id, count_number: 1, window_start: new Date(0), metric: 'cost', posted: 5n })
      .execute()
    const alert = { id: newId(), at: new Date(0), kind: 'test', message: 'hello' } as const
    await db.insertInto('alerts').values(alert).execute()
    const usage = NAMES.indexOf('0002_usage')
    assert.deepEqual(await lostByMigratingDown(db, NAMES.length - NAMES.indexOf('0004_alert_kinds')), [
      { what: 'alerts', rows: 1 },
      { what: 'alerts.kind', rows: 1 },
      { what: 'alerts.message', rows: 1 },
    ])
    assert.deepEqual(await lostByMigratingDown(db, NAMES.length - usage), [
      { what: 'alerts', rows: 1 },
      { what: 'limit_usage', rows: 1 },
    ])
    assert.deepEqual(
      (await lostByMigratingDown(db, NAMES.length)).map(({ what }) => what),
      ['alerts', 'limit_usage', 'limits'],
    )
    assert.equal((await db.selectFrom('limit_usage').selectAll().execute()).length, 1)
  })

  test('status says what is pending, applied, changed since, and from a newer version', async (t) => {
    const { db } = await open(t, { migrate: false })
    const directory = temporaryDirectory(t)
    cpSync(MIGRATIONS, directory, { recursive: true })
    const states = async () => (await migrationStatus(db, directory)).map(({ state }) => state)
    assert.deepEqual(
      await states(),
      NAMES.map(() => 'pending'),
    )
    await migrateUp(db, directory)
    assert.deepEqual(
      await states(),
      NAMES.map(() => 'applied'),
    )
    writeFileSync(join(directory, `${NAMES[1]}.up.sql`), '-- something else')
    await sql`insert into schema_migrations (name) values ('9999_tomorrow')`.execute(db)
    assert.deepEqual(await states(), ['applied', 'changed', ...NAMES.slice(2).map(() => 'applied'), 'unknown'])
    await assert.rejects(migrateUp(db, directory), /newer version \(9999_tomorrow\)/)
    await sql`delete from schema_migrations where name = '9999_tomorrow'`.execute(db)
    await assert.rejects(migrateUp(db, directory), /changed since they were applied: 0002_usage/)
  })

  test('a file that fails half-way leaves nothing of it behind', async (t) => {
    const { db } = await open(t, { migrate: false })
    const directory = temporaryDirectory(t)
    writeFileSync(
      join(directory, '0001_good.up.sql'),
      `create table if not exists schema_migrations (name text primary key, checksum text, applied_at timestamptz default now());
       insert into schema_migrations (name) values ('0001_good');`,
    )
    writeFileSync(join(directory, '0001_good.down.sql'), '')
    writeFileSync(join(directory, '0002_bad.up.sql'), 'create table half_made (id int); select no_such_column;')
    writeFileSync(join(directory, '0002_bad.down.sql'), '')
    await assert.rejects(migrateUp(db, directory), (error: unknown) => {
      assert.ok(error instanceof MigrationError)
      assert.match(error.message, /^0002_bad\.up\.sql: .*no_such_column/)
      return true
    })
    assert.deepEqual(await relations(db), ['schema_migrations'])
    writeFileSync(join(directory, '0002_bad.up.sql'), 'create table half_made (id int);')
    await assert.rejects(migrateUp(db, directory), /does not write its line into schema_migrations/)
    await assert.rejects(migrateDown(db, 1, directory), /does not remove its line from schema_migrations/)
  })

  if (kind === 'postgres') {
    test('two programs that migrate at the same moment do it once', async (t) => {
      const { db } = await open(t, { migrate: false })
      for (let round = 0; round < 3; round++) {
        const applied = await Promise.all(Array.from({ length: 6 }, () => migrateUp(db)))
        assert.deepEqual(applied.flat().sort(), NAMES)
        await migrateDown(db, NAMES.length)
        await sql`drop table schema_migrations`.execute(db)
      }
    })

    test('psql alone applies and takes back the same files, and the program takes over from there', async (t) => {
      const { db, url } = await open(t, { migrate: false })
      const psql = (file: string) =>
        execFileSync(
          'psql',
          [url ?? '', '-q', '-v', 'ON_ERROR_STOP=1', '--single-transaction', '-f', join(MIGRATIONS, file)],
          {
            stdio: ['ignore', 'pipe', 'pipe'],
          },
        )
      try {
        execFileSync('psql', ['--version'])
      } catch {
        return t.skip('no psql on this machine')
      }
      for (const name of NAMES) psql(`${name}.up.sql`)
      assert.deepEqual(
        (await migrationStatus(db)).map(({ state }) => state),
        NAMES.map(() => 'applied'),
      )
      assert.deepEqual(await migrateUp(db), [])
      for (const name of [...NAMES].reverse()) psql(`${name}.down.sql`)
      assert.deepEqual(await migrateUp(db), NAMES)
    })
  }
})
