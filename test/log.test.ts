import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

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

const LOG = JSON.stringify(new URL('../src/log.ts', import.meta.url).href)

test('what nobody takes is lost and counted, and the program goes on', () => {
  const program = `import { createLog, linesLost } from ${LOG}
    import { setImmediate as nextTurn } from 'node:timers/promises'
    const log = createLog('info')
    for (let n = 0; n < 10; n += 1) {
      log.info({ n }, 'line')
      log.info({ n }, 'and one more')
      await nextTurn()
    }
    process.stdout.write(String(linesLost(log)))`
  const full = openSync('/dev/full', 'w')
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module-typescript', '--eval', program], {
    stdio: ['ignore', 'pipe', full],
  })
  closeSync(full)
  assert.deepEqual([status, stdout.toString()], [0, '20'])
})

test('a reader that stands still holds nothing up for long; when it goes on it is told how much it has missed', async () => {
  const program = `import { createLog, linesLost } from ${LOG}
    import { setImmediate as nextTurn } from 'node:timers/promises'
    process.stderr.on('error', () => {})
    const log = createLog('info')
    for (let n = 0; n < ${LINES}; n += 1) {
      log.info({ n, text: 'x'.repeat(1_000) }, 'line')
      await nextTurn()
    }
    process.stdout.write(linesLost(log) + '\\n')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    log.info({ n: ${LINES} }, 'line')
    process.stdin.destroy()`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program], { stdio: 'pipe' })
  const [said] = await once(child.stdout, 'data')
  const lost = Number(said)
  assert.ok(lost > 100, `${lost} lines were lost`)
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await delay(100)
  child.stdin.write('go on')
  await once(child, 'close')
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      try {
        return [JSON.parse(line)]
      } catch {
        return []
      }
    })
  const numbers = lines.flatMap(({ n }) => (n === undefined ? [] : [n]))
  assert.equal(numbers.length + lost, LINES + 1)
  assert.equal(numbers.at(-1), LINES)
  assert.deepEqual(
    lines.flatMap(({ msg, lines }) => (String(msg).startsWith('log lines were lost') ? [lines] : [])),
    [lost],
  )
})
