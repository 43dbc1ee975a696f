import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DataDirError, openDataDir, readOrCreateSecretFile } from '../../src/persist/data-dir.ts'
import { temporaryDirectory } from '../helpers/databases.ts'

/** Another process that locks the directory and holds it until it is killed. */
async function holder(directory: string): Promise<ChildProcess> {
  const module = JSON.stringify(new URL('../../src/persist/data-dir.ts', import.meta.url).href)
  const script = join(directory, '..', 'holder.mjs')
  writeFileSync(
    script,
    `import { openDataDir } from ${module}
     openDataDir(process.argv[2])
     process.send('locked')
     setInterval(() => {}, 1000)`,
  )
  const child = fork(script, [directory], { execArgv: [] })
  await once(child, 'message')
  return child
}

test('a second process is refused with one line that names the holder, until the holder has ended, by SIGKILL too', async (t) => {
  const directory = join(temporaryDirectory(t), 'data')
  const child = await holder(directory)
  t.after(() => child.kill('SIGKILL'))
  assert.throws(
    () => openDataDir(directory),
    (error: unknown) => {
      assert.ok(error instanceof DataDirError)
      assert.match(
        error.message,
        new RegExp(`^the data directory ${directory} is in use by process ${child.pid} on [^\\n]+$`),
      )
      return true
    },
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  openDataDir(directory).release()
})

test('the same process is refused a second time as well, and let in after release', (t) => {
  const directory = join(temporaryDirectory(t), 'deep', 'data')
  const first = openDataDir(directory)
  assert.throws(() => openDataDir(directory), DataDirError)
  first.release()
  first.release()
  openDataDir(directory).release()
})

test('the folder is for its owner alone, and the lock leaves nothing but its two files', (t) => {
  const directory = join(temporaryDirectory(t), 'data')
  const dataDir = openDataDir(directory)
  t.after(() => dataDir.release())
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  assert.deepEqual(readdirSync(directory).sort(), ['lock', 'lock-holder'])
})

test('a secret is made once, for its owner alone, and stays the same; an empty file is an error, not a new secret', (t) => {
  const directory = temporaryDirectory(t)
  const secret = readOrCreateSecretFile(directory, 'secret')
  assert.match(secret, /^[\w-]{43}$/)
  assert.equal(readOrCreateSecretFile(directory, 'secret'), secret)
  assert.notEqual(readOrCreateSecretFile(directory, 'another'), secret)
  assert.equal(statSync(join(directory, 'secret')).mode & 0o777, 0o600)
  assert.equal(
    readOrCreateSecretFile(directory, 'admin-key', () => 'chosen'),
    'chosen',
  )
  assert.equal(readFileSync(join(directory, 'admin-key'), 'utf8'), 'chosen\n')
  writeFileSync(join(directory, 'secret'), '\n')
  assert.throws(() => readOrCreateSecretFile(directory, 'secret'), DataDirError)
})
