/**
 * Nothing leaks: a run through the real program that mixes success, refusals at every check, clients that leave and providers that die
 * in every phase, time-outs and fallbacks. Afterwards nothing is held, and the books say what the providers' own ledgers say.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { SimServed } from '../../src/sim/ledger.ts'
import { type Sim, startSim } from '../../src/sim/server.ts'
import type { SimSettings } from '../../src/sim/settings.ts'
import { nanoOf } from '../clients/expectation.ts'
import { eventually } from '../helpers/eventually.ts'
import { createKey, eventsOf, onBothDatabases, type Program, startProgram } from '../helpers/program.ts'

const NAMES = ['a', 'b', 'c'] as const
const messages = [{ role: 'user', content: 'Say hello to the accountants, please.' }]

interface Call {
  readonly name: string
  readonly path: (stream: boolean) => string
  readonly body: (stream: boolean) => object
  /** What the last event of a stream says. */
  readonly last: RegExp
}

const CALLS: readonly Call[] = [
  {
    name: 'chat',
    path: () => '/v1/chat/completions',
    body: (stream) => ({ model: 'gpt-4o-mini', messages, max_tokens: 3_000, stream }),
    last: /\[DONE\]/,
  },
  {
    name: 'responses',
    path: () => '/v1/responses',
    body: (stream) => ({ model: 'gpt-5-mini', input: 'Hello', max_output_tokens: 3_000, stream }),
    last: /response\.completed/,
  },
  {
    name: 'messages',
    path: () => '/v1/messages',
    body: (stream) => ({ model: 'claude-sonnet-4-5', messages, max_tokens: 3_000, stream }),
    last: /message_stop/,
  },
  {
    name: 'Gemini',
    path: (stream) => `/v1beta/models/gemini-2.5-flash:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: () => ({
      contents: [{ role: 'user', parts: [{ text: 'Hello' }] }],
      generationConfig: { maxOutputTokens: 3_000 },
    }),
    last: /finishReason/,
  },
]

interface Event {
  readonly request_id: string
  readonly attempt: number
  readonly provider: string | null
  readonly stream: boolean
  readonly status: number | null
  readonly success: boolean
  readonly refused_code: string | null
  readonly requests: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_usd: string
  readonly usage_source: string | null
}

interface LimitRow {
  readonly id: string
  readonly metric: string
  readonly provider: string | null
  readonly scope: { readonly kind: string }
  readonly usage: { readonly posted: string | number; readonly held: string | number }
}

const EVERY_METRIC = [
  { metric: 'cost', max: '1000000', window: 'lifetime' },
  { metric: 'requests', max: 1_000_000, window: '1d', align: 'calendar' },
  { metric: 'tokens', max: 10 ** 12, window: '1w', align: 'sliding' },
  { metric: 'input_tokens', max: 10 ** 12, window: '1M', align: 'calendar' },
  { metric: 'output_tokens', max: 10 ** 12, window: '1w' },
  { metric: 'concurrency', max: 100_000 },
]

/** How a client reads: to the end, or until it has seen this much and leaves. */
type Leaving = 'never' | 'before a status' | 'with the status' | 'in the middle' | 'at the end'

class Run {
  readonly program: Program
  readonly sims: readonly Sim[]
  readonly #work: (() => Promise<void>)[] = []

  constructor(program: Program, sims: readonly Sim[]) {
    this.program = program
    this.sims = sims
  }

  /** A request to be made, and how its client behaves. What comes of it is seen in the books. */
  plan(key: string, call: Call, stream: boolean, sim: Record<string, string>, leaving: Leaving = 'never'): void {
    this.#work.push(() => this.#ask(key, call, stream, sim, leaving))
  }

  /** Makes what was planned, so many at a time. */
  async go(atOnce: number): Promise<void> {
    const work = this.#work.splice(0)
    const next = async (): Promise<void> => {
      for (let one = work.shift(); one !== undefined; one = work.shift()) await one()
    }
    await Promise.all(Array.from({ length: atOnce }, next))
  }

  async #ask(key: string, call: Call, stream: boolean, sim: object, leaving: Leaving): Promise<void> {
    const client = new AbortController()
    const tag = crypto.randomUUID()
    const asked = fetch(`${this.program.gatewayUrl}${call.path(stream)}`, {
      method: 'POST',
      headers: { 'x-bursar-key': key, 'content-type': 'application/json', 'x-sim-tag': tag, ...sim },
      body: JSON.stringify(call.body(stream)),
      signal: client.signal,
    })
    // A client that has left, or that a provider's death has cut off, sees an error: both belong here.
    const over = asked
      .then((response) => this.#read(response, call, leaving, client))
      .catch((error: unknown) => assert.ok(error instanceof Error))
    if (leaving === 'before a status') {
      await eventually(() =>
        assert.ok(
          this.sims.some((sim) => sim.ledger().some((served) => served.tag === tag)),
          'the call reached a provider',
        ),
      )
      client.abort()
    }
    await over
  }

  async #read(response: Response, { last }: Call, leaving: Leaving, client: AbortController): Promise<void> {
    if (leaving === 'with the status') return client.abort()
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (leaving === 'in the middle' && text.length > 200) return client.abort()
      if (leaving === 'at the end' && last.test(text)) return client.abort()
    }
  }
}

/** Half a request, after which the client is gone. */
async function hangUpWhileSending(program: Program, key: string): Promise<void> {
  const { hostname, port } = new URL(program.gatewayUrl)
  const socket = connect(Number(port), hostname)
  const closed = new Promise((done) => socket.once('close', done))
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-bursar-key: ${key}\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"model":`,
    () => socket.destroy(),
  )
  await closed
}

