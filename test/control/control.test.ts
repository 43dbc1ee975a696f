/** Control: all or nothing, in turn, and what still works without a database. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { createCustomer, createTeam, patchTeam } from '../../src/control/customers.ts'
import { disableUserNow, patchVirtualKeyNow } from '../../src/control/disable.ts'
import { ControlError } from '../../src/control/refused.ts'
import { tidyTemporaryUsers } from '../../src/control/temporary-users.ts'
import { createUser, enableUser } from '../../src/control/users.ts'
import { createVirtualKey } from '../../src/control/virtual-keys.ts'
import { findLimit } from '../../src/persist/repositories/limits.ts'
import { findVirtualKey } from '../../src/persist/repositories/virtual-keys.ts'
import type { Tables } from '../../src/persist/tables.ts'
import type { Change } from '../../src/store/entities.ts'
import { ADMIN, emptiedDatabase, makeControl, NOW } from '../helpers/control.ts'
import { forEachDatabase } from '../helpers/databases.ts'
import { aUser, aVirtualKey } from '../helpers/entities.ts'

const open = emptiedDatabase()

/** A database at an address where nobody answers. */
function awayDatabase(): { db: Kysely<Tables> } {
  return {
    db: new Kysely<Tables>({ dialect: new PostgresDialect({ pool: new pg.Pool({ host: '127.0.0.1', port: 1 }) }) }),
  }
}

function codeOf(code: string) {
  return (error: unknown) => error instanceof ControlError && error.refusal.code === code
}

describe('writes', () => {
  test('what fails halfway has changed nothing, in the database, the store or the audit log', async (t) => {
    const { db } = await open(t)
    const { control, store } = makeControl({ db })
    const failing = control.write(ADMIN, async (work) => {
      await createCustomer(work, { name: 'a', limits: [{ metric: 'requests', max: 1, window: '1m' }] })
      await createCustomer(work, { name: 'a' })
    })
    await assert.rejects(failing, codeOf('conflict'))
    assert.equal(store.customers.size + store.limits.size, 0)
    for (const table of ['customers', 'limits', 'audit_log'] as const) {
      assert.deepEqual(await db.selectFrom(table).selectAll().execute(), [], table)
    }
  })

  test('the store hears of changes in the order in which they were committed', async (t) => {
    const { db } = await open(t)
    const { control, store } = makeControl({ db })
    const { id } = await control.write(ADMIN, (work) => createTeam(work, { name: 'team' }))
    const seen: string[] = []
    const apply = store.apply.bind(store)
    t.mock.method(store, 'apply', (changes: readonly Change[], now: number) => {
      for (const change of changes) if (change.op === 'put' && change.kind === 'team') seen.push(change.entity.name)
      apply(changes, now)
    })
    const names = Array.from({ length: 20 }, (_, n) => `name ${n}`)
    await Promise.all(names.map((name) => control.write(ADMIN, (work) => patchTeam(work, id, { name }))))
    assert.deepEqual(seen, names)
    assert.equal(store.teams.get(id)?.name, 'name 19')
  })

  test('an operation that fails does not hold up the next', async (t) => {
    const { control } = makeControl(await open(t))
    const failed = control.write(ADMIN, () => Promise.reject(new RangeError('a bug of ours')))
    const next = control.write(ADMIN, (work) => createTeam(work, { name: 'team' }))
    await assert.rejects(failed, RangeError)
    assert.equal((await next).name, 'team')
  })
})

