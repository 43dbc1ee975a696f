/** The reference page: it works without a network, because it refers to nothing outside and may not reach it either. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptiedDatabase, makeAdmin } from '../../helpers/control.ts'

const open = emptiedDatabase()

test('/docs needs no key, refers to no other host, and its policy lets the browser reach none', async (t) => {
  const { app } = await makeAdmin(t, await open(t))
  const page = await app.inject({ url: '/docs/' })
  assert.equal(page.statusCode, 200)
  assert.doesNotMatch(page.payload, /(?:https?:)?\/\/[a-z]/i)
  const policy = String(page.headers['content-security-policy'])
  assert.match(policy, /^default-src 'self';/)
  assert.doesNotMatch(policy, /https?:|\*|connect-src/)

  const sources = [...page.payload.matchAll(/ src="([^"]+)"/g)].map(([, source]) => source ?? '')
  assert.ok(sources.length > 0)
  for (const source of sources) {
    const script = await app.inject({ url: new URL(source, 'http://here/docs/').pathname })
    assert.equal(script.statusCode, 200, source)
    assert.match(String(script.headers['content-type']), /javascript/)
  }
})

test('/docs offers nothing of its maker’s services: no assistant, no hosted client, no telemetry', async (t) => {
  const { app } = await makeAdmin(t, await open(t))
  const { payload } = await app.inject({ url: '/docs/' })
  const configuration = JSON.parse(/createApiReference\('#app', (\{[\s\S]*?\n {6}\})\)/.exec(payload)?.[1] ?? 'null')
  assert.deepEqual(configuration.agent, { disabled: true })
  assert.deepEqual(configuration.mcp, { disabled: true })
  assert.equal(configuration.telemetry, false)
  assert.equal(configuration.withDefaultFonts, false)
  assert.equal(configuration.hideClientButton, true)
  assert.equal(configuration.showDeveloperTools, 'never')
})

test('the description of the API needs no key, and is the same each time', async (t) => {
  const { app } = await makeAdmin(t, await open(t))
  const [one, two] = [await app.inject({ url: '/api/openapi.json' }), await app.inject({ url: '/api/openapi.json' })]
  assert.equal(one.statusCode, 200)
  assert.equal(one.json().openapi, '3.1.0')
  assert.equal(one.payload, two.payload)
})
