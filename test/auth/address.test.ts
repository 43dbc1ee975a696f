import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { AddressReader, addressKey, compileCidrs, parseAddress, parseCidr } from '../../src/auth/address.ts'

function keyOf(text: string): string | null {
  const address = parseAddress(text)
  return address === null ? null : addressKey(address)
}

function contains(list: readonly string[], text: string): boolean {
  const address = parseAddress(text)
  assert.ok(address !== null)
  return compileCidrs(list).contains(address)
}

describe('address', () => {
  test('IPv4 counts by address, IPv6 by /64, IPv4 inside IPv6 as IPv4', () => {
    assert.equal(keyOf('203.0.113.7'), '203.0.113.7')
    assert.equal(keyOf('::ffff:203.0.113.7'), '203.0.113.7')
    assert.equal(keyOf('::ffff:cb00:7107'), '203.0.113.7')
    assert.equal(keyOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(keyOf('2001:0DB8:0001:0002::'), '2001:db8:1:2::/64')
    assert.equal(keyOf('fe80::1%eth0'), 'fe80::/64')
  })

  test('what is no full address is none', () => {
    for (const text of [
      '',
      'localhost',
      '127.1',
      '0x7f.0.0.1',
      '017700000001',
      '1.2.3.256',
      '1.2.3.4:80',
      ':::',
      'unknown',
    ]) {
      assert.equal(parseAddress(text), null, text)
    }
  })

  test('all addresses of one /64 count as one, those of another do not', () => {
    const half = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })
    const textOf = (network: bigint, host: bigint) =>
      ((network << 64n) | host)
        .toString(16)
        .padStart(32, '0')
        .replaceAll(/(.{4})(?=.)/g, '$1:')
    fc.assert(
      fc.property(half, half, half, half, (network, other, a, b) => {
        // The networks of mapped IPv4 addresses are not IPv6 networks.
        fc.pre(network !== 0n && other !== 0n && network !== other)
        assert.equal(keyOf(textOf(network, a)), keyOf(textOf(network, b)))
        assert.notEqual(keyOf(textOf(network, a)), keyOf(textOf(other, a)))
      }),
    )
  })

  test('a list takes ranges and single addresses of both families', () => {
    const list = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1']
    for (const inside of ['10.255.0.1', '192.0.2.7', '::ffff:10.0.0.1', '2001:db8:ffff::1', '::1']) {
      assert.equal(contains(list, inside), true, inside)
    }
    for (const outside of ['11.0.0.1', '192.0.2.8', '2001:db9::1', '::2']) {
      assert.equal(contains(list, outside), false, outside)
    }
    assert.equal(contains(['::ffff:10.0.0.0/104'], '10.1.2.3'), true)
    assert.equal(contains(['0.0.0.0/0'], '8.8.8.8'), true)
    assert.equal(contains(['0.0.0.0/0'], '2001:db8::1'), false)
  })

  test('an entry that cannot be read is reported and matches nothing', () => {
    const bad = [
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/8x',
      'office',
      '2001:db8::/129',
      '',
      '10.0.0/8',
      '::ffff:10.0.0.0/90',
    ]
    const reported: string[] = []
    const list = compileCidrs(bad, (entry) => reported.push(entry))
    assert.deepEqual(reported, bad)
    for (const text of ['10.0.0.1', '2001:db8::1', '0.0.0.0']) {
      const address = parseAddress(text)
      assert.ok(address !== null)
      assert.equal(list.contains(address), false)
    }
    assert.equal(parseCidr('10.0.0.0/33'), null)
  })
})

describe('address behind proxies', () => {
  const reader = new AddressReader(compileCidrs(['10.0.0.0/8', '::1']))
  const read = (peer: string | undefined, forwardedFor?: string) => reader.read(peer, forwardedFor)?.key ?? null

  test('F24 without a trusted proxy X-Forwarded-For says nothing', () => {
    assert.equal(new AddressReader(null).read('203.0.113.7', '198.51.100.1')?.key, '203.0.113.7')
    assert.equal(read('203.0.113.7', '198.51.100.1'), '203.0.113.7')
  })

  test('behind trusted proxies the first address from the right that is not theirs is the client', () => {
    assert.equal(read('10.0.0.1', '198.51.100.1'), '198.51.100.1')
    assert.equal(read('::ffff:10.0.0.1', '198.51.100.1, 10.0.0.2'), '198.51.100.1')
    assert.equal(read('10.0.0.1', '10.0.0.9'), '10.0.0.9')
    assert.equal(read('10.0.0.1', undefined), '10.0.0.1')
  })

  test('F24 what a client wrote itself, further left, is never believed', () => {
    assert.equal(read('10.0.0.1', '192.0.2.99, 198.51.100.1'), '198.51.100.1')
    assert.equal(read('10.0.0.1', '10.0.0.5, 198.51.100.1, 10.0.0.2'), '198.51.100.1')
  })

  test('ports and brackets around an address are taken off', () => {
    assert.equal(read('10.0.0.1', '198.51.100.1:4711'), '198.51.100.1')
    assert.equal(read('10.0.0.1', '[2001:db8::5]:4711'), '2001:db8::/64')
    assert.equal(read('::1', '2001:db8::5'), '2001:db8::/64')
  })

  test('something that is no address ends the walk at the nearest known hop', () => {
    assert.equal(read('10.0.0.1', '198.51.100.1, unknown'), '10.0.0.1')
    assert.equal(read('10.0.0.1', ''), '10.0.0.1')
    assert.equal(read('10.0.0.1', '198.51.100.1, unknown, 10.0.0.3'), '10.0.0.3')
  })

  test('a peer without an address has none', () => {
    assert.equal(read(undefined, '198.51.100.1'), null)
    assert.equal(read(''), null)
  })
})
