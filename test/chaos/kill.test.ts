/** The program is killed under load, again and again, and nothing that was settled is lost or counted twice (promise 2). */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { nanoOf } from '../clients/expectation.ts'
import { eventually } from '../helpers/eventually.ts'
import {
  createKey,
  eventsOf,
  onBothDatabases,
  ownKey,
  type Program,
  startProgram,
  startWithSim,
} from '../helpers/program.ts'

const ROUNDS = 5
const CLIENTS = 12
/** Answers after which a round's kill may come; the moment itself is anybody's. */
const ANSWERS_MIN = 60

interface Event {
  readonly request_id: string
  readonly attempt: number
  readonly usage_source: string | null
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_usd: string
  readonly requests: number
}

/** Calls until told to stop; the ids of the requests whose answers came in full. */
async function client(
  program: Program,
  key: string,
  stream: boolean,
  stopped: () => boolean,
  answered: Set<string>,
): Promise<void> {
  while (!stopped()) {
    try {
      const response = await fetch(`${program.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'gpt-4o-mini',
          stream,
          messages: [{ role: 'user', content: 'hello' }],
          max_tokens: 50,
        }),
      })
      const text = await response.text()
      const whole = stream ? text.includes('data: [DONE]') : text.endsWith('}')
      if (response.status === 200 && whole) answered.add(response.headers.get('x-bursar-request-id') as string)
    } catch {
      // The program has just been killed: what matters is what it said before.
      await delay(5)
    }
  }
}

onBothDatabases(
  'F02 F09 F10 killed under load, every answered request stands in the books once, at the provider’s figures',
  async (t, env) => {
    let program: Program = await startWithSim(t, { env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' } })
    const { sim } = program as Awaited<ReturnType<typeof startWithSim>>
    sim.configure({ latencyMs: 3, chunkDelayMs: 1, outputTokens: 20 })
    const { key, id } = await createKey(program, [
      { metric: 'cost', max: '1000', window: '1d' },
      { metric: 'requests', max: 10_000_000, window: 'lifetime' },
      { metric: 'concurrency', max: 1_000 },
    ])
    const answered = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      let stopped = false
      const before = answered.size
      const running = program
      const clients = Array.from({ length: CLIENTS }, (_, index) =>
        client(running, key, index % 2 === 0, () => stopped, answered),
      )
      await eventually(() => assert.ok(answered.size >= before + ANSWERS_MIN))
      await delay(Math.random() * 300)
      await program.stop('SIGKILL')
      stopped = true
      await Promise.all(clients)
      program = await startProgram(t, { dataDir: program.dataDir, env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' } })
    }

    const events = await eventsOf<Event>(program, `virtual_key_id=${id}`)
    const attempts = events.map(({ request_id, attempt }) => `${request_id}/${attempt}`)
    assert.equal(new Set(attempts).size, attempts.length, 'no attempt stands twice')
    const served = new Map(sim.ledger().map((call) => [call.requestId, call]))
    const byRequest = new Map(events.map((event) => [event.request_id, event]))
    for (const request of answered) {
      const event = byRequest.get(request)
      assert.equal(event?.usage_source, 'reported', `request ${request} was answered in full`)
      assert.deepEqual(
        [event?.input_tokens, event?.output_tokens],
        [served.get(request)?.usage?.inputTokens, served.get(request)?.usage?.outputTokens],
      )
    }
    for (const event of events) {
      if (event.usage_source !== 'reported') continue
      assert.equal(served.get(event.request_id)?.usageReported, true, 'what is called reported was reported')
      assert.equal(nanoOf(event.cost_usd), BigInt(event.input_tokens) * 150n + BigInt(event.output_tokens) * 600n)
    }
    const { limits } = await ownKey(program, key)
    for (const { held } of limits) assert.equal(Number(held), 0)
    const [cost, requests] = ['cost', 'requests'].map(
      (metric) => limits.find((limit) => limit.metric === metric)?.posted,
    )
    assert.equal(
      nanoOf(cost ?? ''),
      events.reduce((sum, event) => sum + nanoOf(event.cost_usd), 0n),
    )
    assert.equal(
      requests,
      events.reduce((sum, event) => sum + event.requests, 0),
    )
    const { differences } = await program.admin<{ differences: unknown[] }>('GET', '/consistency')
    assert.deepEqual(differences, [])
  },
)
