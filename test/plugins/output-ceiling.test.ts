/** `output_ceiling: { mode: insert }`: what is held is what the provider is told, so that a cap is one without the client's help. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../helpers/gateway.ts'
import { json, startUpstream } from '../helpers/upstream.ts'

const outputCeiling = { assumedTokens: 50, mode: 'insert' } as const

test('F01 the ceiling that is held is written into the request, in the place of an explicit null', async (t) => {
  const upstream = await startUpstream(t, json(200, { usage: { prompt_tokens: 1, completion_tokens: 1 } }))
  const gateway = await startGateway(t, { settings: { outputCeiling } })
  gateway.provider({ name: 'openai', baseUrl: `${upstream.url}/v1` })
  gateway.key()
  const rest = '"model":"gpt-4o","n":2,"messages":[]'
  for (const asked of [`{${rest}}`, `{"max_completion_tokens":null,${rest}}`, `{"max_tokens":null,${rest}}`]) {
    await (await gateway.post('/v1/chat/completions', asked)).text()
    const sent = upstream.received.at(-1)?.body.toString() ?? ''
    assert.equal((JSON.parse(sent) as Record<string, unknown>).max_completion_tokens, 50, sent)
    assert.equal(sent.split('"max_completion_tokens"').length, 2, `once: ${sent}`)
    assert.equal(gateway.facts.of('hold').at(-1)?.outputTokens, 2 * 50)
  }
  await gateway.settled()
})

test('F01 the same where Gemini has it, in its generation config', async (t) => {
  const upstream = await startUpstream(
    t,
    json(200, { usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 } }),
  )
  const gateway = await startGateway(t, { settings: { outputCeiling } })
  gateway.provider({ name: 'google', kind: 'google', baseUrl: upstream.url })
  gateway.key()
  const configs = ['', '"generationConfig":null,', '"generationConfig":{"maxOutputTokens":null,"topK":3},']
  for (const config of configs) {
    await (await gateway.post('/v1beta/models/gemini-2.5-flash:generateContent', `{${config}"contents":[]}`)).text()
    const sent = upstream.received.at(-1)?.body.toString() ?? ''
    const { generationConfig } = JSON.parse(sent) as { generationConfig?: { maxOutputTokens?: number } }
    assert.equal(generationConfig?.maxOutputTokens, 50, sent)
    assert.equal(gateway.facts.of('hold').at(-1)?.outputTokens, 50)
  }
  await gateway.settled()
})
