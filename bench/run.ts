/**
 * `npm run bench`: what a governed request costs, beside proxies that govern nothing, in the same run.
 *
 *     npm run bench [-- --quick] [-- --rounds 7] [-- --json bench/results.json]
 *
 * Every subject is a process of its own in front of the same upstream; rounds go over all of them in turn, and what is compared are processor
 * times (user and system, all threads of the subject's processes) within one round, so that a machine whose speed drifts does not matter much.
 * Medians. nginx and Portkey are measured where they are (`peers.ts`). Bursar's journal is always on: there is no setting to lose money with;
 * what it costs is a line of `steps.ts`.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startPostgres } from '../test/helpers/databases.ts'
import { type Call, closedLoop, type Measured, openLoop } from './load.ts'
import { startPeers } from './peers.ts'
import { cpuOf, residentOf } from './process-cpu.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'string' },
  },
})
const ROUNDS = Number(values.rounds ?? (values.quick ? 3 : 7))
/** How it was asked for, so that anybody can ask for it again. */
const asked = [
  ...(values.quick ? ['--quick'] : []),
  ...(values.rounds === undefined ? [] : ['--rounds', values.rounds]),
]
if (asked.length > 0) asked.unshift('--')
const REFERENCE = '@fastify/http-proxy, bare'

interface Subject {
  readonly name: string
  readonly origin: string
  readonly pids: () => readonly number[]
  readonly headers: Readonly<Record<string, string>>
}

interface Workload {
  readonly name: string
  readonly path: string
  readonly body: object
  readonly headers?: Readonly<Record<string, string>>
  readonly connections: number
  readonly requests: number
  /** Only these subjects; absent = all. */
  readonly only?: RegExp
}

const chat = (words: number, more: object = {}) => ({
  model: 'gpt-4o-mini',
  max_tokens: 100,
  messages: [{ role: 'user', content: 'word '.repeat(words) }],
  ...more,
})
const scale = values.quick ? 0.12 : 1
const WORKLOADS: readonly Workload[] = [
  { name: 'chat, small', path: '/v1/chat/completions', body: chat(10), connections: 32, requests: 8_000 * scale },
  {
    name: 'chat, 32 KB prompt',
    path: '/v1/chat/completions',
    body: chat(6_500),
    connections: 32,
    requests: 3_000 * scale,
  },
  {
    name: 'chat, 400 KB prompt',
    path: '/v1/chat/completions',
    body: chat(80_000),
    connections: 8,
    requests: 400 * scale,
  },
  {
    name: 'embeddings',
    path: '/v1/embeddings',
    body: { model: 'text-embedding-3-small', input: 'a short text', encoding_format: 'float' },
    connections: 32,
    requests: 6_000 * scale,
  },
  {
    name: 'stream of 200 chunks, paced',
    path: '/v1/chat/completions',
    body: chat(10, { stream: true }),
    headers: { 'x-bench-stream': '5' },
    connections: 40,
    requests: values.quick ? 40 : 80,
  },
  {
    name: 'stream of 200 chunks, saturated',
    path: '/v1/chat/completions',
    body: chat(10, { stream: true }),
    headers: { 'x-bench-stream': '0' },
    connections: 32,
    requests: 1_000 * scale,
  },
]

