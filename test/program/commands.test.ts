/** The command line, beside a running gateway and without one. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { onBothDatabases, ownKey, runCommand, startWithSim, temporaryFolder } from '../helpers/program.ts'

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname

onBothDatabases(
  'keys are made, rotated and disabled the same way beside a running gateway and without one',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    const { dataDir } = program
    const bursar = (...args: string[]) => runCommand(args, dataDir, env)

    const made = await bursar('keys', 'create', 'notebook', '--limit', 'cost 10 1d', '--limit', 'requests 60 1m')
    assert.deepEqual([made.code, made.errors], [0, ''])
    const first = made.out.trim()
    const { limits } = await ownKey(program, first)
    assert.deepEqual(limits.map(({ metric }) => metric).sort(), ['cost', 'requests'])

    const twice = await bursar('keys', 'create', 'notebook')
    assert.deepEqual([twice.code, twice.out], [1, ''])
    assert.match(twice.errors, /^bursar: name: There is already a virtual key named "notebook"\.\n$/)

    const busy = await bursar('rebuild', '--apply')
    assert.equal(busy.code, 1)
    assert.match(busy.errors, /^bursar: the data directory \S+ is in use by process \d+ .*; stop it first: .*\n$/)
    assert.equal(await program.stop(), 0)

    const rotated = await bursar('keys', 'rotate', 'notebook', '--json')
    assert.equal(rotated.code, 0, rotated.errors)
    assert.notEqual(JSON.parse(rotated.out).key, first)
    assert.equal((await bursar('keys', 'disable', 'notebook')).code, 0)
    const { out } = await bursar('keys', 'list')
    assert.match(out, /^name +key +status .*\n(.*\n)*notebook +sk-bursar-\S+… +disabled +never /)
    assert.ok(!out.includes(first) && !out.includes(JSON.parse(rotated.out).key), 'keys are shown once')
  },
)

test('a slip is one line and exit code 2; every command shows an example', async (t) => {
  const dataDir = join(t.name, 'never-made')
  for (const args of [
    ['keys', 'crate'],
    ['keys', 'create'],
    ['journal', '--from', 'x'],
    ['keys', 'create', 'x', '--limit', 'often'],
    ['keys', 'create', 'x', '--expires-at', 'tomorrow'],
    ['keys', 'rotate', 'x', '--grace', '1D'],
    ['migrate', 'sideways'],
    ['nonsense'],
  ]) {
    const { code, errors, out } = await runCommand(args, dataDir)
    assert.equal(code, 2, args.join(' '))
    assert.equal(out, '')
    assert.match(errors, /^error: .*\n(\(Did you mean .*\)\n)?\(add --help for the options\)\n$/, errors)
  }
  for (const args of [
    [],
    ['serve'],
    ['migrate'],
    ['keys'],
    ['keys', 'create'],
    ['keys', 'list'],
    ['keys', 'rotate'],
    ['keys', 'disable'],
    ['rebuild'],
    ['journal'],
    ['export'],
    ['import'],
    ['sim'],
  ]) {
    const { code, out } = await runCommand([...args, '--help'], dataDir)
    assert.equal(code, 0)
    assert.match(out, new RegExp(`\\nExample:\\n  .*bursar ${args.join(' ')}`))
  }
})

test('beside a running gateway the migrations are told by it, and none is applied or taken back under its feet', async (t) => {
  const program = await startWithSim(t)
  const bursar = (...args: string[]) => runCommand(args, program.dataDir)
  const beside = await bursar('migrate', 'status')
  assert.deepEqual([beside.code, beside.errors], [0, ''])
  assert.match(beside.out, /^applied {2}0001_entities\n(applied {2}\d{4}_\w+\n)+$/)
  const env = {
    BURSAR_ADMIN_URL: program.adminUrl,
    BURSAR_ADMIN_KEY: readFileSync(join(program.dataDir, 'admin-key'), 'utf8').trim(),
  }
  const elsewhere = await runCommand(['migrate', 'status'], join(program.dataDir, 'another'), env)
  assert.deepEqual([elsewhere.code, elsewhere.out], [0, beside.out])
  const up = await bursar('migrate', 'up')
  assert.deepEqual([up.code, up.out], [0, 'nothing to apply\n'])
  const down = await bursar('migrate', 'down')
  assert.deepEqual([down.code, down.out], [1, ''])
  assert.match(down.errors, /^bursar: a gateway runs on this database; stop it first: .*\n$/)
  assert.equal(await program.stop(), 0)
  assert.equal((await bursar('migrate', 'status')).out, beside.out)
})

test('a command whose reader has seen enough ends quietly', async (t) => {
  const dataDir = temporaryFolder(t)
  mkdirSync(join(dataDir, 'journal'))
  const lines = Array.from({ length: 50_000 }, () => 'garbage\n')
  writeFileSync(
    join(dataDir, 'journal', `${'0'.repeat(20)}.jsonl`),
    `{"t":"segment","version":1,"journal":"here"}\n${lines.join('')}`,
  )
  const child = spawn(process.execPath, [MAIN, 'journal'], {
    env: { PATH: process.env.PATH, BURSAR_DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.once('data', () => child.stdout.destroy())
  let errors = ''
  child.stderr.on('data', (piece) => (errors += String(piece)))
  const [code] = await once(child, 'close')
  assert.deepEqual([code, errors], [0, ''])
})

test('F23 the journal is readable, says where it is damaged, and holds no prompt and no key', async (t) => {
  const program = await startWithSim(t)
  const { key } = await program.admin<{ key: string }>('POST', '/virtual-keys', { name: 'journaled' })
  const prompt = 'what nobody else may read'
  const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }], max_tokens: 10 }),
  })
  const { choices } = (await response.json()) as { choices: [{ message: { content: string } }] }
  const request = response.headers.get('x-bursar-request-id') as string
  const beside = await runCommand(['journal'], program.dataDir)
  assert.equal(beside.code, 0, beside.errors)
  assert.match(beside.out, new RegExp(`hold +${request}/1 sim/gpt-4o-mini`))
  assert.match(beside.out, new RegExp(`settle +${request}/1 sim/gpt-4o-mini 200 \\d+ \\+ 10 tokens \\$\\S+ reported`))
  await program.stop('SIGKILL')

  const raw = (await runCommand(['journal', '--json'], program.dataDir)).out
  for (const secret of [key, prompt, choices[0].message.content]) assert.ok(!raw.includes(secret))
  const journal = join(program.dataDir, 'journal')
  const [file] = readdirSync(journal).filter((name) => name.endsWith('.jsonl'))
  appendFileSync(join(journal, file ?? ''), 'garbage\n{"t":"settle","eve')
  const damaged = await runCommand(['journal', '--request', request], program.dataDir)
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, /\n {2}\d+ {2}cannot be read: .*garbage.*\n {2}\d+ {2}18 bytes: a line torn by a crash/)
})

test('a journal file of another version is told with file and position, to scripts too', async (t) => {
  const dataDir = temporaryFolder(t)
  const file = join(dataDir, 'journal', `${'0'.repeat(20)}.jsonl`)
  mkdirSync(join(dataDir, 'journal'))
  writeFileSync(file, '{"t":"segment","version":99,"journal":"elsewhere"}\n')
  const shown = await runCommand(['journal'], dataDir)
  assert.equal(shown.code, 1)
  assert.match(shown.out, /\.jsonl {2}positions 0 to 51\n.*version 99 \(this program reads \d+\)\n$/)
  const { code, out } = await runCommand(['journal', '--json'], dataDir)
  assert.equal(code, 1)
  const { problem, ...place } = JSON.parse(out)
  assert.deepEqual(place, { file, position: 0 })
  assert.match(problem, /^version 99 of the journal/)
})
