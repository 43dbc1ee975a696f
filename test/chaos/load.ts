/**
 * Load that knows what it was told: clients of every sort in front of two simulated providers, and what must be true of the books
 * afterwards, whatever happened to the gateway in between.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { SimServed } from '../../src/sim/ledger.ts'
import { type Sim, startSim } from '../../src/sim/server.ts'
import { nanoOf } from '../clients/expectation.ts'
import { eventsOf, type Program } from '../helpers/program.ts'
import { Random } from '../sim/random.ts'

const CLIENTS = 12
const MODEL = 'gpt-4o-mini'
/** Nano-dollars a token. */
const INPUT = 150n
const OUTPUT = 600n

export interface Event {
  readonly request_id: string
  readonly attempt: number
  readonly provider: string
  readonly status: number | null
  readonly usage_source: string | null
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_usd: string
  readonly requests: number
}

export interface World {
  readonly sims: readonly [Sim, Sim]
  /** bursar.yaml with both of them as providers. */
  readonly yaml: string
  readonly random: Random
}

/** Two providers, one of which fails now and then, so that there are fallbacks. */
export async function makeWorld(t: TestContext, seed: number): Promise<World> {
  t.diagnostic(`CHAOS_SEED=${seed}`)
  const options = { ledgerMax: 1_000_000, latencyMs: 3, chunkDelayMs: 1, outputTokens: 20 }
  const sims = [await startSim({ ...options, errorRate: 0.15, seed }), await startSim(options)] as const
  for (const sim of sims) t.after(() => sim.close())
  const providers = sims.map(
    (sim, at) => `{ name: sim-${at}, kind: sim, base_url: "${sim.url}", keys: [{ name: main, value: test }] }`,
  )
  return { sims, yaml: `providers: [${providers.join(', ')}]\n`, random: new Random(seed) }
}

export interface Chain {
  readonly keys: readonly string[]
  /** A limit of the team that an admin sets back in every round. */
  readonly resetLimit: string
}

/** Limits on every level, of every sort of window, none of which is ever full. */
export async function makeChain(program: Program): Promise<Chain> {
  const create = (path: string, body: object) => program.admin<{ id: string; key: string }>('POST', path, body)
  const many = 100_000_000
  const customer = await create('/customers', {
    name: 'acme',
    limits: [{ metric: 'cost', max: '100000', window: '1M', align: 'calendar' }],
  })
  const team = await create('/teams', {
    name: 'research',
    customer_id: customer.id,
    limits: [
      { metric: 'tokens', max: many, window: '5s' },
      { metric: 'requests', max: many, window: '1d' },
    ],
  })
  const user = await create('/users', {
    name: 'ada',
    limits: [{ metric: 'output_tokens', max: many, window: '3s', align: 'sliding' }],
  })
  await create('/limits', {
    scope: { kind: 'global' },
    provider: 'sim-1',
    metric: 'cost',
    max: '100000',
    window: 'lifetime',
  })
  const keys: string[] = []
  for (const name of ['one', 'two']) {
    const { key } = await create('/virtual-keys', {
      name,
      user_id: user.id,
      team_id: team.id,
      access: [
        { provider: 'sim-0', weight: 3 },
        { provider: 'sim-1', weight: 1 },
      ],
      limits: [
        { metric: 'cost', max: '100000', window: 'lifetime' },
        { metric: 'requests', max: many, window: 'hourly' },
        { metric: 'concurrency', max: 1_000 },
      ],
    })
    keys.push(key)
  }
  const { data } = await program.admin<{ data: { id: string; metric: string }[] }>('GET', `/limits?scope_id=${team.id}`)
  return {
    keys,
    resetLimit: data.find(({ metric }) => metric === 'requests')?.id ?? assert.fail('the team has a limit'),
  }
}

/** Clients that call until they are told to stop. */
export class Load {
  /** Requests whose answers came in full. */
  readonly answered = new Set<string>()
  /** Answers other than 200 that nobody asked for. */
  readonly failed: string[] = []
  /** Calls that ended without an answer although their client waited for it. */
  readonly broken: unknown[] = []
  readonly #clients: Promise<void>[]
  #stopped = false

  constructor(program: () => Program, { keys }: Pick<Chain, 'keys'>, random: Random) {
    this.#clients = Array.from({ length: CLIENTS }, (_, index) => {
      const sort = { stream: index % 2 === 0, aborts: index % 3 === 0, key: keys[index % keys.length] as string }
      return this.#client(program, sort, new Random(random.between(1, 2 ** 30)))
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#clients)
  }

