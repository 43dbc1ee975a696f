/** The real program as its users start it: a process of its own, with a data directory and a simulated provider of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Sim, startSim } from '../../src/sim/server.ts'
import { copyEmptyEmbedded, type OpenTestDatabase, postgresDatabases } from './databases.ts'

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname
const START_MS = 60_000

export interface Program {
  readonly gatewayUrl: string
  readonly adminUrl: string
  readonly dataDir: string
  readonly pid: number
  /** Everything it has printed so far, log lines included. */
  output(): string
  /** Asks the admin API; fails the test when the answer is not the one expected. */
  admin<T = Record<string, unknown>>(method: string, path: string, body?: unknown, expected?: number): Promise<T>
  /** Ends it with a signal and waits for the end; the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Text of the bursar.yaml it starts with. */
  readonly yaml?: string
  /** A data directory of an earlier run. */
  readonly dataDir?: string
  /** Also makes the embedded database, as on a new machine, where a test is about that; otherwise a made one is copied. */
  readonly fromNothing?: boolean
  /** The command that it is started by, in place of itself. */
  readonly through?: (command: readonly string[]) => readonly string[]
}

let postgres: OpenTestDatabase | null = null

/** Declares a test of the program twice: on the embedded database and, with `DATABASE_URL` in `env`, on a real Postgres. */
export function onBothDatabases(
  title: string,
  body: (t: TestContext, env: Readonly<Record<string, string>>) => Promise<void>,
): void {
  postgres ??= postgresDatabases()
  const open = postgres
  test(`${title} (embedded)`, (t) => body(t, {}))
  test(`${title} (Postgres)`, async (t) => {
    const { url } = await open(t, { migrate: false })
    await body(t, { DATABASE_URL: url ?? assert.fail('a real Postgres has an address') })
  })
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs the program until it prints that it is ready, or until it ends. */
export function launch(
  dataDir: string,
  { env = {}, yaml, through = (command) => command }: ProgramOptions,
): { child: ChildProcess; output: () => string } {
  const configured =
    yaml === undefined ? {} : { BURSAR_CONFIG: join(dataDir, '..', `${dataDir.split('/').at(-1)}.yaml`) }
  if (yaml !== undefined) writeFileSync(configured.BURSAR_CONFIG as string, yaml)
  let printed = ''
  const [command = '', ...args] = through([process.execPath, MAIN, 'serve'])
  const child = spawn(command, args, {
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      BURSAR_PORT: '0',
      BURSAR_ADMIN_PORT: '0',
      BURSAR_DATA_DIR: dataDir,
      ...configured,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  return { child, output: () => printed }
}

/** Starts the program and waits until it is ready; it is ended with the test. */
export async function startProgram(t: TestContext, options: ProgramOptions = {}): Promise<Program> {
  const dataDir = options.dataDir ?? join(temporaryFolder(t), 'data')
  if (options.dataDir === undefined && options.fromNothing !== true && options.env?.DATABASE_URL === undefined) {
    await copyEmptyEmbedded(dataDir)
  }
  const { child, output } = launch(dataDir, options)
  const ended = once(child, 'exit')
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  const url = async (listener: string): Promise<string> => {
    const line = new RegExp(`^ *${listener} +(http://\\S+)`, 'm')
    const deadline = performance.now() + START_MS
    for (;;) {
      const match = line.exec(output())
      if (match?.[1] !== undefined) return match[1]
      assert.equal(child.exitCode, null, `the program ended: ${output()}`)
      assert.ok(performance.now() < deadline, `the program did not become ready: ${output()}`)
      await delay(20)
    }
  }
  const gatewayUrl = await url('gateway')
  const adminUrl = await url('admin')
  const adminKey = options.env?.BURSAR_ADMIN_KEY ?? readFileSync(join(dataDir, 'admin-key'), 'utf8').trim()
  return {
    gatewayUrl,
    adminUrl,
    dataDir,
    pid: child.pid ?? assert.fail('it runs'),
    output,
    async admin<T>(method: string, path: string, body?: unknown, expected?: number): Promise<T> {
      const response = await fetch(`${adminUrl}/api${path}`, {
        method,
        headers: {
          authorization: `Bearer ${adminKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const wanted = expected ?? { GET: 200, PATCH: 200, PUT: 200, DELETE: 204, POST: 201 }[method]
      assert.equal(response.status, wanted, `${method} ${path}: ${text}`)
      return (text === '' ? {} : JSON.parse(text)) as T
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      await ended
      return child.exitCode
    },
  }
}

/** The program in front of a simulated provider of the test's own, whose ledger says what really happened. */
export async function startWithSim(
  t: TestContext,
  options: ProgramOptions = {},
): Promise<Program & { readonly sim: Sim }> {
  const sim = await startSim({ port: 0 })
  t.after(() => sim.close())
  const yaml = `providers: [{ name: sim, kind: sim, base_url: "${sim.url}", keys: [{ name: main, value: test }] }]\n${options.yaml ?? ''}`
  return { ...(await startProgram(t, { ...options, yaml })), sim }
}

let keys = 0

/** A virtual key with these limits. */
export async function createKey(
  program: Program,
  limits: readonly object[] = [],
  fields: object = {},
): Promise<{ readonly id: string; readonly key: string }> {
  keys += 1
  return program.admin('POST', '/virtual-keys', { name: `key-${keys}`, limits, ...fields })
}

/** Every event in the books that `filter` (a query such as `virtual_key_id=…`) lets through, page by page. */
export async function eventsOf<E>(program: Program, filter = ''): Promise<E[]> {
  const events: E[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const after = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page: { data: E[]; next_cursor: string | null } = await program.admin(
      'GET',
      `/events?limit=1000${after}${filter === '' ? '' : `&${filter}`}`,
    )
    events.push(...page.data)
    cursor = page.next_cursor
  }
  return events
}

/** What the gateway says about a key, asked with the key itself. */
export async function ownKey(program: Program, key: string): Promise<OwnKey> {
  const response = await fetch(`${program.gatewayUrl}/v1/key`, { headers: { 'x-bursar-key': key } })
  assert.equal(response.status, 200)
  return (await response.json()) as OwnKey
}

export interface OwnKey {
  readonly limits: readonly {
    readonly limit_id: string
    readonly metric: string
    readonly posted: string | number
    readonly held: string | number
    readonly remaining: string | number
    readonly resets_at: string | null
  }[]
}

/** Runs a command of the program to its end. */
export async function runCommand(
  args: readonly string[],
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly out: string; readonly errors: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      BURSAR_DATA_DIR: dataDir,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const printed = { out: '', errors: '' }
  child.stdout.on('data', (chunk: Buffer) => (printed.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (printed.errors += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode, ...printed }
}
