/**
 * Migrations: numbered plain SQL files, up and down, each in one transaction; psql alone can run them too.
 *
 * A file writes (or removes) its own line in `schema_migrations`; this adds the checksum, so that a file edited after it was applied is
 * noticed, and refuses a database that a newer version has migrated.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Kysely, sql, type Transaction } from 'kysely'
import { type Loss, lossesOf } from './migration-losses.ts'
import { relationExists } from './relation-exists.ts'
import type { Tables } from './tables.ts'

export interface MigrationStatus {
  readonly name: string
  /** `changed`: applied, but the file differs from what was applied. `unknown`: applied, but this version has no such file. */
  readonly state: 'applied' | 'pending' | 'changed' | 'unknown'
  /** Milliseconds since the epoch. */
  readonly appliedAt: number | null
}

/** The schema is not one this version may work with; the message is one line for the operator. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

interface MigrationFile {
  readonly name: string
  readonly up: string
  readonly down: string
  readonly checksum: string
}

type Applied = ReadonlyMap<string, { readonly checksum: string | null; readonly appliedAt: number }>

/** Two gateways that start at once migrate one after the other. */
const LOCK_KEY = 4_770_001

/** Every migration known to the files or to the database, in order. */
export async function migrationStatus(
  db: Kysely<Tables>,
  directory = migrationsDirectory(),
): Promise<MigrationStatus[]> {
  const files = readMigrations(directory)
  const applied = await readApplied(db)
  const known = files.map(({ name, checksum }): MigrationStatus => {
    const row = applied.get(name)
    if (row === undefined) return { name, state: 'pending', appliedAt: null }
    const same = row.checksum === null || row.checksum === checksum
    return { name, state: same ? 'applied' : 'changed', appliedAt: row.appliedAt }
  })
  const names = new Set(files.map(({ name }) => name))
  const unknown = [...applied].filter(([name]) => !names.has(name))
  return [
    ...known,
    ...unknown.map(([name, { appliedAt }]): MigrationStatus => ({ name, state: 'unknown', appliedAt })),
  ].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Applies what is pending and returns its names. Throws {@link MigrationError} before touching anything it does not recognise. */
export async function migrateUp(db: Kysely<Tables>, directory = migrationsDirectory()): Promise<string[]> {
  refuseStrangers(await migrationStatus(db, directory))
  const done: string[] = []
  for (const file of readMigrations(directory)) {
    const applied = await inLockedTransaction(db, async (trx) => {
      if ((await readApplied(trx)).has(file.name)) return false
      await run(trx, `${file.name}.up.sql`, file.up)
      if (!(await readApplied(trx)).has(file.name)) {
        throw new MigrationError(`${file.name}.up.sql does not write its line into schema_migrations`)
      }
      return true
    })
    if (applied) done.push(file.name)
    await recordChecksum(db, file)
  }
  return done
}

/** Takes the last `steps` migrations back and returns their names, last first. */
export async function migrateDown(db: Kysely<Tables>, steps = 1, directory = migrationsDirectory()): Promise<string[]> {
  const done: string[] = []
  for (const file of await lastApplied(db, steps, directory)) {
    await inLockedTransaction(db, (trx) => takeBack(trx, file))
    done.push(file.name)
  }
  return done
}

/** What {@link migrateDown} would delete: rows of tables that go or are emptied, and what stands in columns that go. */
export async function lostByMigratingDown(
  db: Kysely<Tables>,
  steps = 1,
  directory = migrationsDirectory(),
): Promise<Loss[]> {
  const files = await lastApplied(db, steps, directory)
  return await lossesOf(db, async (trx) => {
    for (const file of files) await takeBack(trx, file)
  })
}

/** The last first. */
async function lastApplied(db: Kysely<Tables>, steps: number, directory: string): Promise<MigrationFile[]> {
  const statuses = await migrationStatus(db, directory)
  const files = new Map(readMigrations(directory).map((file) => [file.name, file]))
  const last = statuses.filter(({ state }) => state !== 'pending').slice(-steps)
  return last.reverse().map(({ name }) => {
    const file = files.get(name)
    if (file === undefined)
      throw new MigrationError(`${name} was applied by a newer version: take it back with that one`)
    return file
  })
}

async function takeBack(trx: Transaction<Tables>, { name, down }: MigrationFile): Promise<void> {
  await run(trx, `${name}.down.sql`, down)
  if ((await readApplied(trx)).has(name)) {
    throw new MigrationError(`${name}.down.sql does not remove its line from schema_migrations`)
  }
}

function refuseStrangers(statuses: readonly MigrationStatus[]): void {
  const newer = statuses.filter(({ state }) => state === 'unknown').map(({ name }) => name)
  if (newer.length > 0) {
    throw new MigrationError(`the database was migrated by a newer version (${newer.join(', ')}): start that one`)
  }
  const changed = statuses.filter(({ state }) => state === 'changed').map(({ name }) => name)
  if (changed.length > 0) {
    throw new MigrationError(
      `changed since they were applied: ${changed.join(', ')}; restore the files and add a new one`,
    )
  }
}

async function inLockedTransaction<T>(db: Kysely<Tables>, work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
  return await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${LOCK_KEY})`.execute(trx)
    return await work(trx)
  })
}

async function run(trx: Transaction<Tables>, fileName: string, text: string): Promise<void> {
  try {
    await sql.raw(text).execute(trx)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MigrationError(`${fileName}: ${reason}`, { cause: error })
  }
}

/** Also for files that psql has applied. */
async function recordChecksum(db: Kysely<Tables>, { name, checksum }: MigrationFile): Promise<void> {
  await db
    .updateTable('schema_migrations')
    .set({ checksum })
    .where('name', '=', name)
    .where('checksum', 'is', null)
    .execute()
}

async function readApplied(db: Kysely<Tables>): Promise<Applied> {
  if (!(await relationExists(db, 'schema_migrations'))) return new Map()
  const applied = await db.selectFrom('schema_migrations').selectAll().execute()
  return new Map(applied.map((row) => [row.name, { checksum: row.checksum, appliedAt: row.applied_at }]))
}

function readMigrations(directory: string): MigrationFile[] {
  const names = readdirSync(directory)
    .filter((file) => /^\d{4}_\w+\.up\.sql$/.test(file))
    .map((file) => file.slice(0, -'.up.sql'.length))
    .sort()
  return names.map((name) => {
    const up = read(join(directory, `${name}.up.sql`))
    return {
      name,
      up,
      down: read(join(directory, `${name}.down.sql`)),
      checksum: createHash('sha256').update(up).digest('hex'),
    }
  })
}

/** With line ends made equal: a checkout on Windows is the same file. */
function read(path: string): string {
  return readFileSync(path, 'utf8').replaceAll('\r\n', '\n')
}

/** `migrations/` of this package: two levels up in the sources, three in the built form. */
function migrationsDirectory(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'migrations')
    if (existsSync(candidate)) return candidate
    if (folder === dirname(folder)) throw new MigrationError('the migrations folder is missing from this installation')
  }
}