  async #client(
    program: () => Program,
    { stream, aborts, key }: { stream: boolean; aborts: boolean; key: string },
    random: Random,
  ): Promise<void> {
    while (!this.#stopped) {
      const leave = new AbortController()
      const leaving =
        aborts && random.between(0, 3) === 0 ? setTimeout(() => leave.abort(), random.between(1, 25)) : null
      try {
        const response = await fetch(`${program().gatewayUrl}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'x-bursar-key': key, 'content-type': 'application/json' },
          body: JSON.stringify({
            model: MODEL,
            stream,
            messages: [{ role: 'user', content: 'hello '.repeat(random.between(1, 20)) }],
            max_tokens: random.between(5, 50),
          }),
          signal: leave.signal,
        })
        const text = await response.text()
        const whole = stream ? text.includes('data: [DONE]') : text.endsWith('}')
        if (response.status === 200 && whole) this.answered.add(response.headers.get('x-bursar-request-id') as string)
        // 5xx of the provider that no fallback was left for, and a gateway that is stopping.
        else if (response.status !== 500 && response.status !== 503) this.failed.push(`${response.status} ${text}`)
      } catch (error) {
        // The gateway has just ended, or this client has left: what matters is what was said before.
        if (!leave.signal.aborted) this.broken.push(error)
        await delay(5)
      } finally {
        if (leaving !== null) clearTimeout(leaving)
      }
    }
  }
}

/** Everything that must be true once the gateway is up again and nobody calls any more. */
export async function assertBooks(program: Program, { sims }: World, answered: ReadonlySet<string>): Promise<Event[]> {
  const events = (await eventsOf<Event>(program)).filter(({ attempt }) => attempt > 0)
  const attempts = events.map(({ request_id, attempt }) => `${request_id}/${attempt}`)
  assert.equal(new Set(attempts).size, attempts.length, 'no attempt stands twice')

  const served = new Map<string, SimServed[]>()
  for (const [at, sim] of sims.entries()) {
    for (const call of sim.ledger()) {
      const place = `${call.requestId} sim-${at}`
      served.set(place, [...(served.get(place) ?? []), call])
    }
  }
  const told = new Map<string, Event[]>()
  for (const event of events) {
    const place = `${event.request_id} ${event.provider}`
    told.set(place, [...(told.get(place) ?? []), event])
  }

  const reported = events.filter(({ usage_source: source }) => source === 'reported')
  const byRequest = new Map(reported.map((event) => [event.request_id, event]))
  assert.equal(byRequest.size, reported.length, 'no request is charged twice as reported')
  for (const request of answered)
    assert.ok(byRequest.has(request), `request ${request} was answered in full and has no reported event`)
  for (const event of reported) {
    const completed = (served.get(`${event.request_id} ${event.provider}`) ?? []).filter(
      ({ usageReported }) => usageReported,
    )
    assert.equal(
      completed.length,
      1,
      `${event.request_id} is called reported, and the provider completed ${completed.length}`,
    )
    assert.deepEqual(
      [event.input_tokens, event.output_tokens],
      [completed[0]?.usage?.inputTokens, completed[0]?.usage?.outputTokens],
    )
    assert.equal(nanoOf(event.cost_usd), BigInt(event.input_tokens) * INPUT + BigInt(event.output_tokens) * OUTPUT)
  }
  for (const [place, calls] of served) {
    assert.ok((told.get(place)?.length ?? 0) <= calls.length, `${place}: more events than calls`)
  }

  const { data: limits } = await program.admin<{ data: LimitView[] }>('GET', '/limits?limit=1000')
  for (const { usage, metric } of limits) assert.equal(Number(usage.held), 0, `held on ${metric}`)
  const costs = limits.filter(
    ({ metric, window, scope }) => metric === 'cost' && window === 'lifetime' && scope.kind === 'virtual_key',
  )
  const spent = events.reduce((sum, { cost_usd }) => sum + nanoOf(cost_usd), 0n)
  assert.equal(
    costs.reduce((sum, { usage }) => sum + nanoOf(String(usage.posted)), 0n),
    spent,
  )
  const consistency = await program.admin<Consistency>('GET', '/consistency')
  assert.deepEqual([consistency.differences, consistency.hour_differences], [[], []])
  assert.ok(consistency.checked > limits.length / 2 && consistency.hours_checked > 0)
  const status = await program.admin<{ quarantined_facts: number; holds_open: number }>('GET', '/status')
  assert.deepEqual([status.quarantined_facts, status.holds_open], [0, 0])
  return events
}

interface LimitView {
  readonly metric: string
  readonly window: string | null
  readonly scope: { readonly kind: string }
  readonly usage: { readonly held: string | number; readonly posted: string | number }
}

interface Consistency {
  readonly checked: number
  readonly differences: unknown[]
  readonly hours_checked: number
  readonly hour_differences: unknown[]
}

/** How long a run of a script is; the suite's are short. */
export function chosen(variable: string, standard: number): number {
  const text = process.env[variable]
  return text === undefined ? standard : Number(text)
}
