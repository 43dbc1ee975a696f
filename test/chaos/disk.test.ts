/**
 * A disk that is really full: new work is refused, what runs is finished and settled, and it goes on when there is room again.
 *
 * The journal lies on a small file system of its own, mounted where only the program sees it, which Linux lets anybody do. Elsewhere the
 * same is shown with a write that fails (test/persist/journal.test.ts).
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { createKey, eventsOf, launch, ownKey, startWithSim, temporaryFolder } from '../helpers/program.ts'

/** The reserve, and a little. */
const JOURNAL_SIZE = '20m'

/** Starts a command with a file system of its own on the journal's folder. */
const onSmallDisk = (journal: string, options: string) => (command: readonly string[]) => [
  'unshare',
  '--map-root-user',
  '--mount',
  'sh',
  '-c',
  `mount -t tmpfs -o ${options} tmpfs "$0" && exec "$@"`,
  journal,
  ...command,
]

function canMount(t: TestContext): boolean {
  try {
    execFileSync('unshare', ['--map-root-user', '--mount', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    t.diagnostic('this system lets nobody mount; see test/persist/journal.test.ts')
    return false
  }
}

function emptyDataDir(t: TestContext): { dataDir: string; journal: string } {
  const dataDir = join(temporaryFolder(t), 'data')
  const journal = join(dataDir, 'journal')
  mkdirSync(journal, { recursive: true, mode: 0o700 })
  return { dataDir, journal }
}

test('a full disk refuses new work with overloaded, what runs is settled, and it recovers when there is room', async (t) => {
  if (!canMount(t)) return
  const { dataDir, journal } = emptyDataDir(t)
  const program = await startWithSim(t, {
    dataDir,
    through: onSmallDisk(journal, `size=${JOURNAL_SIZE}`),
    env: { BURSAR_DUMP_CRON: '* * * * * *' },
  })
  const { key, id } = await createKey(program, [{ metric: 'cost', max: '10', window: '1d' }])
  // The disk is full, and has room again, when the program notices: how many are served until then is anybody's guess.
  let served = 0
  const ask = async (stream: boolean, headers: Record<string, string> = {}) => {
    const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({
        model: 'gpt-4o-mini',
        stream,
        messages: [{ role: 'user', content: 'hello' }],
        max_tokens: 40,
      }),
    })
    if (response.status === 200) served += 1
    return response
  }
  assert.equal((await ask(false)).status, 200)
  const running = await ask(true, { 'x-sim-chunk-delay-ms': '50', 'x-sim-output-tokens': '40' })
  assert.equal(running.status, 200)

  // As the program sees it.
  const fill = join(`/proc/${program.pid}/root`, journal, 'somebody-elses-file')
  fillUp(fill)
  const refused = await eventually(async () => {
    const response = await ask(false)
    assert.equal(response.status, 503, await response.clone().text())
    return response
  })
  assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'overloaded')
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  const ready = (await (await fetch(`${program.gatewayUrl}/readyz`)).json()) as { status: string }
  assert.equal(ready.status, 'degraded')
  const streamed = await running.text()
  assert.match(streamed, /data: \[DONE\]\n\n$/, 'what was in flight is finished')

  rmSync(fill)
  await eventually(async () => assert.equal((await ask(false)).status, 200))
  const events = await eventually(async () => {
    const found = await eventsOf<{ usage_source: string; stream: boolean; requests: number }>(
      program,
      `virtual_key_id=${id}`,
    )
    const charged = found.filter(({ requests }) => requests === 1)
    assert.equal(charged.length, served)
    return charged
  })
  assert.ok(events.every(({ usage_source: source }) => source === 'reported'))
  for (const { held } of (await ownKey(program, key)).limits) assert.equal(Number(held), 0)
  const { differences } = await program.admin<{ differences: unknown[] }>('GET', '/consistency')
  assert.deepEqual(differences, [])
})

test('a journal that cannot be written stops the start with one line that names it', async (t) => {
  if (!canMount(t)) return
  const { dataDir, journal } = emptyDataDir(t)
  const { child, output } = launch(dataDir, { through: onSmallDisk(journal, 'ro,size=1m') })
  const [code] = await new Promise<[number | null]>((resolve) => child.once('close', (ended) => resolve([ended])))
  assert.equal(code, 1, output())
  assert.match(output(), new RegExp(`^bursar: .*${journal}.*$`, 'm'))
})

/** Writes until nothing more fits. */
function fillUp(path: string): void {
  const file = openSync(path, 'w')
  const block = Buffer.alloc(65_536, 'x')
  try {
    for (let size = block.length; size > 0; ) {
      try {
        writeSync(file, block, 0, size)
      } catch {
        size >>= 1
      }
    }
  } finally {
    closeSync(file)
  }
}
