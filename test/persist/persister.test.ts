import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Persister, type PersisterOptions } from '../../src/persist/persister.ts'
import { newId } from '../../src/units/id.ts'
import { type TestBooks, testBooks } from '../helpers/books.ts'
import { postgresDatabases } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { settled } from '../helpers/facts.ts'

interface Line {
  readonly level: string
  readonly fields: object
  readonly message: string
}

function recordingLog() {
  const lines: Line[] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

const open = postgresDatabases()

/** A persister that never runs by itself, unless the test says when. */
function persisterOf(t: TestContext, books: TestBooks, options: Partial<PersisterOptions> = {}) {
  const recorded = recordingLog()
  const schedule = '0 0 1 1 *'
  const persister = new Persister({ ...books, ...recorded, schedule, ...options })
  t.after(() => persister.close())
  return { persister, ...recorded }
}

test('T13 a pass takes the steps in their order and then dumps; a failing step is logged by name and the rest still runs', async (t) => {
  const books = testBooks(t, await open(t))
  const order: string[] = []
  const dump = {
    get applied() {
      return books.dump.applied
    },
    run: async () => {
      order.push('dump')
      return await books.dump.run()
    },
  }
  const { persister, lines } = persisterOf(t, books, {
    dump,
    steps: [
      { name: 'roll rate limits', run: (now) => void order.push(`rates ${now === books.clock.now()}`) },
      {
        name: 'roll budgets',
        run: async () => {
          order.push('budgets')
          throw new Error('broken')
        },
      },
      { name: 'purge users', run: () => void order.push('users') },
    ],
  })
  await books.write([settled()])
  await persister.run()
  assert.deepEqual(order, ['rates true', 'budgets', 'users', 'dump'])
  assert.deepEqual(
    lines.map(({ level, fields, message }) => [level, 'step' in fields && fields.step, message]),
    [['error', 'roll budgets', 'a step of the worker failed']],
  )
  assert.equal(persister.state.journalLagBytes, 0)
  assert.equal(persister.state.lastDumpAt, books.clock.now())
})

test('T13 the schedule starts passes by itself, every ten seconds unless told otherwise', async (t) => {
  const books = testBooks(t, await open(t))
  const { persister } = persisterOf(t, books, { schedule: '* * * * * *' })
  persister.start()
  persister.start()
  await books.write([settled()])
  assert.ok(persister.state.journalLagBytes > 0)
  await eventually(() => assert.equal(persister.state.journalLagBytes, 0))
  const { DEFAULT_SCHEDULE } = await import('../../src/persist/persister.ts')
  assert.equal(DEFAULT_SCHEDULE, '*/10 * * * * *')
})

test('T14 a pass never overlaps another: the schedule reports it and skips; a slow pass is reported', async (t) => {
  const books = testBooks(t, await open(t))
  let [running, most, passes] = [0, 0, 0]
  let goOn = (): void => {}
  const busy = {
    name: 'busy',
    run: async () => {
      passes += 1
      running += 1
      most = Math.max(most, running)
      if (passes === 1) await new Promise<void>((resolve) => (goOn = resolve))
      running -= 1
    },
  }
  const { persister, lines } = persisterOf(t, books, { schedule: '* * * * * *', steps: [busy], slowMs: 1 })
  persister.start()
  await eventually(() => assert.ok(lines.some(({ message }) => message.startsWith('worker is still busy'))))
  void persister.run()
  assert.equal(passes, 1)
  books.clock.advance(2)
  goOn()
  await eventually(() => assert.ok(passes > 1))
  assert.equal(most, 1)
  assert.ok(lines.some(({ message, fields }) => message === 'worker took long' && 'tookMs' in fields))
})

test('a pass begins at once when many facts wait, and when somebody was shut out', async (t) => {
  const books = testBooks(t, await open(t))
  const { persister } = persisterOf(t, books, { factsMax: 10 })
  persister.start()
  await books.write(Array.from({ length: 9 }, () => settled()))
  assert.equal(persister.state.factsWaiting, 9)
  assert.equal(persister.state.lastDumpAt, null)
  await books.write([settled()])
  await eventually(() => assert.equal(persister.state.factsWaiting, 0))
  await books.write([{ t: 'disable', at: 1, kind: 'user', id: newId(), reason: 'x' }])
  await eventually(() => assert.equal(persister.state.journalLagBytes, 0))
})

test('F17 a database that is away is told once, waited for, and the dump goes on when it is back', async (t) => {
  const database = await open(t)
  const away = { is: true }
  const gate = async () => {
    if (away.is) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    await database.ping()
  }
  const books = testBooks(t, database)
  const { persister, lines } = persisterOf(t, books, { database: { ...database, ping: gate } })
  await books.write([settled()])
  for (let tries = 0; tries < 3; tries++) {
    await persister.run()
    books.clock.advance(60_000)
  }
  const { databaseAway, lastError, journalLagBytes, journalAccepting } = persister.state
  assert.deepEqual([databaseAway, lastError, journalAccepting], [true, 'connect ECONNREFUSED', true])
  assert.ok(journalLagBytes > 0)
  assert.deepEqual([persister.state.lastDumpAt, persister.state.dumpLagMs], [null, 180_000], 'since the start')
  away.is = false
  await persister.run()
  books.clock.advance(1_000)
  assert.equal(persister.state.dumpLagMs, 1_000)
  assert.deepEqual(
    [persister.state.databaseAway, persister.state.lastError, persister.state.journalLagBytes],
    [false, null, 0],
  )
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'dump failed, trying again'],
      ['info', 'dump works again'],
    ],
  )
})

