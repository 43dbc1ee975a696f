/** Models that a provider calls as tools of the one that is asked: allowed, held and charged like models that are asked themselves. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startGateway } from '../helpers/gateway.ts'
import { json, type Received, startUpstream } from '../helpers/upstream.ts'

const IMAGE = { type: 'image_generation_call', id: 'ig_1', result: 'iVBO' }
const ASKED = {
  model: 'gpt-4.1',
  input: 'A cat.',
  max_output_tokens: 50,
  tools: [{ type: 'image_generation', model: 'gpt-image-2' }],
}
const USED = { input_tokens: 100, output_tokens: 10, total_tokens: 110 }
const DRAWN = { image_gen: { input_tokens: 50, output_tokens: 1_600, total_tokens: 1_650 } }
/** gpt-4.1: 100 × 2,000 + 10 × 8,000; gpt-image-2: 50 × 5,000 + 1,600 × 30,000. Nano-dollars. */
const [OWN, IMAGES] = [280_000n, 48_250_000n]

async function start(t: TestContext, answer: (received: Received) => void, models: readonly string[] | null) {
  const upstream = await startUpstream(t, answer)
  const gateway = await startGateway(t)
  gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
  const access = [{ provider: 'openai', models, blockedModels: [], keyIds: null, weight: 1 }]
  gateway.key({ access })
  return { upstream, gateway }
}

test('T03 a response with an image costs what both models do, and was held before it was asked for', async (t) => {
  let held = 0n
  const { gateway } = await start(
    t,
    (received) => {
      held = gateway.meter('cost').held
      json(200, { output: [IMAGE], tool_usage: DRAWN, usage: USED })(received)
    },
    null,
  )
  const response = await gateway.post('/v1/responses', ASKED)
  assert.equal(response.status, 200)
  await response.text()
  await gateway.settled()
  assert.equal(gateway.events().at(-1)?.costNanoUsd, String(OWN + IMAGES))
  assert.equal(gateway.meter('cost').posted, OWN + IMAGES)
  assert.ok(held > OWN + IMAGES, `${held} was held`)
})

test('F07 whoever leaves with the image and before its bill is charged all that was held for it', async (t) => {
  const events = ['response.created', 'response.output_item.done'].map(
    (type) => `data: ${JSON.stringify({ type, item: IMAGE })}\n\n`,
  )
  const { gateway } = await start(
    t,
    ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(events.join(''))
    },
    null,
  )
  const leaving = new AbortController()
  const response = await gateway.post('/v1/responses', { ...ASKED, stream: true }, {}, leaving.signal)
  await response.body?.getReader().read()
  leaving.abort()
  await gateway.settled()
  // 7,100 tokens, as nothing says that it is of a lower quality.
  assert.ok(BigInt(gateway.events().at(-1)?.costNanoUsd ?? 0) > 7_100n * 30_000n)
})

test('F20 a key that may not use the model of a tool is refused before anything is sent', async (t) => {
  const { gateway, upstream } = await start(t, json(200, { output: [], usage: USED }), ['gpt-4.1'])
  const response = await gateway.post('/v1/responses', ASKED)
  const { error } = (await response.json()) as { error: { code: string; param: string } }
  assert.deepEqual([response.status, error.code, error.param], [403, 'model_not_allowed', 'tools'])
  assert.equal(upstream.received.length, 0)
})

test('F06 under a cost limit a tool whose model has no price is refused, and named', async (t) => {
  const { gateway, upstream } = await start(t, json(200, { output: [], usage: USED }), null)
  const tools = [{ type: 'image_generation', model: 'gpt-image-of-nobody' }]
  const response = await gateway.post('/v1/responses', { ...ASKED, tools })
  const { error } = (await response.json()) as { error: { code: string; message: string } }
  assert.equal(error.code, 'model_price_unknown')
  assert.match(error.message, /openai\/gpt-image-of-nobody/)
  assert.equal(upstream.received.length, 0)
})
