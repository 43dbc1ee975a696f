/**
 * The database goes away under load, in every way that it can, and comes back: no client notices, and nothing is missing or double.
 *
 * Longer: `npx node scripts/chaos.ts outage --seconds 60`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cutProxy } from '../helpers/cut-proxy.ts'
import { stoppablePostgres } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Program, startProgram } from '../helpers/program.ts'
import { assertBooks, chosen, Load, makeChain, makeWorld } from './load.ts'

const SECONDS = chosen('CHAOS_SECONDS', 3)
const AWAY_MS = 1_500

async function readiness({ gatewayUrl }: Program): Promise<{ code: number; status: string; reasons?: string[] }> {
  const response = await fetch(`${gatewayUrl}/readyz`)
  return { code: response.status, ...((await response.json()) as { status: string; reasons?: string[] }) }
}

test('F09 F10 F12 F17 the database goes away under load: requests are served on, keys can be disabled, and every cent lands once', async (t) => {
  const world = await makeWorld(t, chosen('CHAOS_SEED', Math.floor(Math.random() * 2 ** 30)))
  const server = await stoppablePostgres(t)
  const proxy = await cutProxy(t, server.port)
  const program = await startProgram(t, {
    env: {
      DATABASE_URL: `postgres://postgres:postgres@127.0.0.1:${proxy.port}/postgres`,
      BURSAR_DUMP_CRON: '* * * * * *',
    },
    yaml: world.yaml,
  })
  const chain = await makeChain(program)
  const load = new Load(() => program, chain, world.random)
  t.after(() => load.stop())
  await eventually(() => assert.ok(load.answered.size > 50))

  const deadline = performance.now() + SECONDS * 1_000
  let outages = 0
  do {
    outages += 1
    const doomed = await eventually(() =>
      program.admin<{ id: string; key: string }>('POST', '/virtual-keys', { name: `doomed-${outages}` }),
    )
    // Connections break in the middle of whatever they are doing.
    proxy.cut()
    await delay(world.random.between(0, 400))
    proxy.cut()
    // A COMMIT that lands, and nobody is told that it did.
    const lost = proxy.lostReplies
    proxy.loseCommitReply()
    await eventually(() => assert.ok(proxy.lostReplies > lost))
    // The server itself stops.
    await server.stop()
    await eventually(async () => {
      const { code, status, reasons } = await readiness(program)
      assert.deepEqual([code, status, reasons?.length], [200, 'degraded', 1])
    })
    await program.admin('POST', '/customers', { name: `later-${outages}` }, 503)
    await program.admin('PATCH', `/virtual-keys/${doomed.id}`, { active: false }, 202)
    const refused = await fetch(`${program.gatewayUrl}/v1/key`, { headers: { 'x-bursar-key': doomed.key } })
    assert.equal(refused.status, 403, 'in force at once')
    const before = load.answered.size
    await delay(AWAY_MS)
    assert.ok(load.answered.size > before + 20, 'served on from memory and journal')
    await server.start()
    await eventually(async () => assert.equal((await readiness(program)).status, 'ok'), 30_000)
    const { active } = await eventually(() => program.admin<{ active: boolean }>('GET', `/virtual-keys/${doomed.id}`))
    assert.equal(active, false, 'written when the database was back')
  } while (performance.now() < deadline)

  await load.stop()
  assert.deepEqual([load.failed, load.broken], [[], []], 'no client has noticed')
  await eventually(async () => {
    const { journal } = await program.admin<{ journal: { lag_bytes: number } }>('GET', '/status')
    assert.equal(journal.lag_bytes, 0)
  })
  const events = await assertBooks(program, world, load.answered)
  assert.ok(!events.some(({ usage_source: source }) => source === 'orphaned'))
  const back = program.output().match(/"msg":"dump works again"/g)?.length ?? 0
  assert.ok(back >= outages, 'that it is back is logged')
  t.diagnostic(`${outages} outages, ${proxy.lostReplies} lost COMMIT replies, ${load.answered.size} answered`)
})
