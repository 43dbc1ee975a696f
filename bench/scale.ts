/**
 * Scale: a store of a million keys with two million limits, beside a small one, on Postgres.
 *
 *     npx node bench/scale.ts [--keys 1000000] [--json bench/scale.json]
 *
 * Goals: at most 1.5 GB more than an idle gateway, ready within 15 s, a request within 10 % of what it costs beside a small store.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../test/helpers/databases.ts'
import { closedLoop } from './load.ts'
import { cpuOf, residentOf } from './process-cpu.ts'

const { values } = parseArgs({
  options: { keys: { type: 'string', default: '1000000' }, json: { type: 'string' } },
})
const KEYS = Number(values.keys)
const SMALL_KEYS = 1_000
/** Keys in use at once, so that the caches of the processor are as warm for the one store as for the other. */
const HOT_KEYS = 500
const REQUESTS = 6_000
const ROUNDS = 7
const DIRTY_KEYS = Math.min(50_000, KEYS)
const MAIN = new URL('../src/main.ts', import.meta.url).pathname

const folder = mkdtempSync(join(tmpdir(), 'bursar-scale-'))
const children: ChildProcess[] = []
const databases: Awaited<ReturnType<typeof startPostgres>>[] = []

interface Gateway {
  readonly pid: number
  readonly origin: string
  readonly adminUrl: string
  readonly adminKey: string
  readonly readyMs: number
  /** Of processor time until then, which says more than the clock where others are at work. */
  readonly readyCpuMs: number
}

async function database(keys: number): Promise<string> {
  const server = await startPostgres()
  databases.push(server)
  const migrated = spawn(process.execPath, [MAIN, 'migrate', 'up'], {
    env: { PATH: process.env.PATH, DATABASE_URL: server.url },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(migrated, 'close')
  if (code !== 0) throw new Error('the migrations failed')
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query(`
    insert into virtual_keys (id, name, hash, key_start)
    select gen_random_uuid(), 'key ' || n, encode(sha256(convert_to('an-imported-key-' || n, 'UTF8')), 'hex'), 'an-imported'
    from generate_series(1, ${keys}) n`)
  await client.query(`
    insert into limits (id, scope_kind, scope_id, metric, max_nano_usd, "window", align)
    select gen_random_uuid(), 'virtual_key', id, 'cost', 1000000000000000, '1d', 'fixed' from virtual_keys`)
  await client.query(`
    insert into limits (id, scope_kind, scope_id, metric, max_count, "window", align)
    select gen_random_uuid(), 'virtual_key', id, 'requests', 1000000000, '1m', 'fixed' from virtual_keys`)
  await client.query('vacuum analyze')
  await client.end()
  return server.url
}

async function gateway(name: string, databaseUrl: string, upstream: string): Promise<Gateway> {
  const yaml = join(folder, `${name}.yaml`)
  const key = '{ name: main, value: sk-of-the-provider }'
  writeFileSync(yaml, `providers: [{ name: openai, kind: openai, base_url: "${upstream}/v1", keys: [${key}] }]\n`)
  const dataDir = join(folder, name)
  const startedAt = performance.now()
  const child = spawn(process.execPath, [MAIN, 'serve'], {
    env: {
      PATH: process.env.PATH,
      BURSAR_DATA_DIR: dataDir,
      BURSAR_CONFIG: yaml,
      BURSAR_PORT: '0',
      BURSAR_ADMIN_PORT: '0',
      DATABASE_URL: databaseUrl,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(child)
  let log = ''
  child.stderr.on('data', (piece: Buffer) => {
    if (log.length < 65_536) log += piece.toString()
  })
  while (!log.includes('"msg":"ready"')) {
    if (child.exitCode !== null) throw new Error(log)
    await delay(10)
  }
  const readyMs = performance.now() - startedAt
  const readyCpuMs = cpuOf(child.pid ?? 0) / 1_000
  const [, origin = ''] = /"gatewayUrl":"([^"]+)"/.exec(log) ?? []
  const [, adminUrl = ''] = /"adminUrl":"([^"]+)"/.exec(log) ?? []
  const adminKey = readFileSync(join(dataDir, 'admin-key'), 'utf8').trim()
  return { pid: child.pid ?? 0, origin, adminUrl, adminKey, readyMs, readyCpuMs }
}

const BODY = Buffer.from(
  JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 100, messages: [{ role: 'user', content: 'word '.repeat(10) }] }),
)

/** Calls by the keys from `first` on, each by the next one. */
function callsOf(first: number, keys: number) {
  let asked = 0
  return () => {
    const n = first + (asked++ % keys)
    return {
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json', authorization: `Bearer an-imported-key-${n}` },
      body: BODY,
    }
  }
}

