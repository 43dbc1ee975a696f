/** bursar.yaml as its users have it: tried out, applied twice, and written back. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand, startProgram, temporaryFolder } from '../helpers/program.ts'

const EXAMPLE = readFileSync(new URL('../../bursar.example.yaml', import.meta.url), 'utf8')
const VARIABLES = {
  OPENAI_API_KEY: 'sk-an-openai-key-0123456789',
  NOTEBOOK_KEY: 'an-old-key-of-ours-0123456789',
  HOOK_SECRET: 'shared',
}
/** What is not there in a test: the example names a plugin's file. */
const example = EXAMPLE.replace(/^plugins:.*$/m, '')

test('F11 the example is tried out, applied, and changes nothing the second time; what is written back changes nothing either', async (t) => {
  const folder = temporaryFolder(t)
  const [dataDir, yaml] = [join(folder, 'data'), join(folder, 'bursar.yaml')]
  writeFileSync(yaml, example)
  const env = { ...VARIABLES, BURSAR_CONFIG: yaml }
  const bursar = (args: string[], more: Record<string, string> = {}) => runCommand(args, dataDir, { ...env, ...more })

  const tried = await bursar(['serve', '--dry-run'])
  assert.deepEqual([tried.code, tried.errors], [0, ''])
  for (const line of ['provider.create openai', 'team.create research', 'virtual_key.create notebook']) {
    assert.ok(tried.out.split('\n').includes(line), tried.out)
  }
  assert.deepEqual((await bursar(['keys', 'list'])).out, 'there are no virtual keys\n', 'nothing has been changed')

  const first = await startProgram(t, { dataDir, env })
  const { data: before } = await first.admin<{ data: { updated_at: string }[] }>('GET', '/limits')
  assert.ok(before.length >= 6)
  const beside = await bursar(['serve', '--dry-run', '--json'])
  assert.deepEqual(JSON.parse(beside.out), { changes: [], kept: [] }, 'the same, asked of the running gateway')
  await first.stop()
  const second = await startProgram(t, { dataDir, env })
  assert.ok(!second.output().includes('configuration applied'), second.output())
  const { data: after } = await second.admin<{ data: unknown[] }>('GET', '/limits')
  assert.deepEqual(after, before)

  const written = await bursar(['export', '--yaml'])
  assert.deepEqual([written.code, written.errors], [0, ''])
  for (const secret of Object.values(VARIABLES)) assert.ok(!written.out.includes(secret))
  assert.match(written.out, /\n {8}value: \$\{OPENAI_MAIN\}\n/)
  const settings = example.slice(0, example.indexOf('providers:'))
  writeFileSync(yaml, `${settings}\n${written.out}`)
  const again = await bursar(['serve', '--dry-run'], { OPENAI_MAIN: VARIABLES.OPENAI_API_KEY })
  assert.deepEqual([again.code, again.out, again.errors], [0, 'nothing would change\n', ''])

  writeFileSync(
    yaml,
    `prune: true\n${settings}\n${written.out.replace('max: "100.00"', 'max: "120"').replace(/^limits:\n(.*\n)*/m, '')}`,
  )
  const edited = await bursar(['serve', '--dry-run'], { OPENAI_MAIN: VARIABLES.OPENAI_API_KEY })
  assert.match(edited.out, /^limit\.update.*: max 100\.00 → 120\.00$/m)
  assert.match(edited.out, /^limit\.delete/m)
  writeFileSync(yaml, 'teams:\n  - name: a\n    limits: [{ metric: cost, max: 5, window: 1M }]\n')
  const wrong = await bursar(['serve', '--dry-run'])
  assert.deepEqual([wrong.code, wrong.out], [1, ''])
  assert.match(wrong.errors, /^bursar: bursar\.yaml:3:\d+: teams\[0\]\.limits\[0\]\.max .*\n$/)
})
