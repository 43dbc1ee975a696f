/** The package that is published, in a project that has nothing else of this repository. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { copyEmptyEmbedded } from '../helpers/databases.ts'
import { temporaryFolder } from '../helpers/program.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSC = join(ROOT, 'node_modules/.bin/tsc')

const STRICT = {
  target: 'esnext',
  lib: ['esnext'],
  types: ['node'],
  module: 'nodenext',
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  noEmit: true,
  allowImportingTsExtensions: true,
}

/** Uses what a consumer would see if the declarations were missing: decorators, options, hooks. */
const TYPES = `
import { type Bursar, createBursar, definePlugin, auth, rateLimiter, budgetResolver, usageTracker, governance, persister, requestFacts, admission, proxy, forms, webSockets, errorHandler, createGovernance, defaultSettings, systemClock } from 'bursar'
import Fastify, { type FastifyInstance } from 'fastify'

const app = Fastify()
const built = createGovernance({ settings: defaultSettings, clock: systemClock, facts: { accepting: true, append() {}, flushed() {} }, log: app.log })
app.register(errorHandler)
app.register(governance, { governance: built })
app.register(async (scope) => {
  scope.register(auth, { trustedProxies: ['10.0.0.0/8'] })
  scope.register(forms)
  scope.register(requestFacts)
  scope.register(rateLimiter)
  scope.register(budgetResolver)
  scope.register(admission)
  scope.register(usageTracker)
  scope.register(webSockets)
  scope.register(proxy)
  scope.addHook('onResponse', async (request) => {
    const id: string = request.bursarId
    const key: string | undefined = request.principal?.key?.name
    const held: bigint | undefined = request.admitted?.estimate.costNanoUsd
    scope.log.info({ id, key, held })
    // @ts-expect-error there is no such decorator
    request.bursarID
  })
  scope.usageTracker.onEvent((event) => scope.log.info({ cost: event.costNanoUsd }))
})
// @ts-expect-error governance has to be given
app.register(governance, {})
// @ts-expect-error a list is wanted
app.register(auth, { trustedProxies: 1 })
definePlugin({
  name: 'rules',
  beforeAdmission: (asked) => (asked.stream ? { tags: ['stream'] } : undefined),
})
// @ts-expect-error a verdict is one of two things
definePlugin({ name: 'rules', beforeAdmission: () => ({ refused: true }) })
export async function embed(server: FastifyInstance, parts: Parameters<typeof persister>[1]): Promise<Bursar> {
  const bursar = await createBursar({ dataDir: './data' })
  server.register(bursar.gateway)
  server.register(persister, parts)
  return bursar
}
`

const PROGRAM = `
import { createBursar, serverOptions } from 'bursar'
import Fastify from 'fastify'
import { readFileSync } from 'node:fs'

const bursar = await createBursar({ dataDir: process.argv[2]!, env: { BURSAR_LOG_LEVEL: 'warn' } })
const app = Fastify(serverOptions)
app.get('/own', async () => ({ mine: true }))
app.register(bursar.gateway)
const url = await app.listen({ port: 0, host: '127.0.0.1' })
const key = readFileSync(process.argv[2] + '/keys/first', 'utf8').trim()
const response = await fetch(url + '/v1/chat/completions', {
  method: 'POST',
  headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] }),
})
const own = await (await fetch(url + '/own')).json()
await response.text()
await app.close()
process.stdout.write(JSON.stringify({ status: response.status, cost: response.headers.get('x-bursar-cost-usd'), own }))
`

function pack(folder: string): string {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8' }),
  ) as { filename: string }[]
  return join(folder, packed?.filename ?? '')
}

/** The tarball in node_modules, as an installation would leave it; its dependencies are ours, linked, so that no network is asked. */
function project(t: TestContext): string {
  const folder = temporaryFolder(t)
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'bursar'), { recursive: true })
  const names = readdirSync(join(ROOT, 'node_modules')).filter((name) => !name.startsWith('.'))
  for (const name of names) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  execFileSync('tar', ['-xzf', pack(folder), '-C', join(modules, 'bursar'), '--strip-components=1'])
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  return folder
}

test('the packed tarball type-checks under strict settings, and serves a request in a server of its user', async (t) => {
  const folder = project(t)
  writeFileSync(join(folder, 'types.ts'), TYPES)
  writeFileSync(join(folder, 'program.ts'), PROGRAM)
  writeFileSync(join(folder, 'office-hours.ts'), readFileSync(join(ROOT, 'examples/office-hours.ts')))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT }))
  const checked = spawnSync(TSC, [], { cwd: folder, encoding: 'utf8' })
  assert.equal(checked.status, 0, checked.stdout)

  const packed = join(folder, 'node_modules/bursar')
  assert.deepEqual(
    readdirSync(packed).filter((name) => ['src', 'test', 'node_modules', 'data'].includes(name)),
    [],
  )
  const dataDir = join(folder, 'data')
  await copyEmptyEmbedded(dataDir)
  const env = { PATH: process.env.PATH, BURSAR_DATA_DIR: dataDir }
  const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: folder, env, encoding: 'utf8' })
  const program = run('program.ts', dataDir)
  assert.equal(program.status, 0, program.stderr)
  const { status, cost, own } = JSON.parse(program.stdout)
  assert.deepEqual([status, own], [200, { mine: true }])
  assert.match(cost, /^0\.0*[1-9]/)

  // The same books, from the command line of the package: its worker threads and its migrations found where they lie there.
  const bin = join(packed, 'bin/bursar.js')
  const keys = run(bin, 'keys', 'list')
  assert.match(keys.stdout, /first/, keys.stderr)
})
