import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { addressKey, type ClientAddress, parseAddress } from '../../src/auth/address.ts'
import { AddressBook, OVER_CAP_REASON } from '../../src/auth/addresses.ts'
import { authenticate } from '../../src/auth/authenticate.ts'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import { generateVirtualKey, hashKey } from '../../src/auth/virtual-key.ts'
import { defaultSettings, type Settings } from '../../src/schemas/settings.ts'
import type { User, VirtualKey } from '../../src/store/entities.ts'
import { GovernanceStore } from '../../src/store/governance-store.ts'
import { silentLog } from '../../src/units/log.ts'
import { aTeam, aUser, aVirtualKey } from '../helpers/entities.ts'
import { RecordedFacts } from '../helpers/recorded-facts.ts'

const NOW = Date.parse('2026-11-20T12:00:00Z')
const MINUTE = 60_000

interface Setup {
  readonly key?: Partial<VirtualKey>
  readonly user?: Partial<User> | null
  readonly requireKey?: boolean
  readonly defaultMaxIps?: number | null
}

/** A store with one key and its user, and a way to ask with that key from an address. */
function setUp({ key: keyFields = {}, user: userFields = {}, requireKey = true, defaultMaxIps = null }: Setup = {}) {
  const value = generateVirtualKey()
  const facts = new RecordedFacts()
  const store = new GovernanceStore({ track: () => {}, untrack: () => {} })
  const user = userFields === null ? null : aUser(userFields)
  const key = aVirtualKey({ hash: hashKey(value), userId: user?.id ?? null, ...keyFields })
  if (user !== null) store.apply([{ op: 'put', kind: 'user', entity: user }], NOW)
  store.apply([{ op: 'put', kind: 'virtual_key', entity: key }], NOW)
  const userDefaults: Settings['userDefaults'] = {
    ...defaultSettings.userDefaults,
    normal: { maxIps: defaultMaxIps, limits: [] },
  }
  const addresses = new AddressBook({ store, facts, log: silentLog, userDefaults })
  const parts = { store, addresses, requireKey }
  const ask = (from: string | null = '203.0.113.7', now = NOW, credential: string | null = value) => {
    const result = authenticate(credential, from === null ? null : client(from), parts, now)
    return result.ok ? 'ok' : result.refusal.code
  }
  const refusal = (from = '203.0.113.7', now = NOW) => {
    const result = authenticate(value, client(from), parts, now)
    assert.ok(!result.ok)
    return result.refusal
  }
  return { value, facts, store, key, user, addresses, parts, ask, refusal }
}

function client(text: string): ClientAddress {
  const address = parseAddress(text)
  assert.ok(address !== null)
  return { address, key: addressKey(address) }
}

