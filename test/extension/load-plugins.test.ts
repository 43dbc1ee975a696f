/** What can be wrong with a plugin that bursar.yaml names: one line each, with the place in the file. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readConfigFile } from '../../src/control/read-config.ts'
import { type LoadedPlugin, loadPlugins } from '../../src/load-plugins.ts'
import { temporaryFolder } from '../helpers/program.ts'

const SCHEMA =
  "{ type: 'object', properties: { open: { type: 'string', pattern: '^[0-9:]+$' }, days: { type: 'array', items: { type: 'integer' } }, at: { default: 'noon' } }, required: ['open'], additionalProperties: false }"

/** Loads what `yaml` names, with these files beside it. */
function loadWith(t: TestContext, files: Readonly<Record<string, string>>, yaml: string): Promise<LoadedPlugin[]> {
  const folder = temporaryFolder(t)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return loadPlugins(readConfigFile('bursar.yaml', yaml, {}), join(folder, 'bursar.yaml'))
}

function definition(fields: string): string {
  return `import { definePlugin } from 'bursar'\nexport default definePlugin({ ${fields} })\n`
}

test('a TypeScript file and an installed package are loaded, options checked and completed', async (t) => {
  const [file, installed] = await loadWith(
    t,
    {
      'own.ts': definition(`name: 'own' as string, optionsSchema: ${SCHEMA}`),
      'node_modules/their-rules/package.json': '{ "type": "module", "exports": { "import": "./main.js" } }',
      'node_modules/their-rules/main.js': definition("name: 'their-rules', beforeAdmission() {}"),
    },
    'plugins:\n  - { path: ./own.ts, options: { open: "08:00" }, timeout: 2s }\n  - { path: their-rules }\n',
  )
  assert.deepEqual(
    [file?.hooks.name, file?.options, file?.hooks.timeoutMs],
    ['own', { open: '08:00', at: 'noon' }, 2_000],
  )
  assert.deepEqual([installed?.hooks.name, installed?.hooks.timeoutMs], ['their-rules', 1_000])
  assert.equal(typeof installed?.hooks.beforeAdmission, 'function')
})

for (const [what, plugin, options, complaint] of [
  [
    'that throws while loading',
    "throw new Error('no licence\\nsecond line')",
    '',
    /^bursar\.yaml:1:19: plugins\[0\]\.path "\.\/own\.ts" could not be loaded: no licence$/,
  ],
  ['that cannot be read', 'export default {', '', /plugins\[0\]\.path "\.\/own\.ts" could not be loaded: /],
  [
    'that exports something else',
    'export default { name: "x" }',
    '',
    /^bursar\.yaml:1:19: .* exports no plugin: its default export must come from definePlugin/,
  ],
  ['without a default export', 'export const plugin = 1', '', /exports no plugin/],
  [
    'with a wrong option',
    definition(`name: 'own', optionsSchema: ${SCHEMA}`),
    '{ open: late }',
    /^bursar\.yaml:1:46: plugins\[0\]\.options\.open must match pattern/,
  ],
  [
    'with a wrong option deep inside',
    definition(`name: 'own', optionsSchema: ${SCHEMA}`),
    '{ open: "8", days: [1, x] }',
    /plugins\[0\]\.options\.days\[1\] must be integer$/,
  ],
  [
    'with a misspelt option',
    definition(`name: 'own', optionsSchema: ${SCHEMA}`),
    '{ open: "8", opne: 1 }',
    /plugins\[0\]\.options\.opne is not a known option$/,
  ],
  [
    'without a needed option',
    definition(`name: 'own', optionsSchema: ${SCHEMA}`),
    '{}',
    /plugins\[0\]\.options\.open is missing$/,
  ],
  [
    'that takes no options',
    definition("name: 'own'"),
    '{ open: 1 }',
    /plugins\[0\]\.options\.open is not an option: it takes none$/,
  ],
  [
    'with a schema that is none',
    definition("name: 'own', optionsSchema: { type: 'clock' }"),
    '{}',
    /has an optionsSchema that is no JSON schema/,
  ],
  [
    'with a code of ours',
    definition("name: 'own', refusals: { key_unknown: 401 }"),
    '',
    /declares the refusal "key_unknown", which is Bursar's own$/,
  ],
  [
    'with a status that is no refusal',
    definition("name: 'own', refusals: { closed: 200 }"),
    '',
    /the status 200; write one from 400 to 599$/,
  ],
  ['without a name', definition('refusals: {}'), '', /has no name/],
  [
    'whose hook is no function',
    definition("name: 'own', beforeAdmission: 1"),
    '',
    /has a beforeAdmission that is not a function$/,
  ],
] as const) {
  test(`a plugin ${what} stops the start with one line`, async (t) => {
    const yaml = `plugins: [{ path: ./own.ts${options === '' ? '' : `, options: ${options}`} }]\n`
    const source = plugin.startsWith('throw') ? `${plugin}\nexport default null` : plugin
    await assert.rejects(
      loadWith(t, { 'own.ts': source.replaceAll("'own'", "'own' as any") }, yaml),
      (error: Error) => {
        assert.equal(error.name, 'ConfigFileError')
        assert.match(error.message, complaint)
        assert.ok(!error.message.includes('\n'))
        return true
      },
    )
  })
}

test('a file or package that is not there is named', async (t) => {
  await assert.rejects(
    loadWith(t, {}, 'plugins: [{ path: ./gone.ts }]'),
    /bursar\.yaml:1:19: .* names a file that does not exist: \/.*\/gone\.ts$/,
  )
  await assert.rejects(
    loadWith(t, {}, 'plugins: [{ path: gone-package }]'),
    /"gone-package" could not be loaded: Cannot find package 'gone-package'/,
  )
})

test('two plugins of one name are told apart by nobody, so the second is refused', async (t) => {
  const files = { 'a.ts': definition("name: 'same'"), 'b.ts': definition("name: 'same'") }
  await assert.rejects(
    loadWith(t, files, 'plugins:\n  - { path: ./a.ts }\n  - { path: ./b.ts }\n'),
    /^ConfigFileError: bursar\.yaml:3:13: plugins\[1\]\.path is a second plugin named "same"$/,
  )
})