onBothDatabases(
  'F02 F07 F28 T02 after every kind of end nothing is held, and each attempt is charged once for what its provider did',
  async (t, env) => {
    const sims = await Promise.all(NAMES.map(() => startSim({ outputTokens: 12 })))
    t.after(() => Promise.all(sims.map((sim) => sim.close())))
    const providers = sims.map(
      ({ url }, index) =>
        `{ name: ${NAMES[index]}, kind: sim, base_url: "${url}", keys: [{ name: main, value: test }] }`,
    )
    const program = await startProgram(t, {
      yaml: `providers: [${providers}]\nserver: { headers_timeout: 2s, idle_timeout: 2s, max_attempts: 3 }\n`,
      env: { ...env, BURSAR_DUMP_CRON: '* * * * * *' },
    })
    const create = (path: string, fields: object) => program.admin<{ id: string }>('POST', path, fields)
    const customer = await create('/customers', { name: 'acme', limits: EVERY_METRIC })
    const team = await create('/teams', { name: 'research', customer_id: customer.id, limits: EVERY_METRIC })
    const user = await create('/users', { name: 'ada', limits: EVERY_METRIC })
    for (const provider of NAMES) {
      for (const limit of EVERY_METRIC)
        await create('/limits', { scope: { kind: 'global', id: null }, provider, ...limit })
    }
    const chain = { user_id: user.id, team_id: team.id }
    const keyWith = (limits: readonly object[], fields: object = {}) =>
      createKey(program, limits, { ...chain, ...fields })
    const onlyA = await keyWith(EVERY_METRIC, { access: [{ provider: 'a', weight: 1 }] })
    const anywhere = await keyWith(EVERY_METRIC)
    const run = new Run(program, sims)

    await t.test(
      'providers that work, fail and die in every phase, and clients that leave in every phase',
      async () => {
        for (const call of CALLS) {
          for (const stream of [false, true]) {
            for (const usage of ['normal', 'none', 'split', 'early'])
              run.plan(onlyA.key, call, stream, { 'x-sim-usage': usage })
            for (const status of [400, 401, 404, 408, 409, 429, 500, 503]) {
              run.plan(onlyA.key, call, stream, { 'x-sim-status': String(status) })
            }
            for (const die of ['before-headers', 'after-headers', 'mid-body', 'error-event', 'early-end']) {
              run.plan(onlyA.key, call, stream, { 'x-sim-die': die })
            }
            for (const stall of ['headers', 'body']) run.plan(onlyA.key, call, stream, { 'x-sim-stall': stall })
            const slow = { 'x-sim-latency-ms': '300' }
            const long = { 'x-sim-output-tokens': '2000', 'x-sim-chunk-delay-ms': stream ? '5' : '0' }
            run.plan(onlyA.key, call, stream, slow, 'before a status')
            run.plan(onlyA.key, call, stream, { 'x-sim-stall': 'headers' }, 'before a status')
            run.plan(onlyA.key, call, stream, long, 'with the status')
            run.plan(onlyA.key, call, stream, long, 'in the middle')
            run.plan(onlyA.key, call, stream, {}, 'at the end')
          }
        }
        await run.go(24)
        for (let n = 0; n < 5; n++) await hangUpWhileSending(program, onlyA.key)
      },
    )

    await t.test('fallbacks over two and three providers, with clients that leave meanwhile', async () => {
      const [a, b, c] = sims as [Sim, Sim, Sim]
      const fine: Partial<SimSettings> = { status: null, die: null, stall: null }
      const broken: readonly Partial<SimSettings>[] = [
        { ...fine, status: 503 },
        { ...fine, die: 'before-headers' },
        { ...fine, stall: 'headers' },
        { ...fine, status: 429 },
      ]
      for (const [index, failing] of broken.entries()) {
        for (const [second, third] of [
          [fine, fine],
          [broken[(index + 1) % broken.length] ?? fine, fine],
          [
            { ...fine, status: 500 },
            { ...fine, status: 500 },
          ],
          [
            { ...fine, die: 'before-headers' as const },
            { ...fine, die: 'mid-body' as const },
          ],
        ] as const) {
          a.configure(failing)
          b.configure(second)
          c.configure(third)
          for (const call of CALLS) {
            for (const stream of [false, true]) {
              run.plan(anywhere.key, call, stream, {})
              run.plan(anywhere.key, call, stream, { 'x-sim-latency-ms': '50' }, 'before a status')
            }
          }
          await run.go(16)
        }
      }
      for (const sim of sims) sim.configure(fine)
    })

    await t.test('refusals at every check leave no trace on any limit', async () => {
      await eventually(async () => {
        const { holds_open } = await program.admin<{ holds_open: number }>('GET', '/status')
        assert.equal(holds_open, 0)
      })
      const chat = { model: 'gpt-4o-mini', messages, max_tokens: 50 }
      const past = new Date(Date.now() + 1_000).toISOString()
      const expired = await keyWith([], { expires_at: past })
      const inactive = await keyWith([], { active: false })
      const gone = await create('/users', { name: 'gone' })
      const ofDisabled = await keyWith([], { user_id: gone.id })
      await program.admin('POST', `/users/${gone.id}/disable`, { reason: 'left' }, 200)
      const elsewhere = await keyWith([], { allowed_ips: ['203.0.113.0/24'] })
      const narrow = await keyWith([], {
        access: [{ provider: 'a', models: ['gpt-4o*'], blocked_models: ['gpt-4o-mini'] }],
      })
      const broke = await keyWith([{ metric: 'cost', max: '0.000000001', window: '1d' }])
      const tokenless = await keyWith([{ metric: 'tokens', max: 1, window: '1d' }])
      const single = await keyWith([{ metric: 'requests', max: 1, window: '1d' }])
      await ask(single.key, chat).then((response) => response.text())
      function ask(
        key: string | null,
        body: unknown,
        headers: Record<string, string> = {},
        path = '/v1/chat/completions',
      ) {
        return fetch(`${program.gatewayUrl}${path}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(key === null ? {} : { 'x-bursar-key': key }),
            ...headers,
          },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        })
      }
      const { key } = anywhere
      await eventually(async () => assert.equal((await codeOf(await ask(expired.key, chat)))[1], 'key_expired'))
      const callsSoFar = () => sims.reduce((sum, sim) => sum + sim.totals().calls, 0)
      const forwarded = callsSoFar()
      const counted = await program.admin<{ data: LimitRow[] }>('GET', '/limits?limit=1000')
      const refusals: readonly [code: string, ask: () => Promise<Response>][] = [
        ['key_missing', () => ask(null, chat)],
        ['key_unknown', () => ask('sk-bursar-this-key-is-known-to-nobody-at-all', chat)],
        ['key_disabled', () => ask(inactive.key, chat)],
        ['key_disabled', () => ask(ofDisabled.key, chat)],
        ['key_expired', () => ask(expired.key, chat)],
        ['ip_not_allowed', () => ask(elsewhere.key, chat)],
        ['key_in_query', () => ask(key, chat, {}, `/v1/chat/completions?api_key=${key}`)],
        ['invalid_request', () => ask(key, '{"model":')],
        ['invalid_request', () => ask(key, { ...chat, max_tokens: -1 })],
        ['invalid_request', () => ask(key, '{"model":"gpt-4o-mini","model":"gpt-4o","messages":[]}')],
        ['unsupported_media_type', () => ask(key, chat, { 'content-encoding': 'gzip' })],
        ['not_found', () => ask(key, chat, {}, '/v1/nothing/here')],
        ['provider_not_allowed', () => ask(narrow.key, { ...chat, model: 'b/gpt-4o' })],
        ['model_not_allowed', () => ask(narrow.key, chat)],
        ['model_not_found', () => ask(key, { ...chat, model: 'a-model-nobody-has' })],
        ['model_price_unknown', () => ask(key, { ...chat, model: 'a/a-model-without-a-price' })],
        ['limit_unreachable', () => ask(broke.key, chat)],
        ['limit_unreachable', () => ask(tokenless.key, chat)],
        ['rate_limited', () => ask(single.key, chat)],
        ['rate_limited', () => ask(single.key, { ...chat, stream: true })],
      ]
      for (const [code, refused] of refusals) {
        for (const [status, found] of await Promise.all([1, 2, 3].map(async () => codeOf(await refused())))) {
          assert.equal(found, code)
          assert.ok(Number(status) >= 400)
        }
      }
      const after = await program.admin<{ data: LimitRow[] }>('GET', '/limits?limit=1000')
      assert.deepEqual(after.data, counted.data, 'no refused request moved any number of any limit')
      assert.equal(callsSoFar(), forwarded, 'no refused request reached a provider')
    })

    await t.test('afterwards nothing is held, and no provider works for nobody', async () => {
      await eventually(async () => {
        const { holds_open } = await program.admin<{ holds_open: number }>('GET', '/status')
        assert.equal(holds_open, 0)
        for (const sim of sims) assert.equal(sim.totals().outcomes.open, 0, 'a call goes on that nobody waits for')
      })
      const { data } = await program.admin<{ data: LimitRow[] }>('GET', '/limits?limit=1000')
      for (const { metric, scope, provider, usage } of data) {
        assert.equal(Number(usage.held), 0, `${metric} of ${provider ?? scope.kind} holds ${usage.held}`)
      }
    })

    await t.test('each attempt is in the books once, charged for what its provider says it did', async () => {
      const served = new Map<string, SimServed>()
      for (const [index, sim] of sims.entries()) {
        for (const call of sim.ledger()) {
          const name = `${call.requestId}/${NAMES[index]}`
          assert.ok(call.requestId !== null && !served.has(name), `${name} was asked twice`)
          served.set(name, call)
        }
      }
      const events = await eventually(async () => {
        const found = (await eventsOf<Event>(program)).filter(({ attempt }) => attempt > 0)
        const missing = new Set(served.keys())
        for (const { request_id, provider } of found) missing.delete(`${request_id}/${provider}`)
        assert.deepEqual([...missing], [], 'calls without an event')
        return found
      })
      assert.equal(new Set(events.map(({ request_id, attempt }) => `${request_id}/${attempt}`)).size, events.length)
      const kinds = new Set<string>()
      for (const event of events) {
        const call = served.get(`${event.request_id}/${event.provider}`)
        const what = `${JSON.stringify(event)} for ${JSON.stringify(call)}`
        if (call === undefined || call.usage === null) {
          // Nothing was done, and nothing is charged, unless the provider never said so to anybody who was still there.
          const clientLeftFirst = event.stream && event.status === null && event.requests === 1
          const neverSaid = call?.outcome === 'stalled' || call?.outcome === 'aborted'
          if (!clientLeftFirst && !neverSaid) assert.equal(event.usage_source, null, what)
        } else {
          assert.notEqual(event.usage_source, null, `F07 the provider worked: ${what}`)
          assert.ok(nanoOf(event.cost_usd) > 0n && event.input_tokens > 0, what)
        }
        if (event.usage_source === null) {
          assert.deepEqual(
            [event.requests, event.input_tokens, event.output_tokens, nanoOf(event.cost_usd)],
            [0, 0, 0, 0n],
            what,
          )
        }
        if (event.usage_source === 'reported') {
          const { inputTokens, outputTokens } = call?.usage ?? assert.fail(what)
          assert.deepEqual([event.input_tokens, event.output_tokens], [inputTokens, outputTokens], what)
        }
        if (call?.outcome === 'completed' && call.usageReported && event.success) {
          assert.equal(event.usage_source, 'reported', what)
        }
        kinds.add(`${call?.outcome} ${event.usage_source}`)
      }
      for (const kind of ['completed reported', 'completed estimated', 'refused null', 'died null', 'died partial']) {
        assert.ok(kinds.has(kind), `the run had no ${kind}: ${[...kinds]}`)
      }
      for (const kind of ['stalled estimated', 'aborted partial', 'aborted estimated']) {
        assert.ok(kinds.has(kind), `the run had no ${kind}: ${[...kinds]}`)
      }
      assert.ok(events.some(({ attempt }) => attempt === 3))

      // A request counts at most once over its attempts, and the levels that all of them share add up to the events.
      const requests = new Map<string, number>()
      for (const event of events) requests.set(event.request_id, (requests.get(event.request_id) ?? 0) + event.requests)
      for (const [id, count] of requests) assert.ok(count <= 1, `${id} counts as ${count} requests`)
      const { data: limits } = await program.admin<{ data: LimitRow[] }>('GET', '/limits?limit=1000')
      const sum = (of: (event: Event) => bigint, provider: string | null) =>
        events
          .filter((event) => provider === null || event.provider === provider)
          .reduce((all, event) => all + of(event), 0n)
      const sums: Readonly<Record<string, (event: Event) => bigint>> = {
        cost: (event) => nanoOf(event.cost_usd),
        requests: (event) => BigInt(event.requests),
        tokens: (event) => BigInt(event.input_tokens + event.output_tokens),
        input_tokens: (event) => BigInt(event.input_tokens),
        output_tokens: (event) => BigInt(event.output_tokens),
        concurrency: () => 0n,
      }
      const shared = limits.filter(
        ({ scope, provider }) => ['user', 'team', 'customer'].includes(scope.kind) || provider !== null,
      )
      assert.equal(shared.length, 6 * EVERY_METRIC.length)
      for (const { metric, scope, provider, usage } of shared) {
        const posted = metric === 'cost' ? nanoOf(usage.posted) : BigInt(usage.posted)
        const expected = sum(sums[metric] ?? assert.fail(metric), provider)
        assert.equal(posted, expected, `${metric} of ${provider ?? scope.kind}`)
      }
      await eventually(async () => {
        const { differences } = await program.admin<{ differences: unknown[] }>('GET', '/consistency')
        assert.deepEqual(differences, [])
      })
    })
  },
)

async function codeOf(response: Response): Promise<[status: number, code: string]> {
  const { error } = (await response.json()) as { error: { code: string } }
  return [response.status, error.code]
}