describe('credential and key', () => {
  test('B1 a known, active key is its principal, with user and chain', () => {
    const { value, parts, store, key, user } = setUp()
    const team = aTeam()
    store.apply(
      [
        { op: 'put', kind: 'team', entity: team },
        { op: 'put', kind: 'virtual_key', entity: { ...key, teamId: team.id } },
      ],
      NOW,
    )
    const result = authenticate(value, client('203.0.113.7'), parts, NOW)
    assert.ok(result.ok)
    assert.equal(result.value.key?.id, key.id)
    assert.equal(result.value.user?.id, user?.id)
    assert.equal(result.value.team?.id, team.id)
  })

  test('B18 without a credential a request is refused where keys are mandatory', () => {
    assert.equal(setUp().ask('203.0.113.7', NOW, null), 'key_missing')
  })

  test('B17 without a credential a request is anonymous where keys are optional', () => {
    const { parts } = setUp({ requireKey: false })
    assert.deepEqual(authenticate(null, client('203.0.113.7'), parts, NOW), { ok: true, value: ANONYMOUS })
  })

  test('B2 B20 an unknown key is refused, also where keys are optional', () => {
    for (const requireKey of [true, false]) {
      assert.equal(setUp({ requireKey }).ask('203.0.113.7', NOW, generateVirtualKey()), 'key_unknown')
    }
  })

  test('B28 a deleted key is unknown', () => {
    const { store, key, ask } = setUp()
    assert.equal(ask(), 'ok')
    store.apply([{ op: 'delete', kind: 'virtual_key', id: key.id }], NOW)
    assert.equal(ask(), 'key_unknown')
  })

  test('a mistyped key is told so, a revoked one is not; neither is repeated', () => {
    const { value, parts } = setUp()
    const mistyped = `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`
    for (const [credential, said] of [
      [mistyped, true],
      [generateVirtualKey(), false],
      ['imported-key-of-someone', false],
    ] as const) {
      const result = authenticate(credential, null, parts, NOW)
      assert.ok(!result.ok && result.refusal.code === 'key_unknown')
      assert.equal(result.refusal.message.includes('checksum'), said)
      assert.ok(!result.refusal.message.includes(credential))
    }
  })

  test('an imported key that looks like one of ours without its checksum works all the same', () => {
    const imported = 'sk-bursar-imported-from-elsewhere'
    const { ask } = setUp({ key: { hash: hashKey(imported) } })
    assert.equal(ask('203.0.113.7', NOW, imported), 'ok')
  })

  test('B3 an inactive key is refused', () => {
    assert.equal(setUp({ key: { active: false } }).ask(), 'key_disabled')
  })

  test('B5 B6 F16 a key is expired from the very moment of expires_at on', () => {
    const { ask } = setUp({ key: { expiresAt: NOW } })
    assert.equal(ask('203.0.113.7', NOW - 1), 'ok')
    assert.equal(ask('203.0.113.7', NOW), 'key_expired')
    assert.equal(ask('203.0.113.7', NOW + 1), 'key_expired')
  })

  test('B7 B8 disabled wins over expired', () => {
    assert.equal(setUp({ key: { active: false, expiresAt: NOW - 1 } }).ask(), 'key_disabled')
    assert.equal(setUp({ key: { active: false, expiresAt: NOW + MINUTE } }).ask(), 'key_disabled')
  })

  test('an expired key is refused as such even when its user is disabled: the key is checked first', () => {
    assert.equal(setUp({ key: { expiresAt: NOW }, user: { disabledAt: NOW - 1 } }).ask(), 'key_expired')
  })
})

describe('user', () => {
  test('U08 a disabled user’s keys are refused with the stored reason; enabling restores them', () => {
    const { store, user, ask, refusal } = setUp({ user: { disabledAt: NOW - 1, disabledReason: 'Left the company.' } })
    assert.equal(refusal().code, 'key_disabled')
    assert.match(refusal().message, /Left the company\./)
    assert.ok(user !== null)
    const enabled = { ...user, disabledAt: null, disabledReason: null }
    store.apply([{ op: 'put', kind: 'user', entity: enabled }], NOW)
    assert.equal(ask(), 'ok')
  })

  test('U13 a temporary user is refused from expires_at on, before anything has disabled it', () => {
    const { ask, refusal } = setUp({ user: { kind: 'temporary', expiresAt: NOW } })
    assert.equal(ask('203.0.113.7', NOW - 1), 'ok')
    assert.equal(refusal().code, 'key_disabled')
    assert.match(refusal().message, /Temporary user expired\./)
  })
})

