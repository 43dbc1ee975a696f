/** The first thing a newcomer does: start the program on a machine with nothing, and paste what it prints. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { launch, type Program, type ProgramOptions, startProgram } from '../helpers/program.ts'

test('T18 B99 on a machine with nothing the printed curl answers 200 with the contract’s headers', async (t) => {
  const program = await startProgram(t, { fromNothing: true })
  assert.match(program.output(), /simulated; no provider is configured/)
  const answer = pasted(program)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 200 /)
  for (const header of [
    /^x-bursar-request-id: [0-9a-f-]{36}$/m,
    /^x-bursar-provider: sim$/m,
    /^x-bursar-model: \S+$/m,
    /^x-bursar-cost-usd: 0\.\d{2,9}$/m,
    /^x-bursar-budget-remaining-usd: 0\.99\d*$/m,
    /^x-bursar-budget-resets-at: \d{4}-\S+Z$/m,
    /^x-ratelimit-limit-requests: 60$/m,
    /^x-ratelimit-remaining-requests: 59$/m,
    /^x-ratelimit-reset-requests: \d+m?\d*s$/m,
  ]) {
    assert.match(head.replaceAll('\r', ''), header)
  }
  assert.ok((JSON.parse(body) as { choices: unknown[] }).choices.length > 0)

  for (const [path, mode] of [
    ['', 0o700],
    ['admin-key', 0o600],
    ['secret', 0o600],
    ['keys', 0o700],
    ['keys/first', 0o600],
  ] as const) {
    assert.equal(
      statSync(join(program.dataDir, path)).mode & 0o777,
      mode,
      `the mode of ${path || 'the data directory'}`,
    )
  }
  assert.doesNotMatch(program.output(), /sk-bursar-\w{20}/, 'no key is printed or logged')
})

test('a start always prints a curl that works as pasted', async (t) => {
  const provider = 'providers: [{ name: sim, kind: sim, base_url: "http://127.0.0.1:9" }]'
  const ownKeys = `${provider}\nvirtual_keys: [{ name: notebook, value: my-own-key-0123456789 }]`
  const starts: readonly [title: string, options: ProgramOptions, printed: RegExp][] = [
    ['keys whose values it has not made', { yaml: ownKeys }, /\/api\/virtual-keys -H "Authorization: Bearer \$\(cat /],
    ['an admin key of the environment', { yaml: ownKeys, env: { BURSAR_ADMIN_KEY: 'x'.repeat(20) } }, /\/readyz\n/],
    [
      'no key asked for',
      { yaml: 'require_key: false\nvirtual_keys: [{ name: a, value: my-own-key-0123456789 }]' },
      /-d '/,
    ],
  ]
  for (const [title, options, printed] of starts) {
    await t.test(title, async (t) => {
      const program = await startProgram(t, options)
      assert.match(program.output(), printed)
      assert.match(pasted(program), /^HTTP\/1\.1 200 /)
    })
  }
})

/** What the `curl` that a start has printed brings, head and body. */
function pasted(program: Program): string {
  const command = /Try it:\n\n([\s\S]+?)\n\n/.exec(program.output())?.[1]
  assert.ok(command, program.output())
  return execFileSync('bash', ['-c', command], { cwd: tmpdir(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}

test('a second process on the same data directory is refused with one line that names the first', async (t) => {
  const program = await startProgram(t)
  const { child, output } = launch(program.dataDir, {})
  const [code] = await once(child, 'exit')
  assert.equal(code, 1)
  assert.match(output().trim(), /^bursar: the data directory .* is in use by process \d+ on \S+$/)
})
