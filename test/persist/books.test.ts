import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Books, type BooksOptions, openBooks } from '../../src/persist/books.ts'
import { type DataDir, openDataDir } from '../../src/persist/data-dir.ts'
import { migrateDown } from '../../src/persist/migrator.ts'
import { ManualClock, systemClock } from '../../src/units/clock.ts'
import { newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { inTheBooks } from '../helpers/books.ts'
import { copyEmptyEmbedded, postgresDatabases, temporaryDirectory } from '../helpers/databases.ts'
import { held, settled } from '../helpers/facts.ts'

const WRITING_PROCESS = join(import.meta.dirname, '../helpers/writing-process.ts')

function open(t: TestContext, dataDir: DataDir, options: Partial<BooksOptions> = {}): Promise<Books> {
  const books = openBooks({
    dataDir,
    databaseUrl: null,
    secret: 'secret',
    journal: { sync: 'never', maxSizeBytes: 1_048_576, orphans: 'input' },
    database: { atStart: 'stop', migrations: 'auto' },
    clock: systemClock,
    log: silentLog,
    onLockLost: assert.fail,
    ...options,
  })
  t.after(() =>
    books.then(
      ({ close }) => close(),
      () => {},
    ),
  )
  return books
}

function lockedDirectory(t: TestContext, directory = temporaryDirectory(t)): DataDir {
  const dataDir = openDataDir(directory)
  t.after(() => dataDir.release())
  return dataDir
}

/** Lets a process write for a moment, kills it, and returns the request ids whose answers its clients have seen. */
async function killedWhileWriting(directory: string, url: string, limitId: string): Promise<string[]> {
  const child = spawn(process.execPath, [WRITING_PROCESS, directory, url, limitId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  await once(child.stdout, 'data')
  await delay(150 + Math.random() * 150)
  child.kill('SIGKILL')
  await once(child, 'close')
  return printed.split('\n').slice(0, -1)
}

async function survivesKills(t: TestContext, url: string | null, kills: number): Promise<void> {
  const directory = temporaryDirectory(t)
  if (url === null) await copyEmptyEmbedded(directory)
  const limitId = newId()
  const seen: string[] = []
  for (let kill = 0; kill < kills; kill++) seen.push(...(await killedWhileWriting(directory, url ?? '', limitId)))
  const { database, recovered, journal, dump } = await open(t, lockedDirectory(t, directory), { databaseUrl: url })
  const { events, usage } = await inTheBooks(database)
  const known = new Set(events.map(({ request_id }) => request_id))
  assert.ok(seen.length > 20 * kills, `only ${seen.length} requests were acknowledged`)
  assert.deepEqual(
    seen.filter((id) => !known.has(id)),
    [],
    'acknowledged, but not in the books',
  )
  assert.deepEqual(
    usage.map(({ posted }) => posted),
    [BigInt(known.size)],
    'each once',
  )
  assert.equal(events.length, known.size)
  assert.equal(recovered.quarantined, 0)
  assert.equal(dump.applied, journal.end)
}

test('F09 F10 embedded: a process killed while it writes loses nothing a client has seen, and counts nothing twice', async (t) => {
  await survivesKills(t, null, 1)
})

const openPostgres = postgresDatabases()

test('F09 F10 postgres: a process killed while it writes loses nothing a client has seen, and counts nothing twice', async (t) => {
  const { url } = await openPostgres(t, { migrate: false })
  await survivesKills(t, url, 2)
})

test('F11 a restart finds secrets, journal and books as they were left, and resolves what was left open', async (t) => {
  const { url: databaseUrl } = await openPostgres(t, { migrate: false })
  const dataDir = lockedDirectory(t)
  const first = await open(t, dataDir, { databaseUrl })
  const sealed = first.secrets.encrypt('credential', 'here')
  for (const fact of [settled(), held()]) first.journal.append(fact)
  await first.close()
  await first.close()
  const second = await open(t, dataDir, { databaseUrl })
  assert.deepEqual([second.recovered.facts, second.recovered.orphans, second.recovered.torn], [2, 1, 0])
  assert.equal(second.secrets.decrypt(sealed, 'here'), 'credential')
  assert.equal((await inTheBooks(second.database)).events.length, 2)
})

test('what is wrong stops the start with one line, and leaves nothing open behind it', async (t) => {
  const { url: databaseUrl, db } = await openPostgres(t, { migrate: false })
  const dataDir = lockedDirectory(t)
  const manual = { atStart: 'stop', migrations: 'manual' } as const
  await assert.rejects(open(t, dataDir, { databaseUrl, database: manual }), /0001_entities \(pending\)/)
  await (await open(t, dataDir, { databaseUrl })).close()
  await assert.rejects(open(t, dataDir, { databaseUrl, secret: 'wrong' }), /^WrongSecretError: BURSAR_SECRET is not/)
  await migrateDown(db, 1)
  await assert.rejects(open(t, dataDir, { databaseUrl, database: manual }), /\d{4}_\w+ \(pending\)$/)
  await (await open(t, dataDir, { databaseUrl })).close()
})

test('a journal of another version stops the start with file, position and what to do; nothing of it is lost', async (t) => {
  const { url: databaseUrl } = await openPostgres(t, { migrate: false })
  const dataDir = lockedDirectory(t)
  const first = await open(t, dataDir, { databaseUrl })
  for (const fact of [settled(), settled()]) first.journal.append(fact)
  await new Promise<void>((done) => first.journal.flushed(done))
  const path = first.journal.segments[0]?.path ?? assert.fail('a segment has been begun')
  await first.close()
  const text = readFileSync(path, 'utf8')
  for (const [version, said] of [
    ['7', 'version 7'],
    ['null', 'an unknown version'],
  ]) {
    writeFileSync(path, text.replace('"version":2', `"version":${version}`))
    await assert.rejects(open(t, dataDir, { databaseUrl }), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(`^${RegExp.escape(path)}, position 0: written in ${said} of the journal, .*; start the program`),
      )
      return true
    })
  }
  writeFileSync(path, text)
  const again = await open(t, dataDir, { databaseUrl })
  assert.equal((await inTheBooks(again.database)).events.length, 2)
})

test('a clock that is an hour behind the last run is told once, and stops nothing', async (t) => {
  const { url: databaseUrl } = await openPostgres(t, { migrate: false })
  const dataDir = lockedDirectory(t)
  const first = await open(t, dataDir, { databaseUrl })
  const now = Date.now()
  first.journal.append(settled({ endedAt: now }))
  await first.close()
  const warnings: object[] = []
  const log = { ...silentLog, warn: (fields: object, message: string) => void warnings.push({ ...fields, message }) }
  const clock = new ManualClock(now - 3_600_000)
  await (await open(t, dataDir, { databaseUrl, log, clock })).close()
  assert.deepEqual(warnings, [
    {
      behindMs: 3_600_000,
      lastRun: new Date(now).toISOString(),
      message:
        'the clock is behind the last fact of the run before: set it right, times in the books would run backwards',
    },
  ])
  await (await open(t, dataDir, { databaseUrl, log })).close()
  assert.equal(warnings.length, 1)
})

test('a second gateway on one database is refused, and the first goes on', async (t) => {
  const { url: databaseUrl } = await openPostgres(t, { migrate: false })
  const first = await open(t, lockedDirectory(t), { databaseUrl })
  await assert.rejects(
    open(t, lockedDirectory(t), { databaseUrl, lockWaitMs: 0 }),
    /another gateway works with this database/,
  )
  first.journal.append(settled())
  await new Promise<void>((done) => first.journal.flushed(done))
  assert.equal((await first.dump.run()).facts, 1)
})
