import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundaryOf, MultipartReader } from '../../src/admission/multipart.ts'

const B = 'xYzZy'
const part = (headers: string, value: string) => `--${B}\r\n${headers}\r\n\r\n${value}\r\n`
const field = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value)
const file = (name = 'audio.mp3', value = 'sound') =>
  part(`Content-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: audio/mpeg`, value)
const END = `--${B}--\r\n`

/** Reads a form that arrives in pieces of so many bytes. */
function read(form: string | Buffer, pieceBytes = 7) {
  const bytes = Buffer.from(form)
  const reader = new MultipartReader(B)
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const refusal = reader.push(bytes.subarray(at, at + pieceBytes))
    if (refusal !== null) return { ok: false, refusal } as const
  }
  return reader.end()
}

test('a form is read alike in whatever pieces it arrives', () => {
  const form = field('model', 'whisper-1') + file() + field('stream', 'false') + field('n', '3') + END
  for (const pieces of [1, 2, 3, 7, 64, 10_000]) {
    const result = read(form, pieces)
    assert.ok(result.ok, JSON.stringify(result))
    const { value, files, textBytes } = result.value
    assert.deepEqual(value, { model: 'whisper-1', stream: false, n: 3 })
    assert.deepEqual([files, textBytes], [1, 'whisper-1'.length + 'false'.length + 1])
    const span = result.value.spanOf('model')
    assert.equal(form.slice(span?.start, span?.end), 'whisper-1')
  }
})

test('F05 a form says what kind of image is made of how many frames', () => {
  const result = read(field('output_format', 'gif') + field('frame_count', '12') + field('svg', '{}') + END)
  assert.ok(result.ok)
  assert.deepEqual(result.value.value, { output_format: 'gif', frame_count: 12, svg: '{}' })
})

const REFUSED: readonly (readonly [what: string, form: string | Buffer])[] = [
  ['no part at all', ''],
  ['no end', field('model', 'a')],
  ['an end in the middle of a part', `--${B}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhis`],
  ['an end in the middle of the last boundary', `${field('model', 'a')}--${B}-`],
  ['something before the first part', `preamble\r\n${field('model', 'a')}${END}`],
  ['a line break before the first part', `\r\n${field('model', 'a')}${END}`],
  ['something behind the end', `${field('model', 'a')}${END}${field('model', 'b')}`],
  ['a second end', `${field('model', 'a')}${END}${END}`],
  ['the model twice', field('model', 'a') + field('model', 'b') + END],
  ['the model in another case', field('Model', 'a') + field('model', 'b') + END],
  ['the model with the long s', field('re\u017fponse_format', 'json') + END],
  ['the model as a list', field('model[]', 'a') + END],
  ['the model with a key', field('model[0]', 'a') + END],
  ['the model as an object', field('model.x', 'a') + END],
  ['the author of an SVG with a key', field('svg[model]', 'a') + END],
  ['the model as a file', part('Content-Disposition: form-data; name="model"; filename="m"', 'a') + END],
  ['the model as an encoded file', part(`Content-Disposition: form-data; name="model"; filename*=utf-8''m`, 'a') + END],
  [
    'the model in UTF-16',
    part('Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-16', 'a') + END,
  ],
  [
    'the model in base64',
    part('Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64', 'YQ==') + END,
  ],
  [
    'a model that is no UTF-8',
    Buffer.concat([
      Buffer.from(`--${B}\r\nContent-Disposition: form-data; name="model"\r\n\r\n`),
      Buffer.from([0xff]),
      Buffer.from(`\r\n${END}`),
    ]),
  ],
  ['a model of 5,000 bytes', field('model', 'a'.repeat(5_000)) + END],
  ['a name twice', part('Content-Disposition: form-data; name="x"; name="model"', 'a') + END],
  ['an encoded name', part(`Content-Disposition: form-data; name="x"; name*=utf-8''model`, 'a') + END],
  ['a name with an escape', part('Content-Disposition: form-data; name="mo\\del"', 'a') + END],
  ['a name with percent signs', part('Content-Disposition: form-data; name="%6dodel"', 'a') + END],
  [
    'two dispositions',
    part('Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"', 'a') + END,
  ],
  ['no disposition', part('Content-Type: text/plain', 'a') + END],
  ['no name', part('Content-Disposition: form-data', 'a') + END],
  ['another kind of part', part('Content-Disposition: attachment; name="model"', 'a') + END],
  ['no headers', `--${B}\r\n\r\na\r\n${END}`],
  ['a folded header', part('Content-Disposition: form-data;\r\n name="model"', 'a') + END],
  ['a bare line feed in a header', part('Content-Disposition: form-data; name="x"\nX: name="model"', 'a') + END],
  ['a NUL in a header', part('Content-Disposition: form-data; name="mo\0del"', 'a') + END],
  [
    'a quote in a file name',
    part('Content-Disposition: form-data; name="file"; filename="a"; name="model"', 'a') + END,
  ],
  ['headers of 1 MB', part(`Content-Disposition: form-data; name="x"\r\nX: ${'a'.repeat(1_000_000)}`, 'a') + END],
  ['headers that never end', `--${B}\r\n${'X: y\r\n'.repeat(10_000)}`],
  ['a charset for all', field('_charset_', 'utf-16') + END],
  ['too many parts', field('x', 'a').repeat(1_001) + END],
  // A parser that takes bare line feeds for line ends would find a second model in these.
  [
    'a boundary after a bare line feed',
    file('a', `sound\n--${B}\nContent-Disposition: form-data; name="model"\n\nb`) + END,
  ],
  ['a boundary inside a line', file('a', `sound--${B}`) + END],
  ['a longer boundary', file('a', `sound\r\n--${B}more\r\n`) + END],
  ['a padded boundary', file('a', `sound\r\n--${B} \r\nContent-Disposition: form-data; name="model"\r\n\r\nb`) + END],
  ['a boundary in a header', part(`Content-Disposition: form-data; name="x"\r\nX: --${B}`, 'a') + END],
]

