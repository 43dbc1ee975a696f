/** What the tests of the simulated provider share. */
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { SimServed } from '../../src/sim/ledger.ts'
import { type Sim, type SimOptions, startSim } from '../../src/sim/server.ts'

const PATIENCE_MS = 5_000

export async function start(t: TestContext, options: SimOptions = {}): Promise<Sim> {
  const sim = await startSim(options)
  t.after(() => sim.close())
  return sim
}

/** Resolves once `condition` holds; rejects when it takes longer than any healthy machine needs. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for: ${what}`)
    await setImmediate()
  }
}

/** The provider's entry for its newest call, once that call has ended. */
export async function lastServed(sim: Sim): Promise<SimServed> {
  await until(() => sim.ledger().at(-1)?.endedAt != null, 'the last call to end')
  const served = sim.ledger().at(-1)
  if (served === undefined) throw new Error('No call was served')
  return served
}

/** A POST with a JSON body and the controls given, such as `{ 'x-sim-status': '429' }`. */
export function post(sim: Sim, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${sim.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

/** The `data:` of each event of an SSE answer, parsed, without `[DONE]`. */
export async function events(response: Response): Promise<unknown[]> {
  const text = await response.text()
  return text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data: ') && line !== 'data: [DONE]')
    .map((line) => JSON.parse(line.slice('data: '.length)))
}

export const HELLO = { model: 'sim-small', messages: [{ role: 'user', content: 'Hello there' }] }
/** Worked out by hand: 11 bytes are 3 tokens, and a message is 4. */
export const HELLO_TOKENS = 7
