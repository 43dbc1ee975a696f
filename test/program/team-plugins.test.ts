/** Plugins that bursar.yaml names, in the real program. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { createKey, eventsOf, launch, startWithSim, temporaryFolder } from '../helpers/program.ts'

const OFFICE_HOURS = new URL('../../examples/office-hours.ts', import.meta.url).pathname

test('the example plugin refuses outside its hours, and its options come from bursar.yaml', async (t) => {
  const options = '{ open: "00:00", close: "00:00", timezone: Europe/Berlin }'
  const program = await startWithSim(t, {
    env: { BURSAR_DUMP_CRON: '* * * * * *' },
    yaml: `plugins: [{ path: "${OFFICE_HOURS}", options: ${options} }]\n`,
  })
  const { key } = await createKey(program)
  const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }),
  })
  const { error } = (await response.json()) as { error: { code: string; message: string } }
  assert.deepEqual([response.status, error.code], [403, 'outside_office_hours'])
  assert.match(error.message, /from 00:00 to 00:00 \(Europe\/Berlin\)/)
  const [event] = await eventually(async () => {
    const events = await eventsOf<{ attempt: number; refused_code: string }>(program)
    assert.equal(events.length, 1)
    return events
  })
  assert.deepEqual([event?.attempt, event?.refused_code], [0, 'outside_office_hours'])
  assert.equal(await program.stop(), 0)
})

test('a plugin that cannot be registered stops the start with one line that names it', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'routes.ts')
  writeFileSync(
    path,
    `import { definePlugin } from 'bursar'
export default definePlugin({
  name: 'routes',
  async register(fastify) {
    fastify.register(async () => { throw new Error('no licence') })
  },
})`,
  )
  const { child, output } = launch(join(folder, 'data'), {
    yaml: `plugins: [{ path: "${path}" }]\n`,
    env: { BURSAR_LOG_LEVEL: 'silent' },
  })
  const [code] = await once(child, 'exit')
  assert.deepEqual([code, output()], [1, 'bursar: plugin "routes" could not be registered: no licence\n'])
})
