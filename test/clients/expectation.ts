/** What a call must have cost, worked out from the provider's own ledger and a price list of the test's own. */
import assert from 'node:assert/strict'
import type { Sim } from '../../src/sim/server.ts'
import { eventually } from '../helpers/eventually.ts'
import { ownKey, type Program } from '../helpers/program.ts'

/** Nano-dollars per token, from the providers' public price lists. */
const PRICES: Readonly<Record<string, readonly [input: bigint, output: bigint]>> = {
  'gpt-4o-mini': [150n, 600n],
  'text-embedding-3-small': [20n, 0n],
  'gpt-image-1': [5_000n, 40_000n],
  'gemini-embedding-001': [150n, 0n],
  'claude-haiku-4-5': [1_000n, 5_000n],
  'gemini-2.5-flash': [300n, 2_500n],
}

/** The limit every key of these tests has, so that what it was charged can be read off the key itself. */
export const BUDGET = { metric: 'cost', max: '10', window: '1d' }

/** Nano-dollars of what the provider served last. */
export function costOfLastCall(sim: Sim): bigint {
  const served = sim.ledger().at(-1)
  assert.ok(served?.usage, 'the provider served a call')
  const price = PRICES[served.model ?? '']
  assert.ok(price, `the price of ${served.model} is known to the test`)
  assert.equal(served.outcome, 'completed')
  return BigInt(served.usage.inputTokens) * price[0] + BigInt(served.usage.outputTokens) * price[1]
}

/** The one event of a key that has been used once. */
export interface Event {
  readonly request_id: string
  readonly attempt: number
  readonly model: string
  readonly status: number
  readonly stream: boolean
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_usd: string
  readonly usage_source: string
}

/** Asserts that a key's only call was charged to the nano-dollar: on its budget at once, and in the books when they are written. */
export async function assertCharged(
  program: Program & { readonly sim: Sim },
  key: { id: string; key: string },
): Promise<Event> {
  const expected = costOfLastCall(program.sim)
  const budget = await eventually(async () => {
    const { limits } = await ownKey(program, key.key)
    const found = limits.find(({ metric }) => metric === 'cost')
    assert.ok(found)
    assert.equal(nanoOf(found.held), 0n, 'nothing is held any more')
    return found
  })
  assert.equal(nanoOf(budget.posted), expected, 'the budget was charged what the provider served')
  const events = await eventually(async () => {
    const { data } = await program.admin<{ data: Event[] }>('GET', `/events?virtual_key_id=${key.id}`)
    assert.equal(data.length, 1)
    return data
  })
  const event = events[0] as Event
  assert.equal(nanoOf(event.cost_usd), expected, 'the event says the same')
  assert.equal(event.usage_source, 'reported')
  const served = program.sim.ledger().at(-1)
  assert.deepEqual([event.input_tokens, event.output_tokens], [served?.usage?.inputTokens, served?.usage?.outputTokens])
  return event
}

/** Dollars as the API writes them, in nano-dollars; by hand, so that the program's own arithmetic is not what checks it. */
export function nanoOf(usd: string | number): bigint {
  const [dollars = '', decimals = ''] = String(usd).split('.')
  return BigInt(dollars + decimals.padEnd(9, '0'))
}
