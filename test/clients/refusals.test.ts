/** What each SDK makes of a refusal: its own error class, our details, and a wait that is neither a storm nor a hang. */
import assert from 'node:assert/strict'
import Anthropic from '@anthropic-ai/sdk'
import { ApiError, GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import { createKey, onBothDatabases, startWithSim } from '../helpers/program.ts'

const messages = [{ role: 'user' as const, content: 'Say hello to the accountants.' }]
const CENT = { metric: 'cost', max: '0.01', window: '1d' }
/** More calls than a cent pays for, fewer than would hide a loop without an end. */
const CALLS_MAX = 200

interface Details {
  readonly scope: string
  readonly metric: string
  readonly max: string
  readonly remedy: string
  readonly also_exceeded: readonly unknown[]
}

/** Calls until a call throws, and gives what it threw. */
async function untilRefused(call: () => Promise<unknown>): Promise<unknown> {
  for (let calls = 0; calls < CALLS_MAX; calls++) {
    try {
      await call()
    } catch (error) {
      assert.ok(calls > 0, `the first call passes: ${String(error)}`)
      return error
    }
  }
  return assert.fail('the key was never refused')
}

function assertDetails(details: unknown): void {
  const { scope, metric, max, remedy, also_exceeded } = details as Details
  assert.deepEqual(
    { scope, metric, max, also_exceeded },
    { scope: 'virtual_key', metric: 'cost', max: '0.01', also_exceeded: [] },
  )
  assert.match(remedy, /wait until \d{4}-/)
}

onBothDatabases(
  'a key of one cent makes requests until it is refused with 402, in the error class of each SDK',
  async (t, env) => {
    const program = await startWithSim(t, { env })

    await t.test('openai', async () => {
      const { key } = await createKey(program, [CENT])
      const openai = new OpenAI({ apiKey: key, baseURL: `${program.gatewayUrl}/v1` })
      const create = () => openai.chat.completions.create({ model: 'gpt-4o', messages, max_tokens: 200 })
      const error = await untilRefused(create)
      assert.ok(error instanceof OpenAI.APIError)
      assert.deepEqual([error.status, error.code], [402, 'budget_exceeded'])
      assertDetails((error.error as { details: unknown }).details)
    })

    await t.test('@anthropic-ai/sdk', async () => {
      const { key } = await createKey(program, [CENT])
      const anthropic = new Anthropic({ apiKey: key, baseURL: program.gatewayUrl })
      const error = await untilRefused(() =>
        anthropic.messages.create({ model: 'claude-haiku-4-5', messages, max_tokens: 500 }),
      )
      assert.ok(error instanceof Anthropic.APIError)
      assert.equal(error.status, 402)
      const body = error.error as { error: { code: string; details: unknown } }
      assert.equal(body.error.code, 'budget_exceeded')
      assertDetails(body.error.details)
    })

    await t.test('@google/genai', async () => {
      const { key } = await createKey(program, [CENT])
      const google = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: program.gatewayUrl } })
      const config = { maxOutputTokens: 1_000 }
      const error = await untilRefused(() =>
        google.models.generateContent({ model: 'gemini-2.5-flash', contents: 'Hello', config }),
      )
      assert.ok(error instanceof ApiError)
      assert.equal(error.status, 402)
      const body = JSON.parse(error.message) as { error: { status: string; details: readonly unknown[] } }
      assertDetails(body.error.details[0])
    })
  },
)

onBothDatabases(
  'F14 a key of three requests a minute gets 429 and a retry-after that is exact to the second',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    const { key } = await createKey(program, [{ metric: 'requests', max: 3, window: '1m' }])
    const call = () =>
      fetch(`${program.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'gpt-4o-mini', messages, max_tokens: 10 }),
      })
    for (const remaining of [2, 1, 0]) {
      const response = await call()
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('x-ratelimit-remaining-requests'), String(remaining))
    }
    const refused = await call()
    const at = Date.now()
    assert.equal(refused.status, 429)
    assert.equal(refused.headers.get('x-should-retry'), 'true')
    assert.equal(refused.headers.get('x-bursar-error-source'), 'gateway')
    const { error } = (await refused.json()) as { error: { code: string; details: { resets_at: string } } }
    assert.equal(error.code, 'rate_limited')
    const exact = Math.ceil((Date.parse(error.details.resets_at) - at) / 1_000)
    const told = Number(refused.headers.get('retry-after'))
    assert.ok(Math.abs(told - exact) <= 1 && told > 0 && told <= 60, `told ${told}, exact ${exact}`)
  },
)

onBothDatabases(
  'a refused SDK waits as it is told, is let in by the next window, and asks no more often than its retries allow',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    const { key, id } = await createKey(program, [{ metric: 'requests', max: 3, window: '3s' }])
    const openai = new OpenAI({ apiKey: key, baseURL: `${program.gatewayUrl}/v1` })
    for (let call = 0; call < 4; call++) {
      await openai.chat.completions.create({ model: 'gpt-4o-mini', messages, max_tokens: 10 })
    }
    assert.equal(program.sim.ledger().length, 4, 'all four were served')
    const { data } = await program.admin<{ data: { usage: { lifetime: number } }[] }>('GET', `/limits?scope_id=${id}`)
    assert.equal(data[0]?.usage.lifetime, 4, 'refused tries left no trace')
  },
)