/** µs of processor time a request, the dump included. */
async function cpuPerRequest({ origin, pid }: Gateway, first: number, keys: number, requests: number): Promise<number> {
  const before = cpuOf(pid)
  await closedLoop(origin, callsOf(first, keys), 32, requests)
  return (cpuOf(pid) - before) / requests
}

async function admin<T>({ adminUrl, adminKey }: Gateway, method: string, path: string, body?: object): Promise<T> {
  const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) }
  const response = await fetch(`${adminUrl}/api${path}`, init)
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as T
}

async function dumped(of: Gateway): Promise<void> {
  for (;;) {
    const { journal } = await admin<{ journal: { lag_bytes: number } }>(of, 'GET', '/status')
    if (journal.lag_bytes === 0) return
    await delay(50)
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}

const say = (line: string) => void process.stdout.write(`${line}\n`)

try {
  const upstream = fork(new URL('./upstream.ts', import.meta.url), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  children.push(upstream)
  const [port] = await once(upstream, 'message')
  const provider = `http://127.0.0.1:${port}`
  const small = await gateway('small', await database(SMALL_KEYS), provider)
  const many = await database(KEYS)
  await delay(2_000)
  const idleMiB = residentOf(small.pid)
  const large = await gateway('large', many, provider)
  const loadedMiB = residentOf(large.pid)
  await delay(10_000)
  const restingMiB = residentOf(large.pid)
  const ready = ({ readyMs, readyCpuMs }: Gateway) =>
    `${(readyMs / 1_000).toFixed(1)} s, ${(readyCpuMs / 1_000).toFixed(1)} s of CPU`
  say(`${KEYS} keys, ${2 * KEYS} limits: ready after ${ready(large)} (${SMALL_KEYS} keys: ${ready(small)})`)
  say(
    `resident: ${idleMiB} MiB idle; ${loadedMiB} MiB when loaded, ${restingMiB} ten seconds later: ${loadedMiB - idleMiB} more`,
  )

  for (const one of [small, large]) await cpuPerRequest(one, 1, HOT_KEYS, 2 * REQUESTS)
  const ratios: number[] = []
  const costs: number[][] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    const [a, b] = [
      await cpuPerRequest(small, 1, HOT_KEYS, REQUESTS),
      await cpuPerRequest(large, 1, HOT_KEYS, REQUESTS),
    ]
    costs[0]?.push(a)
    costs[1]?.push(b)
    ratios.push(b / a)
  }
  const [smallUs, largeUs] = costs.map(median) as [number, number]
  say(
    `CPU a request, two limits, dump included: ${smallUs.toFixed(0)} µs small, ${largeUs.toFixed(0)} large: × ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
  )

  await dumped(large)
  const dirtyUs = await cpuPerRequest(large, KEYS - DIRTY_KEYS + 1, DIRTY_KEYS, DIRTY_KEYS)
  const endedAt = performance.now()
  await dumped(large)
  const behindMs = performance.now() - endedAt
  const { dump } = await admin<{ dump: { last_ms: number } }>(large, 'GET', '/status')
  say(
    `${2 * DIRTY_KEYS} limits used once each: ${dirtyUs.toFixed(0)} µs CPU a request; the books had all of it ${behindMs.toFixed(0)} ms after the last answer (last dump ${dump.last_ms} ms)`,
  )

  const { data } = await admin<{ data: { id: string }[] }>(large, 'GET', '/limits?limit=20')
  const edits: number[] = []
  for (const [n, { id }] of data.entries()) {
    const asked = performance.now()
    await admin(large, 'PATCH', `/limits/${id}`, { alert_at: [`0.${50 + n}`] })
    edits.push(performance.now() - asked)
  }
  const afterEditUs = await cpuPerRequest(large, 1, HOT_KEYS, REQUESTS)
  say(
    `an admin's edit of a limit: ${median(edits).toFixed(1)} ms (at most ${Math.max(...edits).toFixed(1)}); requests after it ${afterEditUs.toFixed(0)} µs`,
  )
  if (values.json !== undefined) {
    const results = {
      keys: KEYS,
      limits: 2 * KEYS,
      ready_s: round(large.readyMs / 1_000),
      ready_cpu_s: round(large.readyCpuMs / 1_000),
      growth_mib: loadedMiB - idleMiB,
      cpu_ratio: round(median(ratios)),
      dirty_limits: 2 * DIRTY_KEYS,
      dirty_us_per_request: round(dirtyUs),
      edit_ms: round(median(edits)),
    }
    writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
  }
} finally {
  for (const child of children) {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }
  for (const server of databases) await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
