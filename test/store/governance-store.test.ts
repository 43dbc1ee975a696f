/** The store: who a key belongs to, and how fast a change is felt. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Change, EntityByKind, EntityKind, Limit } from '../../src/store/entities.ts'
import { GovernanceStore, type LimitObserver } from '../../src/store/governance-store.ts'
import { aCustomer, aLimit, aProvider, aTeam, aUser, aVirtualKey } from '../helpers/entities.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const HASH = 'a'.repeat(64)
const OTHER_HASH = 'b'.repeat(64)

const NOBODY: LimitObserver = { track() {}, untrack() {} }

function put<K extends EntityKind>(kind: K, entity: EntityByKind[K]): Change {
  return { op: 'put', kind, entity } as unknown as Change
}

function remove(kind: EntityKind, id: string): Change {
  return { op: 'delete', kind, id }
}

function aStore(...changes: readonly Change[]): GovernanceStore {
  const store = new GovernanceStore(NOBODY)
  store.apply(changes, NOW)
  return store
}

describe('a key', () => {
  const teamsCustomer = aCustomer({ name: 'theirs' })
  const ownCustomer = aCustomer({ name: 'own' })
  const team = aTeam({ customerId: teamsCustomer.id })
  const user = aUser()
  const everybody = [put('customer', teamsCustomer), put('customer', ownCustomer), put('team', team), put('user', user)]

  test('charges its user, its team and its team’s customer', () => {
    const key = aVirtualKey({ hash: HASH, userId: user.id, teamId: team.id })
    const principal = aStore(...everybody, put('virtual_key', key)).principalByHash(HASH, NOW)
    assert.deepEqual(principal?.ids, {
      virtualKeyId: key.id,
      userId: user.id,
      teamId: team.id,
      customerId: teamsCustomer.id,
    })
    assert.deepEqual([principal?.user, principal?.team, principal?.customer], [user, team, teamsCustomer])
  })

  test('B57 with its own customer charges that one instead of its team’s; the team is charged all the same', () => {
    const key = aVirtualKey({ hash: HASH, teamId: team.id, customerId: ownCustomer.id })
    const { ids } = aStore(...everybody, put('virtual_key', key)).principalByHash(HASH, NOW) ?? {}
    assert.deepEqual([ids?.teamId, ids?.customerId], [team.id, ownCustomer.id])
  })

  test('B58 with an unknown team, user or customer charges nothing there, and is no error', () => {
    const unknown = aVirtualKey({ hash: HASH, teamId: 'x', userId: 'y', customerId: 'z' })
    const principal = aStore(put('virtual_key', unknown)).principalByHash(HASH, NOW)
    assert.deepEqual(principal?.ids, { virtualKeyId: unknown.id, userId: null, teamId: null, customerId: null })
  })

  test('is found by id for an admin’s explanation, as by its hash', () => {
    const key = aVirtualKey({ hash: HASH, userId: user.id, teamId: team.id })
    const store = aStore(...everybody, put('virtual_key', key))
    assert.deepEqual(store.principalOfKey(key.id), store.principalByHash(HASH, NOW))
    assert.equal(store.principalOfKey('x'), null)
  })
})

describe('F16 the very next request feels', () => {
  const key = aVirtualKey({ hash: HASH })

  test('that a key was deleted', () => {
    const store = aStore(put('virtual_key', key))
    assert.ok(store.principalByHash(HASH, NOW))
    store.apply([remove('virtual_key', key.id)], NOW)
    assert.equal(store.principalByHash(HASH, NOW), null)
    assert.equal(store.principalOfKey(key.id), null)
  })

  test('that a key was switched off, moved to another team, or its user disabled', () => {
    const [from, to] = [aTeam({ name: 'from' }), aTeam({ name: 'to' })]
    const user = aUser()
    const ours = { ...key, teamId: from.id, userId: user.id }
    const store = aStore(put('team', from), put('team', to), put('user', user), put('virtual_key', ours))
    assert.equal(store.principalByHash(HASH, NOW)?.team?.name, 'from')
    store.apply([put('virtual_key', { ...ours, active: false, teamId: to.id })], NOW)
    assert.equal(store.principalByHash(HASH, NOW)?.key?.active, false)
    assert.equal(store.principalByHash(HASH, NOW)?.team?.name, 'to')
    store.apply([put('user', { ...user, disabledAt: NOW, disabledReason: 'x' })], NOW)
    assert.equal(store.principalByHash(HASH, NOW)?.user?.disabledAt, NOW)
  })

  test('that a team changed its customer, or has gone', () => {
    const [first, second] = [aCustomer({ name: 'first' }), aCustomer({ name: 'second' })]
    const team = aTeam({ customerId: first.id })
    const store = aStore(
      put('customer', first),
      put('customer', second),
      put('team', team),
      put('virtual_key', { ...key, teamId: team.id }),
    )
    assert.equal(store.principalByHash(HASH, NOW)?.customer?.name, 'first')
    store.apply([put('team', { ...team, customerId: second.id })], NOW)
    assert.equal(store.principalByHash(HASH, NOW)?.customer?.name, 'second')
    store.apply([remove('team', team.id)], NOW)
    assert.deepEqual(store.principalByHash(HASH, NOW)?.ids.teamId, null)
    assert.deepEqual(store.principalByHash(HASH, NOW)?.ids.customerId, null)
  })

  test('the version, by which everything derived from the store is known to be out of date', () => {
    const store = aStore()
    const before = store.version
    store.apply([put('virtual_key', key)], NOW)
    assert.ok(store.version > before)
  })
})

describe('B111 a rotated key', () => {
  const until = NOW + 3_600_000
  const rotated = aVirtualKey({ hash: OTHER_HASH, previousHash: HASH, previousUntil: until, rotatedAt: NOW })

  test('is known by its old hash until the grace ends, and by its new one', () => {
    const store = aStore(put('virtual_key', rotated))
    assert.equal(store.principalByHash(HASH, until - 1)?.key?.id, rotated.id)
    assert.equal(store.principalByHash(HASH, until), null)
    assert.equal(store.principalByHash(OTHER_HASH, until)?.key?.id, rotated.id)
  })

  test('without a grace is not known by its old hash at all', () => {
    const store = aStore(put('virtual_key', { ...rotated, previousUntil: null }))
    assert.equal(store.principalByHash(HASH, NOW), null)
  })

  test('rotated again forgets the hash before the last', () => {
    const store = aStore(put('virtual_key', rotated))
    const third = 'c'.repeat(64)
    store.apply([put('virtual_key', { ...rotated, hash: third, previousHash: OTHER_HASH, previousUntil: until })], NOW)
    assert.equal(store.principalByHash(HASH, NOW), null)
    assert.ok(store.principalByHash(OTHER_HASH, NOW))
    assert.ok(store.principalByHash(third, NOW))
  })

  test('never takes the place of the key that has that hash now', () => {
    const owner = aVirtualKey({ hash: HASH, name: 'owner' })
    for (const changes of [
      [put('virtual_key', owner), put('virtual_key', rotated)],
      [put('virtual_key', rotated), put('virtual_key', owner)],
    ]) {
      assert.equal(aStore(...changes).principalByHash(HASH, NOW)?.key?.id, owner.id)
    }
  })

  test('once gone leaves the key that has its old hash alone', () => {
    const owner = aVirtualKey({ hash: HASH, name: 'owner' })
    const store = aStore(put('virtual_key', rotated), put('virtual_key', owner))
    store.apply([remove('virtual_key', rotated.id)], NOW)
    assert.equal(store.principalByHash(HASH, NOW)?.key?.id, owner.id)
  })
})

test('keys that exchange their hashes in one group are both found, and neither takes the other along when it goes', () => {
  const [a, b] = [aVirtualKey({ hash: HASH }), aVirtualKey({ hash: OTHER_HASH })]
  const store = aStore(put('virtual_key', a), put('virtual_key', b))
  store.apply([put('virtual_key', { ...a, hash: OTHER_HASH }), put('virtual_key', { ...b, hash: HASH })], NOW)
  const found = () => [HASH, OTHER_HASH].map((hash) => store.principalByHash(hash, NOW)?.key?.id ?? null)
  assert.deepEqual(found(), [b.id, a.id])
  store.apply([remove('virtual_key', a.id)], NOW)
  assert.deepEqual(found(), [b.id, null])
})

describe('limits', () => {
  const mine = { kind: 'user', id: 'u' } as const
  const theirs = { kind: 'team', id: 'u' } as const

  test('are listed by scope: the kind counts as well as the id', () => {
    const ofUser = aLimit({ metric: 'requests', max: 1n, scope: mine })
    const ofTeam = aLimit({ metric: 'requests', max: 1n, scope: theirs })
    const global = aLimit({ metric: 'requests', max: 1n })
    const store = aStore(put('limit', ofUser), put('limit', ofTeam), put('limit', global))
    assert.deepEqual(store.limitsOfScope(mine), [ofUser])
    assert.deepEqual(store.limitsOfScope(theirs), [ofTeam])
    assert.deepEqual(store.limitsOfScope({ kind: 'global', id: null }), [global])
    assert.deepEqual(store.limitsOfScope({ kind: 'customer', id: 'u' }), [])
  })

  test('that are edited are listed once, those that are deleted no more', () => {
    const limit = aLimit({ metric: 'requests', max: 1n, scope: mine })
    const other = aLimit({ metric: 'cost', max: 1n, scope: mine })
    const store = aStore(put('limit', limit), put('limit', other))
    const edited = { ...limit, max: 2n }
    store.apply([put('limit', edited)], NOW)
    assert.deepEqual(new Set(store.limitsOfScope(mine)), new Set([edited, other]))
    store.apply([remove('limit', limit.id), remove('limit', other.id)], NOW)
    assert.deepEqual(store.limitsOfScope(mine), [])
  })

  test('are reported to the ledger as they come, change and go', () => {
    const told: string[] = []
    const store = new GovernanceStore({
      track: (limit, now) => told.push(`track ${limit.max} ${now}`),
      untrack: (id) => told.push(`untrack ${id}`),
    })
    const limit = aLimit({ metric: 'requests', max: 1n })
    store.apply([put('limit', limit)], 5)
    store.apply([put('limit', { ...limit, max: 2n })], 6)
    store.apply([remove('limit', limit.id)], 7)
    assert.deepEqual(told, ['track 1 5', 'track 2 6', `untrack ${limit.id}`])
  })
})

test('providers are found by name in any case, under their new name only, in the order in which they were made', () => {
  const [first, second] = [aProvider({ name: 'OpenAI' }), aProvider({ name: 'azure' })]
  const store = aStore(put('provider', first), put('provider', second))
  assert.equal(store.providerByName('openai')?.id, first.id)
  store.apply([put('provider', { ...first, name: 'openai-eu' })], NOW)
  assert.equal(store.providerByName('openai'), null)
  assert.equal(store.providerByName('OPENAI-EU')?.id, first.id)
  assert.deepEqual([...store.providers.keys()], [first.id, second.id])
  store.apply([remove('provider', first.id)], NOW)
  assert.equal(store.providerByName('openai-eu'), null)
})

test('providers that exchange their names in one group are both found', () => {
  const [a, b] = [aProvider({ name: 'a' }), aProvider({ name: 'b' })]
  const store = aStore(put('provider', a), put('provider', b))
  store.apply([put('provider', { ...a, name: 'b' }), put('provider', { ...b, name: 'a' })], NOW)
  assert.deepEqual([store.providerByName('a')?.id, store.providerByName('b')?.id], [b.id, a.id])
})

test('U03 what is handed out cannot be changed', () => {
  const user = aUser()
  const store = aStore(put('user', user))
  const handedOut = store.users.get(user.id) as { name: string }
  assert.throws(() => {
    handedOut.name = 'eve'
  }, TypeError)
  assert.equal(store.users.get(user.id)?.name, 'ada')
})

test('a group of changes is felt at once or not at all, and deleting what is not there is nothing', () => {
  const limit: Limit = aLimit({ metric: 'requests', max: 1n, scope: { kind: 'virtual_key', id: 'k' } })
  const key = aVirtualKey({ id: 'k', hash: HASH })
  const store = aStore(put('virtual_key', key), put('limit', limit), remove('limit', 'x'), remove('provider', 'x'))
  assert.ok(store.principalByHash(HASH, NOW))
  assert.equal(store.limitsOfScope({ kind: 'virtual_key', id: 'k' }).length, 1)
  store.apply([remove('virtual_key', 'k'), remove('limit', limit.id)], NOW)
  assert.equal(store.principalByHash(HASH, NOW), null)
  assert.equal(store.limits.size, 0)
})
