import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DecryptionError, openSecrets, Secrets, WrongSecretError } from '../../src/persist/secrets.ts'
import { postgresDatabases } from '../helpers/databases.ts'

const SALT = 'c2FsdCBzYWx0IHNhbHQ='

describe('encryption', () => {
  const secrets = new Secrets('secret', SALT)

  test('any text comes back, from its own place and secret only', () => {
    const other = new Secrets('other', SALT)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string({ minLength: 1 }), (text, place, more) => {
        const sealed = secrets.encrypt(text, place)
        assert.equal(secrets.decrypt(sealed, place), text)
        assert.throws(() => secrets.decrypt(sealed, place + more), DecryptionError)
        assert.throws(() => other.decrypt(sealed, place), DecryptionError)
      }),
      { numRuns: 50 },
    )
  })

  test('the same text is never stored twice alike, and shows nothing of itself', () => {
    const [one, two] = [secrets.encrypt('sk-provider-credential', 'a'), secrets.encrypt('sk-provider-credential', 'a')]
    assert.notEqual(one, two)
    assert.doesNotMatch(Buffer.from(one.slice(3), 'base64').toString('latin1'), /provider/)
  })

  test('a damaged text, in any place, is an error that does not carry it', () => {
    const sealed = secrets.encrypt('sk-provider-credential', 'a')
    for (const damaged of [
      '',
      'v1:',
      'v2:AAAA',
      sealed.slice(0, -6),
      `v1:${'A'.repeat(100)}`,
      sealed.replace('v1', 'v9'),
    ]) {
      assert.throws(
        () => secrets.decrypt(damaged, 'a'),
        (error: unknown) => error instanceof DecryptionError && !error.message.includes(damaged.slice(3, 20) || '?'),
      )
    }
  })
})

const open = postgresDatabases()

test('the first start sets the check value, the same secret passes later, another stops with one line', async (t) => {
  const { db } = await open(t)
  const first = await openSecrets(db, 'the secret')
  const sealed = first.encrypt('credential', 'here')
  assert.equal((await openSecrets(db, 'the secret')).decrypt(sealed, 'here'), 'credential')
  await assert.rejects(openSecrets(db, 'another'), (error: unknown) => {
    assert.ok(error instanceof WrongSecretError)
    assert.match(error.message, /^BURSAR_SECRET is not the secret[^\n]*$/)
    return true
  })
  assert.equal((await db.selectFrom('installation').selectAll().execute()).length, 1)
})
