/**
 * The program is ended under load, again and again, and nothing that was settled is lost or counted twice (promise 2).
 *
 * Longer: `npx node scripts/chaos.ts kill --rounds 200`. A failure names its seed: `CHAOS_SEED=n npm test -- test/chaos/kill.test.ts`.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { onBothDatabases, type Program, runCommand, startProgram } from '../helpers/program.ts'
import { assertBooks, chosen, type Event, Load, makeChain, makeWorld } from './load.ts'

const ROUNDS = chosen('CHAOS_ROUNDS', 5)
/** Answers after which a round's end may come; the moment itself is anybody's. */
const ANSWERS_MIN = 60

async function endedUnderLoad(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  signal: 'SIGKILL' | 'SIGTERM',
  rounds: number,
): Promise<{ events: Event[]; program: Program }> {
  const world = await makeWorld(t, chosen('CHAOS_SEED', Math.floor(Math.random() * 2 ** 30)))
  const options = { env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' }, yaml: world.yaml }
  let program = await startProgram(t, options)
  const chain = await makeChain(program)
  const answered = new Set<string>()
  for (let round = 1; round <= rounds; round++) {
    const load = new Load(() => program, chain, world.random)
    t.after(() => load.stop())
    await eventually(
      () => assert.ok(load.answered.size >= ANSWERS_MIN, `${load.answered.size} answers; ${load.failed[0]}`),
      60_000,
    )
    const reset = program.admin('POST', `/limits/${chain.resetLimit}/reset`, undefined, 200).catch(() => {})
    await delay(world.random.between(0, 300))
    const code = await program.stop(signal)
    if (signal === 'SIGTERM') assert.equal(code, 0, program.output())
    await load.stop()
    await reset
    assert.deepEqual(load.failed, [])
    for (const request of load.answered) answered.add(request)
    program = await startProgram(t, { ...options, dataDir: program.dataDir })
    if (round % 20 === 0) t.diagnostic(`${round} rounds, ${answered.size} answered`)
  }
  const events = await assertBooks(program, world, answered)
  const sources = Map.groupBy(events, ({ usage_source: source }) => source ?? 'nothing charged')
  t.diagnostic(
    `${rounds} rounds: ${answered.size} answered, ${[...sources].map(([source, of]) => `${of.length} ${source}`).join(', ')}`,
  )
  return { events, program }
}

onBothDatabases(
  'F02 F09 F10 killed under load: every answered request stands in the books once, at the provider’s figures, and nothing is held',
  async (t, env) => {
    const { program } = await endedUnderLoad(t, env, 'SIGKILL', ROUNDS)
    await program.stop()
    const rebuilt = await runCommand(['rebuild'], program.dataDir, env)
    assert.deepEqual([rebuilt.code, rebuilt.errors], [0, ''], rebuilt.out)
  },
)

onBothDatabases('T19 F02 F09 F10 told to stop under load, nothing is orphaned either', async (t, env) => {
  const { events } = await endedUnderLoad(t, env, 'SIGTERM', Math.ceil(ROUNDS / 2))
  assert.deepEqual(
    events.filter(({ usage_source: source }) => source === 'orphaned'),
    [],
  )
})
