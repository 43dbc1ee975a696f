import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import database from '../../plugins/database.ts'
import persister from '../../plugins/persister.ts'
import { Persister } from '../../src/persist/persister.ts'
import { silentLog } from '../../src/units/log.ts'
import { testBooks } from '../helpers/books.ts'
import { postgresDatabases } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { settled } from '../helpers/facts.ts'

const open = postgresDatabases()
const governance = fp(async () => {}, { name: 'governance' })

test('T19 the worker starts when the server is ready and has dumped before the database is closed', async (t) => {
  const opened = await open(t)
  const books = testBooks(t, opened)
  const worker = new Persister({
    ...books,
    schedule: '* * * * * *',
    log: silentLog,
  })
  const app = Fastify()
  let eventsAtClose = -1
  app.register(database, {
    database: opened,
    onClose: async () => {
      eventsAtClose = (await opened.db.selectFrom('usage_events').selectAll().execute()).length
      await opened.close()
    },
  })
  app.register(governance)
  app.register(persister, { persister: worker })
  await books.write([settled()])
  assert.equal(worker.state.lastDumpAt, null)
  await app.ready()
  assert.equal(app.database, opened)
  await eventually(() => assert.equal(app.persister.state.journalLagBytes, 0))
  books.journal.append(settled())
  await app.close()
  assert.equal(eventsAtClose, 2)
})

test('without the database before it, the server does not start', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.register(governance)
  app.register(persister, { persister: new Persister({ ...testBooks(t, await open(t)), log: silentLog }) })
  await assert.rejects(async () => await app.ready(), /dependency 'database' of plugin 'persister' is not registered/)
})