describe('address list of a key', () => {
  test('an address outside the list is refused, by family and as the peer was written', () => {
    const { ask } = setUp({ key: { allowedIps: ['203.0.113.0/24', '2001:db8::/32'] } })
    assert.equal(ask('203.0.113.7'), 'ok')
    assert.equal(ask('::ffff:203.0.113.7'), 'ok')
    assert.equal(ask('2001:db8::1'), 'ok')
    assert.equal(ask('203.0.114.7'), 'ip_not_allowed')
    assert.equal(ask('::1'), 'ip_not_allowed')
  })

  test('an empty list allows nothing, and an address that cannot be told is on no list', () => {
    assert.equal(setUp({ key: { allowedIps: [] } }).ask(), 'ip_not_allowed')
    assert.equal(setUp({ key: { allowedIps: ['0.0.0.0/0', '::/0'] } }).ask(null), 'ip_not_allowed')
    assert.equal(setUp({ key: { allowedIps: null } }).ask(null), 'ok')
  })

  test('the user is checked before the address', () => {
    const { ask } = setUp({ key: { allowedIps: [] }, user: { disabledAt: NOW } })
    assert.equal(ask(), 'key_disabled')
  })
})

describe('address cap', () => {
  const from = (index: number) => `198.51.100.${index}`

  test('U07 the request that takes the user over the cap is ip_not_allowed and disables it; later ones carry the reason', () => {
    const { ask, refusal, facts, store, user } = setUp({ user: { maxIps: 2 } })
    assert.equal(ask(from(1)), 'ok')
    assert.equal(ask(from(2)), 'ok')
    assert.equal(ask(from(1)), 'ok')
    assert.equal(ask(from(3)), 'ip_not_allowed')
    assert.equal(refusal(from(1)).code, 'key_disabled')
    assert.match(refusal(from(1)).message, /IP address limit exceeded\./)
    assert.ok(user !== null)
    assert.deepEqual(facts.of('disable'), [
      { t: 'disable', at: NOW, kind: 'user', id: user.id, reason: OVER_CAP_REASON },
    ])
    assert.deepEqual(store.users.get(user.id), { ...user, disabledAt: NOW, disabledReason: OVER_CAP_REASON })
  })

  test('U07 the address that was refused is not counted: enabled again, the user works from its old addresses', () => {
    const { ask, store, user, addresses } = setUp({ user: { maxIps: 1 } })
    assert.ok(user !== null)
    assert.equal(ask(from(1)), 'ok')
    assert.equal(ask(from(2)), 'ip_not_allowed')
    store.apply([{ op: 'put', kind: 'user', entity: user }], NOW)
    assert.equal(ask(from(1)), 'ok')
    assert.deepEqual(
      addresses.addressesOf(user.id).map(({ address }) => address),
      [from(1)],
    )
  })

  test('U07 the cap is the user’s own, else its kind’s; special users have none', () => {
    const { ask } = setUp({ defaultMaxIps: 1 })
    assert.equal(ask(from(1)), 'ok')
    assert.equal(ask(from(2)), 'ip_not_allowed')
    const own = setUp({ defaultMaxIps: 1, user: { maxIps: 2 } })
    assert.equal(own.ask(from(1)), 'ok')
    assert.equal(own.ask(from(2)), 'ok')
    const special = setUp({ defaultMaxIps: 1, user: { kind: 'special', maxIps: 1 } })
    for (let index = 1; index < 20; index += 1) assert.equal(special.ask(from(index)), 'ok')
  })

  test('U07 one IPv6 network of 64 bits is one address', () => {
    const { ask } = setUp({ user: { maxIps: 1 } })
    assert.equal(ask('2001:db8:0:1::1'), 'ok')
    assert.equal(ask('2001:db8:0:1:ffff::9'), 'ok')
    assert.equal(ask('2001:db8:0:2::1'), 'ip_not_allowed')
  })

  test('U07 a user with more addresses than a lowered cap is disabled by its next request', () => {
    const { ask, store, user } = setUp({ user: { maxIps: 3 } })
    assert.ok(user !== null)
    for (const index of [1, 2, 3]) assert.equal(ask(from(index)), 'ok')
    store.apply([{ op: 'put', kind: 'user', entity: { ...user, maxIps: 2 } }], NOW)
    assert.equal(ask(from(1)), 'ip_not_allowed')
  })

  test('U07 addresses loaded at start count', () => {
    const { ask, addresses, user } = setUp({ user: { maxIps: 1 } })
    assert.ok(user !== null)
    addresses.load([{ userId: user.id, address: from(1), firstSeenAt: NOW - 9, lastSeenAt: NOW - 8 }])
    assert.equal(ask(from(1)), 'ok')
    assert.equal(ask(from(2)), 'ip_not_allowed')
  })

  test('a user over the cap is disabled even when the journal takes nothing', () => {
    const { ask, facts } = setUp({ user: { maxIps: 1 } })
    assert.equal(ask(from(1)), 'ok')
    facts.accepting = false
    assert.equal(ask(from(2)), 'ip_not_allowed')
    assert.equal(ask(from(1)), 'key_disabled')
  })
})

