import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { weightOf } from '../../src/admission/read-facts.ts'
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import { repeatsNames, textsOf } from '../../src/tokens/texts.ts'
import type { JsonObject } from '../../src/units/json-object.ts'

function texts(body: JsonObject, endpoint: Endpoint = 'chat', format: ApiFormat = 'openai'): string[] {
  return [...textsOf(body, weightOf(body, format, endpoint).inlined)]
}

describe('the texts of a body', () => {
  test('are what a conversation says, without the JSON around it', () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    ]
    assert.deepEqual(texts({ model: 'gpt-4o', messages, temperature: 0.5, stream: true }), [
      'system',
      'Be brief.',
      'user',
      'text',
      'Hi',
    ])
    const contents = [{ role: 'user', parts: [{ text: 'Hi' }] }]
    assert.deepEqual(texts({ contents }, 'generate_content', 'google'), ['user', 'Hi'])
    assert.deepEqual(texts({ model: 'm', input: ['a', 'b'] }, 'embeddings'), ['a', 'b'])
    assert.deepEqual(texts({ model: 'm', input: [1, 22] }, 'embeddings'), ['[1,22]'])
  })

  test('hold tools, schemas and arguments as JSON, with their names', () => {
    const tools = [{ type: 'function', function: { name: 'look_up', parameters: { properties: { city: {} } } } }]
    assert.deepEqual(texts({ model: 'm', messages: [], tools }), [`tools ${JSON.stringify(tools)}`])
    const content = [{ type: 'tool_use', id: 'x', name: 'n', input: { content: { text: 'deep' } } }]
    const said = texts({ model: 'm', messages: [{ role: 'assistant', content }] }, 'messages', 'anthropic')
    assert.deepEqual(said, ['assistant', 'tool_use', 'id x', 'name n', 'input {"content":{"text":"deep"}}'])
  })

  test('leave out an image as often as it was attached, and no more', () => {
    const data = 'iVBORw0KGgo='
    const url = `data:image/png;base64,${data}`
    const image = { type: 'image_url', image_url: { url } }
    const said = texts({ model: 'm', messages: [{ role: 'user', content: [image, { type: 'text', text: url }] }] })
    assert.equal(said.join(' ').split(url).length - 1, 1)
    const inlineData = { mimeType: 'image/png', data }
    const parts = [{ inlineData }, { text: 'What is it?' }]
    assert.ok(
      !texts({ contents: [{ parts }] }, 'generate_content', 'google')
        .join()
        .includes(data),
    )
  })

  test('F04 hide nothing: every string and every name of a conversation’s depths is among them', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 12 }), (value) => {
        const said = texts({ model: 'm', messages: [{ role: 'user', content: value as never }] }).join('\n')
        const look = (inner: unknown): void => {
          if (typeof inner === 'string')
            assert.ok(said.includes(JSON.stringify(inner).slice(1, -1)) || said.includes(inner))
          else if (Array.isArray(inner)) for (const item of inner) look(item)
          else if (typeof inner === 'object' && inner !== null) for (const item of Object.values(inner)) look(item)
        }
        look(value)
      }),
    )
  })

  test('are not known where a name occurs twice: the provider’s parser may keep the other value', () => {
    const repeats = (text: string) => repeatsNames(text, JSON.parse(text))
    assert.equal(repeats('{"system":"long","system":"x"}'), true)
    assert.equal(repeats('{"messages":[{"content":"long","content":"x"}]}'), true)
    assert.equal(repeats('{ "a\\":" : ":\\\\" , "b":[{"a":1},{"a":{}}] }'), false)
    fc.assert(fc.property(fc.json(), (text) => assert.equal(repeats(JSON.stringify(JSON.parse(text))), false)))
  })
})