interface Cell {
  readonly subject: string
  readonly workload: string
  readonly cpuUs: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

const folder = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
const children: ChildProcess[] = []
const postgres = await startPostgres()

async function started(script: string, ...args: string[]): Promise<{ pid: number; port: number }> {
  const child = fork(new URL(script, import.meta.url), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  children.push(child)
  const [port] = await once(child, 'message')
  return { pid: child.pid ?? 0, port: Number(port) }
}

/** Bursar on Postgres with its journal, its log read and thrown away, and keys with 0, 3 and 10 limits in their chains. */
async function bursar(upstream: string): Promise<Subject[]> {
  const yaml = join(folder, 'bursar.yaml')
  writeFileSync(
    yaml,
    `providers: [{ name: openai, kind: openai, base_url: "${upstream}/v1", keys: [{ name: main, value: sk-of-the-provider }] }]\n`,
  )
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname, 'serve'], {
    env: {
      PATH: process.env.PATH,
      BURSAR_DATA_DIR: join(folder, 'data'),
      BURSAR_CONFIG: yaml,
      BURSAR_PORT: '0',
      BURSAR_ADMIN_PORT: '0',
      DATABASE_URL: postgres.url,
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
    await delay(20)
  }
  const [, origin = ''] = /"gatewayUrl":"([^"]+)"/.exec(log) ?? []
  const [, admin = ''] = /"adminUrl":"([^"]+)"/.exec(log) ?? []
  const authorization = `Bearer ${readFileSync(join(folder, 'data', 'admin-key'), 'utf8').trim()}`
  const create = async (path: string, body: object) => {
    const headers = { authorization, 'content-type': 'application/json' }
    const response = await fetch(`${admin}/api${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    if (response.status !== 201) throw new Error(await response.text())
    return (await response.json()) as { id: string; key: string }
  }
  const many = 1_000_000_000
  const rates = [
    { metric: 'requests', max: many, window: '1m' },
    { metric: 'tokens', max: many, window: '1m', align: 'sliding' },
    { metric: 'cost', max: '1000000', window: '1M', align: 'calendar' },
  ]
  const customer = await create('/customers', { name: 'acme', limits: [rates[2]] })
  const team = await create('/teams', { name: 'research', customer_id: customer.id, limits: rates })
  const user = await create('/users', { name: 'ada', limits: rates })
  const none = await create('/virtual-keys', { name: 'none' })
  const three = await create('/virtual-keys', { name: 'three', limits: rates })
  const ten = await create('/virtual-keys', { name: 'ten', user_id: user.id, team_id: team.id, limits: rates })
  return [none, three, ten].map(({ key }, at) => ({
    name: `Bursar, ${[0, 3, 10][at]} limits`,
    origin,
    pids: () => [child.pid ?? 0],
    headers: { authorization: `Bearer ${key}` },
  }))
}

async function measure(subject: Subject, workload: Workload): Promise<Cell> {
  const used = () => subject.pids().reduce((sum, pid) => sum + cpuOf(pid), 0)
  const before = used()
  const measured = await closedLoop(
    subject.origin,
    callOf(subject, workload),
    workload.connections,
    Math.ceil(workload.requests),
  )
  const cpuUs = (used() - before) / measured.requests
  return {
    subject: subject.name,
    workload: workload.name,
    cpuUs,
    perSecond: measured.requests / measured.seconds,
    p50: measured.p50,
    p99: measured.p99,
  }
}

function callOf(subject: Subject, { path, body, headers = {} }: Workload): Call {
  return {
    path,
    headers: { 'content-type': 'application/json', ...headers, ...subject.headers },
    body: Buffer.from(JSON.stringify(body)),
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

try {
  const { port } = await started('./upstream.ts')
  const upstream = `http://127.0.0.1:${port}`
  const plain = async (name: string, script: string): Promise<Subject> => {
    const subject = await started(script, upstream)
    return {
      name,
      origin: `http://127.0.0.1:${subject.port}`,
      pids: () => [subject.pid],
      headers: { authorization: 'Bearer sk-of-the-provider' },
    }
  }
  const peers = await startPeers(folder, upstream)
  children.push(...peers.map(({ child }) => child))
  const subjects: Subject[] = [
    await plain(REFERENCE, './subjects/http-proxy.ts'),
    await plain('node:http and undici, by hand', './subjects/by-hand.ts'),
    ...peers,
    ...(await bursar(upstream)),
  ]
  // Warm: the compiler has seen every path.
  for (const workload of WORKLOADS) {
    for (const subject of subjects)
      await measure(subject, { ...workload, requests: Math.max(40, workload.requests / 8) })
  }
  const cells: Cell[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const workload of WORKLOADS) {
      for (const subject of subjects) cells.push(await measure(subject, workload))
    }
  }
  const latencies: { subject: string; rate: number; measured: Measured }[] = []
  const [small] = WORKLOADS as [Workload]
  for (let round = 0; round < (values.quick ? 1 : 3); round += 1) {
    for (const rate of [500, 2_000]) {
      for (const subject of subjects.filter(({ name }) => name === REFERENCE || name.includes('10'))) {
        const measured = await openLoop(subject.origin, callOf(subject, small), rate, values.quick ? 2 : 5)
        latencies.push({ subject: subject.name, rate, measured })
      }
    }
  }
  const results = {
    at: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    rounds: ROUNDS,
    command: ['npm run bench', ...asked].join(' '),
    cpu_us_per_request: WORKLOADS.map((workload) => ({
      workload: workload.name,
      subjects: subjects.map(({ name }) => {
        const own = cells.filter((cell) => cell.subject === name && cell.workload === workload.name)
        const reference = cells.filter((cell) => cell.subject === REFERENCE && cell.workload === workload.name)
        const ratios = own.map((cell, round) => cell.cpuUs / (reference[round]?.cpuUs ?? Number.NaN))
        return {
          subject: name,
          cpu_us: round(median(own.map(({ cpuUs }) => cpuUs)), 1),
          ratio: round(median(ratios), 2),
          ratio_min: round(Math.min(...ratios), 2),
          ratio_max: round(Math.max(...ratios), 2),
          per_second: Math.round(median(own.map(({ perSecond }) => perSecond))),
          p50_ms: median(own.map(({ p50 }) => p50)),
          p99_ms: median(own.map(({ p99 }) => p99)),
        }
      }),
    })),
    open_loop: [500, 2_000].flatMap((rate) =>
      [...new Set(latencies.map(({ subject }) => subject))].map((subject) => {
        const own = latencies.filter((one) => one.subject === subject && one.rate === rate)
        return {
          rate,
          subject,
          p50_ms: median(own.map(({ measured }) => measured.p50)),
          p99_ms: median(own.map(({ measured }) => measured.p99)),
        }
      }),
    ),
    resident_mib: subjects.map(({ name, pids }) => ({
      subject: name,
      mib: pids().reduce((sum, pid) => sum + residentOf(pid), 0),
    })),
  }
  report(results)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
} finally {
  for (const child of children) {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}

function report(results: {
  cpu_us_per_request: { workload: string; subjects: Record<string, unknown>[] }[]
  open_loop: object[]
  resident_mib: object[]
}): void {
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  for (const { workload, subjects } of results.cpu_us_per_request) {
    print(`\n${workload}`)
    print(
      `  ${'subject'.padEnd(32)}${['CPU µs', 'ratio', '(spread)', 'req/s', 'p50 ms', 'p99 ms'].map((head) => head.padStart(13)).join('')}`,
    )
    for (const row of subjects) {
      const spread = `${row.ratio_min}–${row.ratio_max}`
      const shown = [row.cpu_us, row.ratio, spread, row.per_second, row.p50_ms, row.p99_ms]
      print(`  ${String(row.subject).padEnd(32)}${shown.map((value) => String(value).padStart(13)).join('')}`)
    }
  }
  print('\nlatency of small requests at a fixed rate (open loop)')
  for (const row of results.open_loop) print(`  ${Object.values(row).join('  ')}`)
  print('\nresident memory, MiB')
  for (const row of results.resident_mib) print(`  ${Object.values(row).join('  ')}`)
}