describe('what authentication records', () => {
  test('U06 first and last sight of each address, and last use, in memory at once and in the books once a minute', () => {
    const { ask, facts, addresses, key, user } = setUp()
    assert.ok(user !== null)
    assert.equal(ask('203.0.113.7', NOW), 'ok')
    assert.equal(ask('203.0.113.7', NOW + 1_000), 'ok')
    assert.equal(ask('2001:db8::1', NOW + 2_000), 'ok')
    assert.equal(ask('203.0.113.7', NOW + MINUTE), 'ok')
    assert.deepEqual(addresses.addressesOf(user.id), [
      { address: '203.0.113.7', firstSeenAt: NOW, lastSeenAt: NOW + MINUTE },
      { address: '2001:db8::/64', firstSeenAt: NOW + 2_000, lastSeenAt: NOW + 2_000 },
    ])
    const seen = { t: 'seen', virtualKeyId: key.id, userId: user.id }
    assert.deepEqual(facts.of('seen'), [
      { ...seen, at: NOW, address: '203.0.113.7' },
      { ...seen, at: NOW + 2_000, address: '2001:db8::/64' },
      { ...seen, at: NOW + MINUTE, address: '203.0.113.7' },
    ])
  })

  test('U06 a key without a user records its last use and no address', () => {
    const { ask, facts, key } = setUp({ user: null })
    assert.equal(ask(), 'ok')
    assert.equal(ask('198.51.100.9'), 'ok')
    assert.deepEqual(facts.of('seen'), [{ t: 'seen', at: NOW, virtualKeyId: key.id, userId: null, address: null }])
  })

  test('refused requests record nothing', () => {
    for (const setup of [
      { key: { active: false } },
      { key: { expiresAt: NOW } },
      { key: { allowedIps: ['10.0.0.0/8'] } },
      { user: { disabledAt: NOW } },
    ] satisfies Setup[]) {
      const { ask, facts, addresses, user } = setUp(setup)
      assert.notEqual(ask(), 'ok')
      assert.deepEqual(facts.facts, [])
      assert.deepEqual(addresses.addressesOf(user?.id ?? ''), [])
    }
  })

  test('F17 with the journal away a known key is let in, and its use is told once the journal is back', () => {
    const { ask, facts } = setUp()
    facts.accepting = false
    assert.equal(ask(), 'ok')
    facts.accepting = true
    assert.equal(ask('203.0.113.7', NOW + 1), 'ok')
    assert.equal(facts.of('seen').length, 1)
  })

  test('F25 a user without a cap that comes from ever new addresses does not grow without bound', () => {
    const { addresses, user, parts, value } = setUp()
    assert.ok(user !== null)
    for (let index = 0; index < 3_000; index += 1) {
      const text = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      assert.ok(authenticate(value, client(text), parts, NOW).ok)
    }
    assert.equal(addresses.addressesOf(user.id).length, 1_000)
  })

  test('U03 what is handed out is a copy, and a deleted user is forgotten', () => {
    const { ask, addresses, user } = setUp()
    assert.ok(user !== null)
    assert.equal(ask(), 'ok')
    addresses.addressesOf(user.id).pop()
    assert.equal(addresses.addressesOf(user.id).length, 1)
    addresses.forget(user.id)
    assert.deepEqual(addresses.addressesOf(user.id), [])
  })
})
