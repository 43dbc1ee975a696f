/** Users: what no other file of the suite shows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { amountsOf } from '../../src/ledger/hold.ts'
import type { Database } from '../../src/persist/database.ts'
import { rowOfUser } from '../../src/persist/rows.ts'
import { newId } from '../../src/units/id.ts'
import { Engine } from '../admission/engine.ts'
import { testBooks } from '../helpers/books.ts'
import { emptiedDatabase } from '../helpers/control.ts'
import { aUser } from '../helpers/entities.ts'

const open = emptiedDatabase()

/** A database that refuses so many transactions. */
function failing(database: Database, times: number): Database {
  let left = times
  const db = new Proxy(database.db, {
    get(target, property) {
      if (property === 'transaction' && left > 0) {
        left -= 1
        throw new Error('Connection terminated unexpectedly')
      }
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { ...database, db }
}

test('U15 changes of users are written behind in a group; a failed write is tried again and loses nothing, deletions included', async (t) => {
  const database = await open(t)
  const users = [aUser({ name: 'ada' }), aUser({ name: 'ben' }), aUser({ name: 'cy' })] as const
  await database.db.insertInto('users').values(users.map(rowOfUser)).execute()
  const [ada, ben, cy] = users
  const { write, dump, clock } = testBooks(t, failing(database, 2))
  const at = clock.now()
  const seen = (userId: string, after: number) =>
    ({ t: 'seen', at: at + after, virtualKeyId: newId(), userId, address: '192.0.2.1' }) as const
  await write([
    seen(ada.id, 1),
    seen(ben.id, 2),
    seen(ada.id, 3),
    seen(cy.id, 4),
    { t: 'disable', at: at + 5, kind: 'user', id: ben.id, reason: 'IP address limit exceeded.' },
  ])
  await assert.rejects(dump.run(), /terminated/)
  await assert.rejects(dump.run(), /terminated/)
  const untouched = await database.db.selectFrom('users').select('last_used_at').execute()
  assert.deepEqual(
    untouched.map(({ last_used_at }) => last_used_at),
    [null, null, null],
  )
  // One is deleted while what is known of it still waits.
  await database.db.deleteFrom('users').where('id', '=', cy.id).execute()
  await dump.run()
  const rows = await database.db
    .selectFrom('users')
    .select(['name', 'last_used_at', 'disabled_at', 'disabled_reason'])
    .orderBy('name')
    .execute()
  assert.deepEqual(rows, [
    { name: 'ada', last_used_at: at + 3, disabled_at: null, disabled_reason: null },
    { name: 'ben', last_used_at: at + 2, disabled_at: at + 5, disabled_reason: 'IP address limit exceeded.' },
  ])
  const addresses = await database.db.selectFrom('user_ips').select('user_id').execute()
  assert.deepEqual(addresses.map(({ user_id }) => user_id).sort(), [ada.id, ben.id].sort())
})

test('U09 a quota takes what is used and what is asked, family by family; what has no quota is not limited', () => {
  const families = [
    { name: 'gpt4', patterns: ['gpt-4*'] },
    { name: 'claude', patterns: ['claude-*'] },
  ]
  const engine = new Engine({ families })
  const quota = (family: string, max: bigint) =>
    engine.limit({
      metric: 'tokens',
      max,
      window: 'daily',
      align: null,
      scope: engine.scopes.user,
      model: `family:${family}`,
    })
  const gpt4 = quota('gpt4', 400n)
  const claude = quota('claude', 150n)
  const of = (model: string) => [engine.candidate({ model })] as const
  // Each may use 100 tokens of input and 50 of output.
  const first = engine.admit({}, of('gpt-4o'))
  assert.equal(engine.ledger.settle(first.hold, amountsOf({ tokens: 120n })), 'done')
  engine.admit({}, of('gpt-4.1'))
  const { code, details } = engine.refuse({ outputCeiling: 31 }, of('gpt-4o'))
  assert.equal(code, 'rate_limited')
  assert.deepEqual([details.limit_id, details.posted, details.held, details.requested], [gpt4.id, 120, 150, 131])
  engine.admit({ outputCeiling: 30 }, of('gpt-4o'))
  engine.admit({}, of('claude-sonnet-4-5'))
  assert.equal(engine.refuse({}, of('claude-haiku-4-5')).details.limit_id, claude.id)
  for (const model of ['o1', 'gpt-3.5-turbo']) engine.admit({ outputCeiling: 1_000_000 }, of(model))
})

test('F13 a window that is over is over for the next request, whether or not the worker has come by, and leaves no second count', () => {
  const engine = new Engine()
  const limit = engine.limit({ metric: 'requests', max: 1n, window: '1m' })
  for (let minute = 0; minute < 3; minute += 1) {
    const { hold } = engine.admit()
    engine.ledger.settle(hold, amountsOf({ requests: 1n }))
    engine.clock.advance(59_999)
    assert.equal(engine.refuse().details.limit_id, limit.id)
    engine.clock.advance(1)
    const { posted, held } = engine.read(limit)
    assert.deepEqual([posted, held], [0n, 0n])
  }
  assert.equal(engine.read(limit).lifetime, 3n)
})
