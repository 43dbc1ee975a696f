import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CREDENTIAL_HEADERS, hasKeyInQuery, readCredential } from '../../src/auth/credential.ts'

describe('credential', () => {
  test('B26 each header wins over those below it in the contract’s order', () => {
    const all = Object.fromEntries(
      CREDENTIAL_HEADERS.map((name) => [name, name === 'authorization' ? `Bearer ${name}` : name]),
    )
    for (const name of CREDENTIAL_HEADERS) {
      assert.equal(readCredential(all), name)
      delete all[name]
    }
    assert.equal(readCredential(all), null)
  })

  test('B27 a key needs no prefix', () => {
    assert.equal(readCredential({ authorization: 'Bearer anything at all' }), 'anything at all')
    assert.equal(readCredential({ 'x-api-key': 'imported' }), 'imported')
  })

  test('the scheme of Authorization is read in any case, and only Bearer carries a key', () => {
    assert.equal(readCredential({ authorization: 'bearer k' }), 'k')
    assert.equal(readCredential({ authorization: 'BEARER   k ' }), 'k')
    assert.equal(readCredential({ authorization: 'Basic dXNlcjpwYXNz' }), null)
    assert.equal(readCredential({ authorization: 'Bearerk' }), null)
  })

  test('an empty header counts as absent, so the next one is read', () => {
    assert.equal(readCredential({ authorization: 'Bearer ', 'x-api-key': 'k' }), 'k')
    assert.equal(readCredential({ 'x-bursar-key': ' ' }), null)
  })

  test('a key in the query string is found however its name is written', () => {
    for (const query of [
      'key=k',
      'api_key=k',
      'apikey=k',
      'access_token=k',
      'a=b&key=k',
      'key',
      'KEY=k',
      '%6bey=k',
      '%6B%65%79=k',
      'api%5fkey=k',
      'alt=sse&access%5Ftoken=k',
    ]) {
      assert.equal(hasKeyInQuery(query), true, query)
    }
  })

  test('other parameters are left alone, also when their names cannot be decoded', () => {
    for (const query of [
      '',
      'alt=sse',
      'keys=1',
      'monkey=1',
      'q=key',
      'q=a%3Dkey',
      '%zz=1',
      'api-version=2024-10-21',
    ]) {
      assert.equal(hasKeyInQuery(query), false, query)
    }
  })
})
