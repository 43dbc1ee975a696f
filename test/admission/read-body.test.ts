import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readBody } from '../../src/admission/read-body.ts'
import type { ApiFormat } from '../../src/admission/request-facts.ts'

/** `param: message` of the refusal, or null. */
function refusalOf(body: string | Buffer, format: ApiFormat = 'openai'): string | null {
  const result = readBody(Buffer.from(body), format)
  if (result.ok) return null
  assert.equal(result.refusal.code, 'invalid_request')
  return `${result.refusal.param ?? ''}: ${result.refusal.message}`
}

describe('body as JSON', () => {
  test('what is not a JSON object in UTF-8 is refused', () => {
    for (const body of [
      '',
      ' ',
      'null',
      '[]',
      '"x"',
      '{',
      '{"a":tru}',
      '{"a":1} x',
      '{"a":01}',
      "{'a':1}",
      '{"a":\t"\n"}',
      'NaN',
    ]) {
      assert.match(refusalOf(body) ?? '', /JSON/, body)
    }
    assert.match(refusalOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])) ?? '', /UTF-8/)
    assert.match(refusalOf(Buffer.from('{"a":"\u00e9"}', 'latin1')) ?? '', /UTF-8/)
    assert.match(refusalOf('\ufeff{"a":1}') ?? '', /byte order mark/)
    assert.match(refusalOf(Buffer.from('\ufeff{"a":1}', 'utf16le')) ?? '', /UTF-8/)
  })

  test('F23 a refusal never repeats the body', () => {
    const refused = refusalOf('{"messages":[{"content":"my secret prompt"}] oops')
    assert.ok(refused !== null && !refused.includes('secret') && !refused.includes('oops'))
  })

  test('every JSON object is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' })), (object) => {
        const text = JSON.stringify(object)
        const result = readBody(Buffer.from(text), 'openai')
        if (result.ok) assert.deepEqual(result.value.value, JSON.parse(text))
        else assert.match(result.refusal.message, /letter case|occurs twice/)
      }),
    )
  })

  test('the place of a field is its bytes, also behind longer characters', () => {
    const body = Buffer.from('{ "größe": "日本 😀", "model" : "gpt-4o" }')
    const result = readBody(body, 'openai')
    assert.ok(result.ok)
    const span = result.value.spanOf('model')
    assert.ok(span !== null)
    assert.equal(body.toString('utf8', span.start, span.end), '"gpt-4o"')
    assert.equal(result.value.spanOf('nothing'), null)
  })
})

describe('what two parsers could read differently', () => {
  const governing = ['model', 'max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n', 'best_of', 'stream']
  const more = ['stream_options', 'service_tier', 'messages', 'input', 'prompt', 'background', 'max_anything_new']

  test('a governing field that occurs twice is refused by name', () => {
    for (const format of ['openai', 'anthropic'] as const) {
      for (const name of [...governing, ...more]) {
        assert.match(refusalOf(`{"${name}":1,"x":2,"${name}":3}`, format) ?? '', new RegExp(`^${name}: .*twice`), name)
      }
    }
  })

  test('a governing field in another letter case is refused, alone or beside the right one', () => {
    for (const name of [...governing, ...more]) {
      assert.match(refusalOf(`{"${name.toUpperCase()}":1}`) ?? '', /letter case/, name)
      const capital = name.charAt(0).toUpperCase() + name.slice(1)
      assert.notEqual(refusalOf(`{"${name}":1,"${capital}":2}`), null, name)
      assert.notEqual(refusalOf(`{"${capital}":1,"${name}":2}`), null, name)
    }
  })

  test('escapes and letters that only look different hide nothing', () => {
    assert.match(refusalOf('{"model":"a","mod\\u0065l":"b"}') ?? '', /twice/)
    assert.match(refusalOf('{"model":"a","\\u004dodel":"b"}') ?? '', /model/)
    // The long s and the Kelvin sign equal s and k where letter case is ignored by Unicode’s rules.
    assert.match(refusalOf('{"\u017ftream":true}') ?? '', /letter case/)
    assert.match(refusalOf('{"max_to\u212aens":1}') ?? '', /letter case/)
  })

  test('F26 fields that govern nothing may occur twice, and nested ones are not ours to read', () => {
    for (const body of [
      '{"metadata":1,"metadata":2,"temperature":1,"Temperature":2}',
      '{"model":"m","metadata":{"model":1,"model":2,"MODEL":3}}',
      '{"model":"m","messages":[{"stream":1,"stream":2}]}',
      '{"model":"m","models_are":1,"N_":2,"maximum":3}',
    ]) {
      assert.equal(refusalOf(body), null, body)
    }
  })

  test('the same holds inside stream_options', () => {
    assert.match(
      refusalOf('{"stream_options":{"include_usage":true,"include_usage":false}}') ?? '',
      /stream_options\.include_usage: /,
    )
    assert.match(refusalOf('{"stream_options":{"Include_usage":true}}') ?? '', /letter case/)
    assert.equal(refusalOf('{"stream_options":{"include_usage":true,"other":1}}'), null)
  })

  test('Gemini’s two spellings of a field are one field', () => {
    const refused: readonly [body: string, why: RegExp][] = [
      ['{"generationConfig":{},"generation_config":{}}', /^generationConfig: .*twice/],
      ['{"generationConfig":{},"generationConfig":{}}', /twice/],
      ['{"generationconfig":{}}', /letter case/],
      ['{"GenerationConfig":{}}', /letter case/],
      ['{"contents":[],"Contents":[]}', /^contents: /],
      ['{"cachedContent":"a","cached_content":"b"}', /twice/],
      [
        '{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}',
        /^generationConfig\.maxOutputTokens: .*twice/,
      ],
      [
        '{"generation_config":{"maxOutputTokens":1,"maxOutputTokens":2}}',
        /^generation_config\.maxOutputTokens: .*twice/,
      ],
      ['{"generationConfig":{"candidateCount":1,"candidate_count":2}}', /twice/],
      ['{"generationConfig":{"MaxOutputTokens":1}}', /letter case/],
    ]
    for (const [body, why] of refused) assert.match(refusalOf(body, 'google') ?? '', why, body)
    for (const body of [
      '{"generation_config":{"max_output_tokens":1,"topP":0.5}}',
      '{"generationConfig":{"maxOutputTokens":1,"responseSchema":{"a":1,"a":2}}}',
      '{"max_tokens":1,"max_tokens":2}',
    ]) {
      assert.equal(refusalOf(body, 'google'), null, body)
    }
  })

  test('a body in the style of one format is not read by the rules of another', () => {
    assert.equal(refusalOf('{"generationConfig":{},"generation_config":{}}', 'openai'), null)
  })
})
