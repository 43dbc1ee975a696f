/** The examples, run as they are: a server of somebody else's with Bursar in it, and the clients in front of it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { copyEmptyEmbedded } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { temporaryFolder } from '../helpers/program.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))

function start(command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>>) {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const printed = { out: '', errors: '' }
  child.stdout.on('data', (chunk: Buffer) => (printed.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (printed.errors += chunk.toString()))
  return { child, printed, ended: once(child, 'close') }
}

test('Bursar in a server of somebody else’s answers the clients of all three formats beside its own routes', async (t) => {
  const folder = temporaryFolder(t)
  await copyEmptyEmbedded(join(folder, 'data'))
  const embed = ['--conditions=bursar-source', join(EXAMPLES, 'embed.ts')]
  const server = start(process.execPath, embed, folder, {
    PORT: '0',
    ADMIN_PORT: '0',
    BURSAR_LOG_LEVEL: 'warn',
    BURSAR_DUMP_CRON: '* * * * * *',
  })
  t.after(async () => {
    if (server.child.exitCode === null) server.child.kill('SIGKILL')
    await server.ended
  })
  const urlOf = (name: string) =>
    eventually(
      () => new RegExp(`^${name} (\\S+)$`, 'm').exec(server.printed.out)?.[1] ?? assert.fail(server.printed.errors),
      60_000,
    )
  const url = await urlOf('gateway')
  const adminUrl = await urlOf('admin')
  const keyFile = join(folder, 'data/keys/first')
  assert.ok(existsSync(keyFile))
  const env = { BURSAR_URL: url, BURSAR_KEY: readFileSync(keyFile, 'utf8').trim() }

  const clients = ['openai.ts', 'anthropic.ts', 'google.ts'].map((name) =>
    start(process.execPath, [join(EXAMPLES, 'clients', name)], folder, env),
  )
  const curl = start('sh', [join(EXAMPLES, 'clients/curl.sh')], folder, env)
  for (const { child, printed, ended } of [...clients, curl]) {
    await ended
    assert.equal(child.exitCode, 0, printed.errors)
    assert.ok(printed.out.trim().length > 0)
  }
  assert.match(curl.printed.out, /"verdict":"allow"/)

  assert.deepEqual(await (await fetch(`${url}/hello`)).json(), { keys: 1 })
  assert.equal((await fetch(`${url}/api/users`)).status, 404)
  const authorization = `Bearer ${readFileSync(join(folder, 'data/admin-key'), 'utf8').trim()}`
  // The books have it with the next dump.
  const events = await eventually(async () => {
    const answer = await fetch(`${adminUrl}/api/events`, { headers: { authorization } })
    const { data } = (await answer.json()) as { data: { success: boolean }[] }
    assert.equal(data.length, 4)
    return data
  }, 30_000)
  assert.ok(events.every(({ success }) => success))

  server.child.kill('SIGTERM')
  await server.ended
  assert.equal(server.child.exitCode, 0, server.printed.errors)
  assert.equal(server.printed.errors, '')
})
