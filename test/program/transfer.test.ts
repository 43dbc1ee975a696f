/** Everything is moved to another machine: what a request may do there is what it may do before. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKey, runCommand, startProgram, startWithSim, temporaryFolder } from '../helpers/program.ts'
import { Random } from '../sim/random.ts'

const SEED = Number(process.env.TRANSFER_SEED ?? Math.floor(Math.random() * 2 ** 30))
const MODELS = [
  'gpt-4o-mini',
  'gpt-4o',
  'claude-haiku-4-5',
  'no-such-model',
  'sim/gpt-4o-mini',
  'other/gpt-4o',
] as const

test('U17 F11 export, an empty data directory, import: 200 random dry runs are answered alike', async (t) => {
  t.diagnostic(`TRANSFER_SEED=${SEED}`)
  const random = new Random(SEED)
  const env = { BURSAR_SECRET: 'the same on both machines', BURSAR_DUMP_CRON: '* * * * * *' }
  const before = await startWithSim(t, { env })
  const { id: customer } = await before.admin<{ id: string }>('POST', '/customers', {
    name: 'acme',
    limits: [{ metric: 'cost', max: '0.01', window: '1M', align: 'calendar' }],
  })
  const { id: team } = await before.admin<{ id: string }>('POST', '/teams', { name: 'research', customer_id: customer })
  const keys: string[] = []
  for (let n = 0; n < 12; n += 1) {
    const user = await before.admin<{ id: string }>('POST', '/users', {
      name: `user-${n}`,
      kind: n % 4 === 0 ? 'special' : 'normal',
    })
    const limits = [
      { metric: 'requests', max: random.between(1, 6), window: random.pick(['1d', '1h30m', 'daily', 'lifetime']) },
      { metric: 'tokens', max: random.between(50, 5_000), window: '1d', align: random.pick(['fixed', 'sliding']) },
      { metric: 'cost', max: '0.001', window: '1M', mode: random.pick(['enforce', 'observe']), model: 'gpt-4o*' },
    ]
    const access = n % 3 === 0 ? [{ provider: 'sim', models: ['gpt-*'], blocked_models: ['gpt-4o'] }] : null
    const { key } = await createKey(before, limits, {
      user_id: user.id,
      access,
      ...(n % 2 === 0 ? { team_id: team } : {}),
    })
    keys.push(key)
  }
  const ask = (url: string, key: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const requestOf = () => ({
    model: random.pick(MODELS),
    messages: [{ role: 'user', content: 'hello '.repeat(random.between(1, 300)) }],
    ...(random.chance(0.5) ? { max_tokens: random.between(1, 2_000) } : {}),
  })
  for (let n = 0; n < 40; n += 1) await (await ask(before.gatewayUrl, random.maybe(keys) ?? '', requestOf())).text()

  const file = join(temporaryFolder(t), 'bursar.json')
  // What has been learned of how many tokens a byte makes is not part of the books: both begin without it.
  await before.stop()
  const here = await startProgram(t, { dataDir: before.dataDir, env })
  const exported = await runCommand(['export', file], here.dataDir, env)
  assert.deepEqual([exported.code, exported.errors, exported.out], [0, '', ''])
  const dataDir = join(temporaryFolder(t), 'data')
  const imported = await runCommand(['import', file], dataDir, env)
  assert.deepEqual([imported.code, imported.errors], [0, ''])
  assert.match(imported.out, /^imported 1 customers, 1 teams, 12 users, .*13 virtual keys/)
  const there = await startProgram(t, { dataDir, env })

  const codes = new Set<unknown>()
  for (let n = 0; n < 200; n += 1) {
    const key = random.maybe(keys) ?? ''
    const request = requestOf()
    const [one, other] = await Promise.all(
      [here, there].map(async ({ gatewayUrl }) => {
        const answer = await ask(gatewayUrl, key, request, { 'x-bursar-dry-run': '1' })
        return {
          status: answer.status,
          body: (await answer.json()) as { code: unknown; limits?: { remaining: unknown }[] },
        }
      }),
    )
    assert.deepEqual(other, one, JSON.stringify(request).slice(0, 200))
    codes.add(one?.body.code)
  }
  assert.ok(codes.size >= 4, `the answers are of several kinds: ${[...codes]}`)
  const { differences, hour_differences: hours } = await there.admin<{
    differences: unknown[]
    hour_differences: unknown[]
  }>('GET', '/consistency')
  assert.deepEqual([differences, hours], [[], []])
})
