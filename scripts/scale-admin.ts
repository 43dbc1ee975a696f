/**
 * What an admin feels of many entities: an import of 100,000 users and keys, a start that loads them, and pages of lists.
 *
 *     npx node scripts/scale-admin.ts [--users 100000] [--embedded]
 *
 * Goals: import in bounded memory, the store loaded within 5 s, every page of a list within 50 ms.
 */
import { spawn } from 'node:child_process'
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { hashKey } from '../src/auth/virtual-key.ts'
import { headLine, lastLine, SECTION_END, sectionStart, TRANSFERRED } from '../src/persist/transfer-format.ts'
import { newId } from '../src/units/id.ts'
import { startPostgres } from '../test/helpers/databases.ts'

const { values } = parseArgs({
  options: { users: { type: 'string', default: '100000' }, embedded: { type: 'boolean', default: false } },
})
const USERS = Number(values.users)
const MAIN = new URL('../src/main.ts', import.meta.url).pathname

const folder = mkdtempSync(join(tmpdir(), 'bursar-scale-'))
const postgres = values.embedded ? null : await startPostgres()
const environment = (dataDir: string) => ({
  PATH: process.env.PATH,
  BURSAR_DATA_DIR: dataDir,
  BURSAR_PORT: '0',
  BURSAR_ADMIN_PORT: '0',
  ...(postgres === null ? {} : { DATABASE_URL: postgres.url }),
})

/** A document with users, a key of each and a limit of each key, made row by row. */
function* documentOf(schema: string): Generator<string> {
  const at = new Date().toISOString()
  const usual = { metadata: {}, managed_by: 'api', created_at: at, updated_at: at }
  const people = Array.from({ length: USERS }, (_, n) => ({ n, user: newId(), key: newId() }))
  yield headLine({ schema, secretSalt: Buffer.alloc(16).toString('base64'), exportedAt: at })
  let rows = 0
  for (const table of TRANSFERRED) {
    yield sectionStart(table)
    if (table === 'users' || table === 'virtual_keys' || table === 'limits') {
      for (const { n, user, key } of people) {
        const row =
          table === 'users'
            ? { id: user, name: `user ${n}`, kind: 'normal', ...usual }
            : table === 'virtual_keys'
              ? {
                  id: key,
                  name: `key ${n}`,
                  hash: hashKey(`an-imported-key-${n}`),
                  key_start: 'an-imported',
                  user_id: user,
                  active: true,
                  passthrough: false,
                  ...usual,
                }
              : {
                  id: newId(),
                  scope_kind: 'virtual_key',
                  scope_id: key,
                  metric: 'cost',
                  max_nano_usd: 10_000_000_000,
                  window: '1d',
                  align: 'fixed',
                  timezone: 'UTC',
                  mode: 'enforce',
                  alert_at: ['0.8', '1'],
                  anchor_at: at,
                  count_number: 1,
                  managed_by: 'api',
                  created_at: at,
                  updated_at: at,
                }
        rows += 1
        yield `${JSON.stringify(row)}${n === USERS - 1 ? '\n' : ',\n'}`
      }
    }
    yield SECTION_END
  }
  yield lastLine(rows)
}

interface Run {
  readonly ms: number
  readonly peakMiB: number
  readonly out: string
}

async function run(args: readonly string[], dataDir: string): Promise<Run> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: environment(dataDir),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  let peakMiB = 0
  const watch = setInterval(() => {
    const [, kib] = /VmHWM:\s+(\d+)/.exec(statusOf(child.pid)) ?? []
    if (kib !== undefined) peakMiB = Math.max(peakMiB, Math.round(Number(kib) / 1_024))
  }, 50)
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearInterval(watch)
  if (code !== 0) throw new Error(`bursar ${args.join(' ')} ended with ${code}`)
  return { ms: Math.round(performance.now() - startedAt), peakMiB, out }
}

function statusOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}

const dataDir = join(folder, 'data')
try {
  const empty = await run(['export'], dataDir)
  const [, schema = ''] = /"schema":"(\w+)"/.exec(empty.out) ?? []
  const file = join(folder, 'many.json')
  await pipeline(Readable.from(documentOf(schema)), createWriteStream(file))
  const imported = await run(['import', file], dataDir)
  say(
    `import of ${USERS} users, keys and limits: ${(imported.ms / 1_000).toFixed(1)} s, at most ${imported.peakMiB} MiB (an empty export: ${empty.peakMiB} MiB)`,
  )

  const child = spawn(process.execPath, [MAIN, 'serve'], {
    env: environment(dataDir),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const startedAt = performance.now()
  while (!log.includes('"msg":"ready"')) {
    if (child.exitCode !== null) throw new Error(log)
    await delay(10)
  }
  say(`ready after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
  const [, adminUrl = ''] = /"adminUrl":"([^"]+)"/.exec(log) ?? []
  const authorization = `Bearer ${readFileSync(join(dataDir, 'admin-key'), 'utf8').trim()}`
  const page = async (path: string) => {
    const asked = performance.now()
    const response = await fetch(`${adminUrl}/api${path}`, { headers: { authorization } })
    const body = (await response.json()) as { next_cursor: string | null; data: unknown[] }
    return { ms: performance.now() - asked, ...body }
  }
  for (const list of ['/users', '/virtual-keys', '/limits']) {
    const walked: number[] = []
    for (let cursor: string | null = ''; cursor !== null && walked.length < 2_500; ) {
      const { ms, next_cursor: next } = await page(`${list}?limit=50${cursor === '' ? '' : `&cursor=${cursor}`}`)
      walked.push(ms)
      cursor = next
    }
    const sorted = walked.toSorted((a, b) => a - b)
    const [first = 0, last = 0] = [walked[0], walked.at(-1)]
    say(
      `${list}: ${walked.length} pages of 50; first ${first.toFixed(1)} ms, last ${last.toFixed(1)} ms, median ${sorted[sorted.length >> 1]?.toFixed(1)} ms, p99 ${sorted[Math.floor(sorted.length * 0.99)]?.toFixed(1)} ms`,
    )
  }
  for (const path of [
    '/users?search=99999',
    '/virtual-keys?search=KEY 77',
    '/users?kind=temporary',
    '/limits?metric=cost&scope_kind=virtual_key',
  ]) {
    const times: number[] = []
    for (let n = 0; n < 10; n += 1) times.push((await page(`${path}&limit=50`)).ms)
    say(`${path}: median ${times.toSorted((a, b) => a - b)[5]?.toFixed(1)} ms`)
  }
  child.kill('SIGTERM')
  await new Promise((resolve) => child.once('close', resolve))
} finally {
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
