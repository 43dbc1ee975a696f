import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'

const LINES = 500
const ENDINGS = {
  'ends by itself': '',
  'is told to exit at once': 'process.exit(0)',
  'dies of an error that nobody caught': 'throw new Error("nobody catches this")',
}

/** Runs a program that logs in one turn more than a turn gathers, and returns the numbers its lines carry, in their order. */
function numbersLogged(ending: string, stderr: number | 'pipe'): number[] {
  const program = `import { createLog } from ${JSON.stringify(new URL('../src/log.ts', import.meta.url).href)}
    const log = createLog('info')
    for (let n = 0; n < ${LINES}; n += 1) log.info({ n, text: 'x'.repeat(300) }, 'line')
    ${ending}`
  const child = spawnSync(process.execPath, ['--input-type=module-typescript', '--eval', program], {
    stdio: ['ignore', 'ignore', stderr],
    maxBuffer: 16 * 1024 * 1024,
  })
  return numbersIn(child.stderr?.toString() ?? '')
}

function numbersIn(text: string): number[] {
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line).n] : []))
}

const all = Array.from({ length: LINES }, (_, n) => n)

for (const [name, ending] of Object.entries(ENDINGS)) {
  test(`no log line of the last turn is lost when the process ${name}`, () => {
    assert.deepEqual(numbersLogged(ending, 'pipe'), all)
    const folder = mkdtempSync(join(tmpdir(), 'bursar-test-'))
    const path = join(folder, 'log')
    const file = openSync(path, 'a')
    try {
      numbersLogged(ending, file)
      assert.deepEqual(numbersIn(readFileSync(path, 'utf8')), all)
    } finally {
      closeSync(file)
      rmSync(folder, { recursive: true })
    }
  })
}
