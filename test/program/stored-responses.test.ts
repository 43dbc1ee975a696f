/** Whose a stored response is survives whatever happens to the program, from the moment in which its client has learned of it. */
import assert from 'node:assert/strict'
import { startSim } from '../../src/sim/server.ts'
import { createKey, onBothDatabases, startProgram } from '../helpers/program.ts'

onBothDatabases('what a key has stored is its own after a kill, and still nobody else’s', async (t, env) => {
  const sim = await startSim()
  t.after(() => sim.close())
  const yaml = `providers: [{ name: sim, kind: sim, base_url: "${sim.url}", keys: [{ name: main, value: test }] }]`
  // Nothing is dumped before the kill: the journal alone knows.
  const options = { yaml, env: { ...env, BURSAR_DUMP_CRON: '0 0 1 1 *' } }
  const program = await startProgram(t, options)
  const [own, other] = [await createKey(program), await createKey(program)]
  const ids: string[] = []
  for (const stream of [false, true]) {
    const response = await fetch(`${program.gatewayUrl}/v1/responses`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${own.key}` },
      body: JSON.stringify({ model: 'sim-small', input: 'Hello', stream }),
    })
    ids.push(/"id":"(resp_[^"]+)"/.exec(await response.text())?.[1] ?? '')
  }
  await program.stop('SIGKILL')

  const after = await startProgram(t, { ...options, dataDir: program.dataDir })
  const statusOf = async (id: string, { key }: { key: string }) =>
    (await fetch(`${after.gatewayUrl}/v1/responses/${id}`, { headers: { authorization: `Bearer ${key}` } })).status
  for (const id of ids) assert.deepEqual([await statusOf(id, own), await statusOf(id, other)], [200, 404], id)
  assert.equal(await statusOf('resp_unknown', own), 404)
})
