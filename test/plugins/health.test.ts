import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import Fastify from 'fastify'
import health, { type HealthState } from '../../plugins/health.ts'

describe('health', () => {
  test('the process is up in every phase; it is ready from the end of its start to the beginning of its end', async (t) => {
    const state: { -readonly [K in keyof HealthState]: HealthState[K] } = { phase: 'starting', reasons: [] }
    const app = Fastify()
    t.after(() => app.close())
    await app.register(health, { state })
    const ask = async (url: string) => {
      const response = await app.inject({ url })
      return [response.statusCode, response.json()]
    }
    assert.deepEqual(await ask('/readyz'), [503, { status: 'starting' }])
    assert.deepEqual(await ask('/livez'), [200, { status: 'ok' }])
    state.phase = 'ready'
    assert.deepEqual(await ask('/readyz'), [200, { status: 'ok' }])
    state.reasons = ['the database is away since 12:00']
    assert.deepEqual(await ask('/readyz'), [200, { status: 'degraded', reasons: ['the database is away since 12:00'] }])
    state.phase = 'draining'
    assert.deepEqual(await ask('/readyz'), [503, { status: 'draining' }])
    assert.deepEqual(await ask('/livez'), [200, { status: 'ok' }])
  })
})
