/**
 * Soak: mixed traffic at 60 % of what the gateway can do, for an hour; memory and latency must not grow, and the books must be exact.
 *
 *     npx node scripts/soak.ts [--minutes 60]
 *
 * On Postgres, with ten limits in the chain. Not in the suite.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Call, closedLoop, openLoop } from '../bench/load.ts'
import { residentOf } from '../bench/process-cpu.ts'
import { startPostgres } from '../test/helpers/databases.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } })
const MINUTES = Number(values.minutes)
const SHARE = 0.6
/** Looks at memory and latency: so many in all, the first quarter of which is for warming up. */
const PERIODS = 12
const GROWTH_MAX_MIB = 48
/** What the provider of the benchmarks reports of every chat and stream: 12 × $0.15 and 9 × $0.60 a million. */
const NANO_PER_CHAT = 12n * 150n + 9n * 600n

const folder = mkdtempSync(join(tmpdir(), 'bursar-soak-'))
const children: ChildProcess[] = []
const postgres = await startPostgres()

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}

try {
  const upstream = fork(new URL('../bench/upstream.ts', import.meta.url), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  children.push(upstream)
  const [port] = await once(upstream, 'message')
  const yaml = join(folder, 'bursar.yaml')
  const keys = '[{ name: main, value: sk-of-the-provider }]'
  writeFileSync(
    yaml,
    `providers: [{ name: openai, kind: openai, base_url: "http://127.0.0.1:${port}/v1", keys: ${keys} }]\n`,
  )
  const main = new URL('../src/main.ts', import.meta.url).pathname
  const dataDir = join(folder, 'data')
  const gateway = spawn(process.execPath, [main, 'serve'], {
    env: {
      PATH: process.env.PATH,
      BURSAR_DATA_DIR: dataDir,
      BURSAR_CONFIG: yaml,
      BURSAR_PORT: '0',
      BURSAR_ADMIN_PORT: '0',
      DATABASE_URL: postgres.url,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(gateway)
  let log = ''
  gateway.stderr.on('data', (piece: Buffer) => {
    if (log.length < 65_536) log += piece.toString()
  })
  while (!log.includes('"msg":"ready"')) {
    if (gateway.exitCode !== null) throw new Error(log)
    await delay(20)
  }
  const pid = gateway.pid ?? 0
  const [, origin = ''] = /"gatewayUrl":"([^"]+)"/.exec(log) ?? []
  const [, adminUrl = ''] = /"adminUrl":"([^"]+)"/.exec(log) ?? []
  const authorization = `Bearer ${readFileSync(join(dataDir, 'admin-key'), 'utf8').trim()}`
  const admin = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const headers = { authorization, 'content-type': 'application/json' }
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) }
    const response = await fetch(`${adminUrl}/api${path}`, init)
    if (!response.ok) throw new Error(await response.text())
    return (await response.json()) as T
  }
  const rates = [
    { metric: 'requests', max: 1_000_000_000, window: '1m' },
    { metric: 'tokens', max: 1_000_000_000, window: '1m', align: 'sliding' },
    { metric: 'cost', max: '1000000', window: '1M', align: 'calendar' },
  ]
  interface Made {
    readonly id: string
    readonly key: string
  }
  const customer = await admin<Made>('POST', '/customers', { name: 'acme', limits: [rates[2]] })
  const team = await admin<Made>('POST', '/teams', { name: 'research', customer_id: customer.id, limits: rates })
  const user = await admin<Made>('POST', '/users', { name: 'ada', limits: rates })
  const key = await admin<Made>('POST', '/virtual-keys', {
    name: 'soak',
    user_id: user.id,
    team_id: team.id,
    limits: [...rates.slice(0, 2), { metric: 'cost', max: '1000000', window: 'lifetime' }],
  })

  const call = (words: number, more: object = {}, headers: Record<string, string> = {}): Call => ({
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json', ...headers },
    body: Buffer.from(
      JSON.stringify({
        model: 'gpt-4o-mini',
        max_tokens: 100,
        messages: [{ role: 'user', content: 'word '.repeat(words) }],
        ...more,
      }),
    ),
  })
  const mix = [
    ...Array.from({ length: 7 }, () => call(10)),
    call(6_500),
    call(10, { stream: true }, { 'x-bench-stream': '0' }),
    call(40),
  ]
  let asked = 0
  const next = () => mix[asked++ % mix.length] as Call

  await closedLoop(origin, next, 32, 5_000)
  const capacity = await closedLoop(origin, next, 32, 10_000)
  const rate = Math.floor((capacity.requests / capacity.seconds) * SHARE)
  say(`capacity ${Math.round(capacity.requests / capacity.seconds)}/s, so ${rate}/s for ${MINUTES} minutes`)
  const seconds = (MINUTES * 60) / PERIODS
  const periods: { readonly mib: number; readonly p99: number }[] = []
  for (let period = 1; period <= PERIODS; period += 1) {
    const { p50, p99 } = await openLoop(origin, next, rate, seconds)
    const mib = residentOf(pid)
    periods.push({ mib, p99 })
    say(`${((period * MINUTES) / PERIODS).toFixed(1)} min: ${mib} MiB, p50 ${p50} ms, p99 ${p99} ms`)
  }

  const quarter = PERIODS / 4
  const [early, late] = [periods.slice(quarter, 2 * quarter), periods.slice(-quarter)]
  const growth = median(late.map(({ mib }) => mib)) - median(early.map(({ mib }) => mib))
  const slower = median(late.map(({ p99 }) => p99)) / median(early.map(({ p99 }) => p99))
  say(`after the warm-up: ${growth} MiB more, p99 × ${slower.toFixed(2)}`)

  // Everything is in the books within a dump.
  for (;;) {
    const { journal } = await admin<{ journal: { lag_bytes: number } }>('GET', '/status')
    if (journal.lag_bytes === 0) break
    await delay(200)
  }
  const response = await fetch(`${origin}/v1/key`, { headers: { authorization: `Bearer ${key.key}` } })
  const own = (await response.json()) as {
    limits: { metric: string; window: string | null; scope: string; posted: string; held: string }[]
  }
  const lifetime = own.limits.find(({ metric, window }) => metric === 'cost' && window === 'lifetime')
  const expected = BigInt(asked) * NANO_PER_CHAT
  const consistency = await admin<Record<string, unknown>>('GET', '/consistency')
  const differences = JSON.stringify(consistency)
  say(
    `${asked} requests: $${lifetime?.posted} on the key, ${Number(expected) / 1e9} expected; held ${lifetime?.held}; ${differences}`,
  )
  const [dollars = '', decimals = ''] = String(lifetime?.posted).split('.')
  const exact = BigInt(dollars + decimals.padEnd(9, '0')) === expected && Number(lifetime?.held) === 0
  if (!exact) throw new Error('the books are not exact')
  if (growth > GROWTH_MAX_MIB) throw new Error('memory grows')
  if (slower > 2) throw new Error('latency grows')
} finally {
  for (const child of children) {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  }
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
}