describe('without a database', () => {
  test('a write and a read are database_unavailable, and nothing has changed', async (t) => {
    const away = awayDatabase()
    t.after(() => away.db.destroy())
    const { control, store } = makeControl(away)
    await assert.rejects(
      control.write(ADMIN, (work) => createTeam(work, { name: 'team' })),
      codeOf('database_unavailable'),
    )
    await assert.rejects(
      control.read((db) => db.selectFrom('teams').selectAll().execute()),
      codeOf('database_unavailable'),
    )
    assert.equal(store.teams.size, 0)
  })

  test('F16 a user and a key can still be disabled: in force at once, and in the journal', async (t) => {
    const away = awayDatabase()
    t.after(() => away.db.destroy())
    const { control, store, facts } = makeControl(away)
    const user = aUser()
    const key = aVirtualKey()
    store.apply(
      [
        { op: 'put', kind: 'user', entity: user },
        { op: 'put', kind: 'virtual_key', entity: key },
      ],
      NOW,
    )
    assert.equal((await disableUserNow(control, ADMIN, user.id, 'Stolen.')).stored, false)
    assert.equal((await patchVirtualKeyNow(control, ADMIN, key.id, { active: false })).stored, false)
    assert.equal(store.users.get(user.id)?.disabledReason, 'Stolen.')
    assert.equal(store.virtualKeys.get(key.id)?.active, false)
    assert.deepEqual(
      facts.of('disable').map(({ kind, id, reason }) => [kind, id, reason]),
      [
        ['user', user.id, 'Stolen.'],
        ['virtual_key', key.id, 'Disabled by an administrator.'],
      ],
    )
    for (const patch of [{ active: true }, { active: false, name: 'x' }]) {
      await assert.rejects(patchVirtualKeyNow(control, ADMIN, key.id, patch), codeOf('database_unavailable'))
    }
    await assert.rejects(disableUserNow(control, ADMIN, key.id), codeOf('database_unavailable'))
  })
})

describe('temporary users', () => {
  test('U13 disabled when their time is over, deleted with keys and limits 72 hours later, and counted', async (t) => {
    const { db } = await open(t)
    const { control, store, clock } = makeControl({ db })
    const limits = [{ metric: 'requests', max: 1, window: '1m' }] as const
    const guest = await control.write(ADMIN, (work) =>
      createUser(work, {
        name: 'guest',
        kind: 'temporary',
        expires_at: '2026-11-21T13:00:00Z',
        limits: [...limits],
        virtual_key: { limits: [...limits] },
      }),
    )
    await control.write(ADMIN, (work) => createUser(work, { name: 'ada', disabled_at: '2026-01-01T00:00:00Z' }))
    assert.deepEqual(await tidyTemporaryUsers(control), { disabled: 0, deleted: 0 })
    clock.advance(3_600_000)
    assert.deepEqual(await tidyTemporaryUsers(control), { disabled: 1, deleted: 0 })
    assert.equal(store.users.get(guest.user.id)?.disabledReason, 'Temporary user expired.')
    await assert.rejects(
      control.write(ADMIN, (work) => enableUser(work, guest.user.id)),
      codeOf('conflict'),
    )
    clock.advance(72 * 3_600_000 - 1)
    assert.deepEqual(await tidyTemporaryUsers(control), { disabled: 0, deleted: 0 })
    clock.advance(1)
    assert.deepEqual(await tidyTemporaryUsers(control), { disabled: 0, deleted: 1 })
    assert.deepEqual([store.users.size, store.virtualKeys.size, store.limits.size], [1, 0, 0])
    assert.deepEqual(await db.selectFrom('limits').selectAll().execute(), [])
    assert.deepEqual(await tidyTemporaryUsers(control), { disabled: 0, deleted: 0 })
  })
})

forEachDatabase((_name, openEach) => {
  test('rows come back as they were written, from either database', async (t) => {
    const { db } = await openEach(t)
    const { control, store } = makeControl({ db })
    const { virtualKey } = await control.write(ADMIN, (work) =>
      createVirtualKey(work, {
        name: 'k',
        access: [],
        allowed_ips: ['10.0.0.0/8', '::1'],
        expires_at: '2027-01-01T00:00:00.123Z',
        metadata: { nested: { list: [1, null, 'ä'] }, empty: '' },
        limits: [
          { metric: 'tokens', max: 9007199254740991, window: '1M', align: 'calendar', timezone: 'Europe/Berlin' },
        ],
      }),
    )
    assert.deepEqual((await findVirtualKey(db, virtualKey.id))?.key, virtualKey)
    const [limit] = store.limits.values()
    assert.ok(limit)
    assert.deepEqual(await findLimit(db, limit.id), limit)
    assert.equal((await sql<{ n: bigint }>`select count(*) as n from audit_log`.execute(db)).rows[0]?.n, 2n)
  })
})
