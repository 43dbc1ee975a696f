/** A stop under traffic loses nothing, and a start continues every number. */
import assert from 'node:assert/strict'
import { nanoOf } from '../clients/expectation.ts'
import { eventually } from '../helpers/eventually.ts'
import { createKey, eventsOf, onBothDatabases, ownKey, startProgram, startWithSim } from '../helpers/program.ts'

const CLIENTS = 8

interface Event {
  readonly request_id: string
  readonly cost_usd: string
  readonly input_tokens: number
  readonly output_tokens: number
  readonly success: boolean
}

onBothDatabases(
  'T19 F09 F10 F11 after a stop under traffic every finished request is in the books once, and the key shows the same numbers',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    const { key, id } = await createKey(program, [
      { metric: 'cost', max: '10', window: '1d' },
      { metric: 'requests', max: 1_000_000, window: 'lifetime' },
      { metric: 'tokens', max: 100_000_000, window: '1M', align: 'calendar' },
    ])
    program.sim.configure({ latencyMs: 5 })
    const answered = new Set<string>()
    let stopped = false
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      while (!stopped) {
        const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
          body: JSON.stringify({
            model: 'gpt-4o-mini',
            stream: client % 2 === 1,
            messages: [{ role: 'user', content: 'hello' }],
          }),
        }).catch(() => null)
        if (response === null) continue
        const finished = await response.text().then(
          () => true,
          () => false,
        )
        if (finished && response.status === 200) answered.add(response.headers.get('x-bursar-request-id') as string)
      }
    })
    await eventually(() => assert.ok(answered.size > 100))
    const code = await program.stop('SIGINT')
    stopped = true
    await Promise.all(clients)
    assert.equal(code, 0, program.output())

    const again = await startProgram(t, { dataDir: program.dataDir, env })
    const events = await eventsOf<Event>(again, `virtual_key_id=${id}`)
    const inBooks = events.map(({ request_id }) => request_id)
    assert.equal(new Set(inBooks).size, inBooks.length, 'no event stands twice')
    assert.deepEqual(
      [...answered].filter((request) => !inBooks.includes(request)),
      [],
      'every answered request has its event',
    )

    const { limits } = await ownKey(again, key)
    const [requests, tokens, cost] = ['requests', 'tokens', 'cost'].map((metric) =>
      limits.find((limit) => limit.metric === metric),
    )
    assert.equal(requests?.posted, events.filter(({ success }) => success).length)
    assert.equal(
      tokens?.posted,
      events.reduce((sum, event) => sum + event.input_tokens + event.output_tokens, 0),
    )
    assert.equal(
      nanoOf(cost?.posted ?? ''),
      events.reduce((sum, event) => sum + nanoOf(event.cost_usd), 0n),
    )
    for (const limit of limits) assert.equal(Number(limit.held), 0)
  },
)

onBothDatabases(
  'U16 users are loaded before anybody is served, and their number is logged; none is no error',
  async (t, env) => {
    const program = await startWithSim(t, { env })
    assert.match(program.output(), /"user":0,.*"msg":"governance store loaded"/)
    const { key } = await program.admin<{ key: string }>('POST', '/users', { name: 'ada', virtual_key: {} })
    await program.admin('POST', '/users', { name: 'ben' })
    assert.equal(await program.stop(), 0, program.output())
    const again = await startProgram(t, { dataDir: program.dataDir, env })
    await eventually(() => {
      const lines = again.output().split('\n')
      const lineOf = (pattern: RegExp) => lines.findIndex((line) => pattern.test(line))
      const loaded = lineOf(/"user":2,.*"msg":"governance store loaded"/)
      assert.ok(loaded >= 0 && loaded < lineOf(/"msg":"Server listening/), again.output())
    })
    const { user } = (await ownKey(again, key)) as unknown as { user: { name: string } }
    assert.equal(user.name, 'ada')
  },
)
