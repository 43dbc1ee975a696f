/** bursar.yaml from text to values: whatever is wrong is one line that says where and what to write instead. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileNameOf } from '../../src/control/config-start.ts'
import { ConfigFileError, readConfigFile } from '../../src/control/read-config.ts'
import { defaultSettings } from '../../src/schemas/settings.ts'

const read = (text: string, env: Record<string, string> = {}) => readConfigFile('bursar.yaml', text, env)

function complaintOf(text: string, env: Record<string, string> = {}): string {
  try {
    read(text, env)
  } catch (error) {
    assert.ok(error instanceof ConfigFileError, String(error))
    return error.message
  }
  return assert.fail('it was taken')
}

describe('read config', () => {
  test('an empty file is a complete configuration', () => {
    for (const text of ['', '# nothing\n', '{}']) {
      const { config, settings } = read(text)
      assert.deepEqual([config, settings], [{}, defaultSettings])
    }
  })

  test('the example that is shipped can be read', () => {
    const text = readFileSync(new URL('../../bursar.example.yaml', import.meta.url), 'utf8')
    const { config, settings } = read(text, {
      OPENAI_API_KEY: 'sk-0123456789',
      NOTEBOOK_KEY: 'an-old-key-of-ours-01',
      HOOK_SECRET: 's',
    })
    assert.equal(config.virtual_keys?.[0]?.name, 'notebook')
    assert.equal(settings.server.maxAttempts, 3)
    assert.deepEqual(settings.modelFamilies[0]?.name, 'gpt4')
  })

  for (const [what, text, complaint] of [
    ['a slip in YAML', 'customers:\n  - name: [', /^bursar\.yaml:2:\d+: /],
    ['a field twice', 'require_key: true\nrequire_key: false\n', /^bursar\.yaml:2:1: .*unique/],
    ['an unknown setting', 'requre_key: true\n', /^bursar\.yaml:1:13: requre_key is not a known field$/],
    [
      'a wrong type deep inside',
      'teams:\n  - name: a\n    limits:\n      - { metric: cost, max: 5, window: 1M }\n      - { metric: cots, max: 5, window: 1M }\n',
      /^bursar\.yaml:5:19: teams\[0\]\.limits\[1\]\.metric must be requests, .* not "cots"$/,
    ],
    [
      'a missing field',
      'customers:\n  - name: a\n  - metadata: {}\n',
      /^bursar\.yaml:3:5: customers\[1\]\.name is missing: must be a name/,
    ],
    [
      'a near-miss of a duration',
      'server:\n  drain: 1D\n',
      /^bursar\.yaml:2:10: server\.drain must be a duration .*, not "1D"$/,
    ],
    [
      'a size',
      'journal: { max_size: 4GB }\n',
      /^bursar\.yaml:1:22: journal\.max_size must be a size such as 512KiB, .*, not "4GB"$/,
    ],
    ['a list for a mapping', '- a\n', /^bursar\.yaml:1:1: must be an object, not a list$/],
    [
      'U12 a bad cron expression',
      'user_defaults:\n  normal:\n    limits:\n      - { metric: tokens, max: 5, window: "61 * * * *" }\n',
      /^bursar\.yaml:4:43: user_defaults\.normal\.limits\[0\]\.window .*61 \* \* \* \*/,
    ],
    ['a family in a pattern nobody names', 'model_families: { "4": ["a"] }\n', /^bursar\.yaml:1:\d+: model_families/],
  ] as const) {
    test(`${what} is one line with file, line, column, path, problem and accepted form`, () => {
      const message = complaintOf(text)
      assert.match(message, complaint)
      assert.ok(!message.includes('\n'))
    })
  }

  test(`\${NAME} takes a variable of the environment; one that is missing is an error at its place`, () => {
    const text = `virtual_keys:\n  - name: k\n    value: "\${PREFIX}-\${KEY}"\n`
    const { config } = read(text, { PREFIX: 'sk-ours', KEY: '0123456789abcdef' })
    assert.equal(config.virtual_keys?.[0]?.value, 'sk-ours-0123456789abcdef')
    assert.match(complaintOf(text, { PREFIX: 'x' }), /^bursar\.yaml:3:12: the environment variable KEY is not set/)
    assert.match(complaintOf(`aliases: { a: "\${1x}" }`), /"\$\{1x\}" is not a variable/)
  })

  test('F23 a secret that does not fit is not repeated', () => {
    const text = `virtual_keys:\n  - { name: k, value: "\${KEY}" }\n`
    const message = complaintOf(text, { KEY: 'hunter2' })
    assert.ok(/virtual_keys\[0\]\.value/.test(message) && !message.includes('hunter2'), message)
  })

  test('a name of a key becomes one file name, whatever is in it', () => {
    assert.equal(fileNameOf('notebook'), 'notebook')
    for (const name of ['../admin-key', '/etc/passwd', '..', '.hidden', 'a\\b']) {
      assert.match(fileNameOf(name), /^[^./\\][^/\\]*$/, name)
    }
  })
})