for (const [what, form] of REFUSED) {
  test(`a form is refused for ${what}`, () => {
    for (const pieces of [1, 7, 1_000_000]) {
      const result = read(form, pieces)
      assert.equal(result.ok ? 'accepted' : result.refusal.code, 'invalid_request')
      assert.ok(!JSON.stringify(result).includes('sound'), 'nothing of the form is repeated')
    }
  })
}

test('a boundary is named once, in characters that boundaries may have', () => {
  const accepted = [
    'multipart/form-data; boundary=abc',
    'Multipart/Form-Data; charset=utf-8; boundary="a b"'.replace('a b', 'ab'),
  ]
  for (const type of accepted) assert.ok(boundaryOf(type).ok, type)
  for (const type of [
    '',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary="a b"',
    'multipart/form-data; boundary=a; boundary=b',
    'multipart/form-data; BOUNDARY=a; boundary=b',
    "multipart/form-data; boundary=a; boundary*=utf-8''b",
    'multipart/form-data; boundary*0=a; boundary*1=b',
    'multipart/form-data; x="; boundary=a"; boundary=b',
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
    'multipart/mixed; boundary=a',
    'application/json; boundary=a',
  ])
    assert.ok(!boundaryOf(type).ok, type)
})

test('whatever bytes a file has, the form is read as another parser reads it', async () => {
  const name = fc.stringMatching(/^x_[a-z]{1,12}$/)
  const entry = fc.oneof(
    fc.record({ name, value: fc.string({ unit: 'binary' }) }),
    fc.record({ name, bytes: fc.uint8Array({ maxLength: 300 }) }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(entry, { selector: ({ name }) => name }),
      fc.integer({ min: 1, max: 97 }),
      async (entries, pieces) => {
        const sent = new FormData()
        for (const given of entries) {
          if ('value' in given) sent.append(given.name, given.value)
          else sent.append(given.name, new File([Buffer.from(given.bytes)], 'päper "1".bin'))
        }
        sent.append('model', 'whisper-1')
        const response = new Response(sent)
        const boundary = boundaryOf(response.headers.get('content-type') ?? '')
        assert.ok(boundary.ok)
        const bytes = Buffer.from(await response.arrayBuffer())
        const reader = new MultipartReader(boundary.value)
        for (let at = 0; at < bytes.length; at += pieces)
          assert.equal(reader.push(bytes.subarray(at, at + pieces)), null)
        const form = reader.end()
        assert.ok(form.ok)
        assert.equal(form.value.value.model, 'whisper-1')
        assert.equal(form.value.files, entries.filter((given) => 'bytes' in given).length)
        const span = form.value.spanOf('model')
        assert.equal(bytes.toString('latin1', span?.start, span?.end), 'whisper-1')
      },
    ),
    { numRuns: 200 },
  )
})