test('while it backs off nothing is asked of the database', async (t) => {
  const database = await open(t)
  let asked = 0
  const ping = async () => {
    asked += 1
    throw new Error('away')
  }
  const books = testBooks(t, database)
  const { persister } = persisterOf(t, books, { database: { ...database, ping } })
  const waits: number[] = []
  for (let failures = 1; failures <= 8; failures++) {
    for (let waited = 0; asked < failures; waited += 1_000) {
      await persister.run()
      if (asked === failures) waits.push(waited)
      books.clock.advance(1_000)
    }
  }
  assert.deepEqual(waits, [0, 0, 1_000, 3_000, 7_000, 15_000, 31_000, 59_000])
})

test('a database that has gone silent has its connections cut, so that the pass ends', async (t) => {
  const database = await open(t)
  const books = testBooks(t, database)
  let cut = (): void => {}
  const silent = {
    ping: () => new Promise<void>((_, reject) => (cut = () => reject(new Error('cut')))),
    breakConnections: () => cut(),
  }
  const { persister } = persisterOf(t, books, { database: silent, silentMs: 5 })
  await persister.run()
  assert.equal(persister.state.lastError, 'cut')
  silent.ping = async () => {}
})

test('T19 close ends the schedule, waits for the pass that runs, dumps what is left; twice is harmless', async (t) => {
  const books = testBooks(t, await open(t))
  const { persister } = persisterOf(t, books)
  persister.start()
  const running = persister.run()
  books.journal.append(settled())
  const closing = persister.close()
  assert.equal(persister.close(), closing)
  await Promise.all([closing, running])
  assert.equal(persister.state.journalLagBytes, 0)
  assert.equal((await books.database.db.selectFrom('usage_events').selectAll().execute()).length, 1)
  await persister.close()
})

test('T19 close with the database away ends all the same and says that something is left', async (t) => {
  const books = testBooks(t, await open(t))
  const ping = async () => {
    throw new Error('away')
  }
  const { persister, lines } = persisterOf(t, books, { database: { ping, breakConnections: () => {} } })
  books.journal.append(settled())
  await persister.close()
  assert.ok(
    lines.some(({ message, fields }) => message.startsWith('not everything could be dumped') && 'lagBytes' in fields),
  )
})
