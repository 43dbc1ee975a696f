/**
 * A cap is a cap: five hundred requests at once, through the real program, against limits that fit a few.
 *
 * The provider is the test's own and answers nobody before every refusal is out, so that what is admitted is in flight together and
 * nothing has come back that could be spent again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nanoOf } from '../clients/expectation.ts'
import { eventually } from '../helpers/eventually.ts'
import { createKey, type Program, startProgram } from '../helpers/program.ts'
import { json, type Received, startUpstream, stream, type Upstream } from '../helpers/upstream.ts'

const AT_ONCE = 500
const FITS_BUDGET = 7
const FITS_REQUESTS = 11
const CHAT = '/v1/chat/completions'
const LEVELS = ['user', 'virtual_key', 'team', 'customer', 'global'] as const
type Level = (typeof LEVELS)[number]

/** Global limits meet everybody, so each case looks at a model of its own. */
const MODELS = 'gpt-4o gpt-4o-mini gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-5 gpt-5-mini gpt-5-nano o3 o4-mini'.split(' ')

const USAGE = { prompt_tokens: 12, completion_tokens: 20, total_tokens: 32 }
const CHUNK = { id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'Hi' } }] }
const LAST = { id: 'c', object: 'chat.completion.chunk', choices: [], usage: USAGE }

function answerWith(received: Received): void {
  const body = JSON.parse(received.body.toString()) as { stream?: boolean }
  if (body.stream !== true) {
    json(200, { id: 'c', object: 'chat.completion', choices: [], usage: USAGE })(received)
    return
  }
  stream(`data: ${JSON.stringify(CHUNK)}\n\n`, `data: ${JSON.stringify(LAST)}\n\n`, 'data: [DONE]\n\n')(received)
  received.response.end()
}

interface LimitRow {
  readonly id: string
  readonly scope: { readonly kind: Level; readonly id: string | null }
  readonly metric: string
  readonly model: string | null
  readonly usage: { readonly posted: string | number; readonly held: string | number }
}

interface Case {
  readonly model: string
  readonly key: string
  /** Where limits go, level by level. */
  readonly scopes: Readonly<Record<Level, object>>
  /** Its limits as they are now. */
  limits(): Promise<LimitRow[]>
}

/** On every level: room for all, to see who has passed. */
const WITNESSES = [
  { metric: 'cost', max: '1000000', window: 'lifetime' },
  { metric: 'requests', max: 1_000_000, window: 'lifetime' },
  { metric: 'tokens', max: 10 ** 12, window: '1d', align: 'sliding' },
  { metric: 'output_tokens', max: 10 ** 12, window: '1M', align: 'calendar' },
  { metric: 'concurrency', max: 10_000 },
]

let cases = 0

/** A key with everything above it. */
async function aCase(program: Program, model: string): Promise<Case> {
  cases += 1
  const named = (kind: string) => ({ name: `${kind}-${cases}`, limits: WITNESSES })
  const create = (path: string, fields: object) => program.admin<{ id: string }>('POST', path, fields)
  const customer = await create('/customers', named('customer'))
  const team = await create('/teams', { ...named('team'), customer_id: customer.id })
  const user = await create('/users', named('user'))
  const { id, key } = await createKey(program, WITNESSES, { user_id: user.id, team_id: team.id })
  const ids = { user: user.id, virtual_key: id, team: team.id, customer: customer.id, global: null }
  const scopes = {
    user: { scope: { kind: 'user', id: ids.user } },
    virtual_key: { scope: { kind: 'virtual_key', id: ids.virtual_key } },
    team: { scope: { kind: 'team', id: ids.team } },
    customer: { scope: { kind: 'customer', id: ids.customer } },
    global: { scope: { kind: 'global', id: null }, model },
  }
  for (const limit of WITNESSES) await addLimit(program, scopes.global, limit)
  return {
    model,
    key,
    scopes,
    async limits() {
      const { data } = await program.admin<{ data: LimitRow[] }>('GET', '/limits?limit=1000')
      return data.filter(
        (row) => row.scope.id === ids[row.scope.kind] && (row.scope.id !== null || row.model === model),
      )
    },
  }
}

function addLimit(program: Program, scope: object, limit: object): Promise<LimitRow> {
  return program.admin<LimitRow>('POST', '/limits', { ...scope, ...limit })
}

function ask(program: Program, { key, model }: Case, fields: object, headers: object = {}): Promise<Response> {
  return fetch(`${program.gatewayUrl}${CHAT}`, {
    method: 'POST',
    headers: { 'x-bursar-key': key, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'count to three' }], max_tokens: 64, ...fields }),
  })
}

/** What one request of the case holds, in nano-dollars. */
async function holdOf(program: Program, of: Case, fields: object): Promise<bigint> {
  const response = await ask(program, of, fields, { 'x-bursar-dry-run': '1' })
  const { estimate } = (await response.json()) as { estimate: { cost_usd: string } }
  return nanoOf(estimate.cost_usd)
}

function dollars(nano: bigint): string {
  return `${nano / 1_000_000_000n}.${(nano % 1_000_000_000n).toString().padStart(9, '0')}`
}

/** Sends them all, lets the provider answer once all others are refused, and gives how each one ended. */
async function rush(program: Program, of: Case, fields: object, upstream: Upstream, fits: number) {
  const waiting: Received[] = []
  const before = upstream.received.length
  upstream.answer = (received) => void waiting.push(received)
  let refused = 0
  const asked = Array.from({ length: AT_ONCE }, async () => {
    const response = await ask(program, of, fields)
    if (response.status !== 200) refused += 1
    return { status: response.status, text: await response.text() }
  })
  await eventually(() => assert.deepEqual([waiting.length, refused], [fits, AT_ONCE - fits]), 40_000)
  upstream.answer = answerWith
  for (const received of waiting) answerWith(received)
  const ended = await Promise.all(asked)
  assert.equal(upstream.received.length - before, fits, 'no refused request reached the provider')
  return ended
}

test('F01 F02 F03 F04 F05 of five hundred requests at once exactly what fits passes, on every level, streaming and not', async (t) => {
  const upstream = await startUpstream(t, answerWith)
  const yaml = `providers: [{ name: own, kind: openai, base_url: "${upstream.url}/v1", keys: [{ name: main, value: test }] }]\n`
  const program = await startProgram(t, { yaml })

  for (const [index, level] of LEVELS.entries()) {
    for (const streaming of [false, true]) {
      await t.test(`${level}, ${streaming ? 'streaming' : 'collected'}`, async () => {
        // Requests are limited on this level, money on this one or, every other time, on another.
        const costLevel = streaming ? level : (LEVELS[(index + 2) % LEVELS.length] ?? level)
        const fields = streaming ? { stream: true } : {}
        const of = await aCase(program, MODELS[(2 * index + Number(streaming)) % MODELS.length] as string)
        const hold = await holdOf(program, of, fields)
        assert.ok(hold > 100n)
        // Room for exactly so many; or with something left over that is too little even for a request that is counted precisely.
        const max = hold * BigInt(FITS_BUDGET) + (streaming ? hold / 10n : 0n)
        const budget = await addLimit(program, of.scopes[costLevel], {
          metric: 'cost',
          max: dollars(max),
          window: '1d',
        })
        await addLimit(program, of.scopes[level], { metric: 'requests', max: FITS_REQUESTS, window: '1d' })

        const byBudget = await rush(program, of, fields, upstream, FITS_BUDGET)
        assert.deepEqual(codes(byBudget), { '200': FITS_BUDGET, '402 budget_exceeded': AT_ONCE - FITS_BUDGET })
        await nothingHeld(of)
        assert.equal(await postedOn(of, 'requests'), FITS_BUDGET)

        // F05: what is left is no reason to let in one that is larger than it. F04: what was held has come back.
        const large = await ask(program, of, { ...fields, max_tokens: 64 * FITS_BUDGET * 2 })
        assert.equal(large.status, 402, await large.text())
        const small = await ask(program, of, fields)
        assert.equal(small.status, 200, await small.text())

        // Without the budget the requests that are left are what stands in the way.
        await program.admin('DELETE', `/limits/${budget.id}`)
        const left = FITS_REQUESTS - FITS_BUDGET - 1
        const byCount = await rush(program, of, fields, upstream, left)
        assert.deepEqual(codes(byCount), { '200': left, '429 rate_limited': AT_ONCE - left })
        await nothingHeld(of)

        // Every level saw the same: those that passed, each once.
        assert.equal(await postedOn(of, 'requests'), FITS_REQUESTS)
        assert.equal(await postedOn(of, 'output_tokens'), FITS_REQUESTS * USAGE.completion_tokens)
        assert.equal(await postedOn(of, 'tokens'), FITS_REQUESTS * USAGE.total_tokens)
        assert.equal(await postedOn(of, 'concurrency'), 0)
        await postedOn(of, 'cost')
      })
    }
  }

  await t.test('nothing is held by anybody, and the books add up', async () => {
    const { holds_open } = await program.admin<{ holds_open: number }>('GET', '/status')
    assert.equal(holds_open, 0)
    await eventually(async () => {
      const { differences } = await program.admin<{ differences: unknown[] }>('GET', '/consistency')
      assert.deepEqual(differences, [])
    })
  })
})

/** How many ended with which status and code. */
function codes(ended: readonly { status: number; text: string }[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { status, text } of ended) {
    const how = status === 200 ? '200' : `${status} ${(JSON.parse(text) as { error: { code: string } }).error.code}`
    found[how] = (found[how] ?? 0) + 1
  }
  return found
}

async function nothingHeld(of: Case): Promise<void> {
  await eventually(async () => {
    for (const { metric, scope, usage } of await of.limits()) {
      assert.equal(Number(usage.held), 0, `${metric} of the ${scope.kind} holds ${usage.held}`)
    }
  })
}

/** What all limits of a metric have posted: the same on every level, or the test fails. */
async function postedOn(of: Case, metric: string): Promise<number> {
  const limits = (await of.limits()).filter((limit) => limit.metric === metric)
  const posted = limits.map(({ usage }) => usage.posted)
  assert.ok(posted.length >= LEVELS.length)
  assert.equal(new Set(posted).size, 1, `${metric} is ${posted} on the levels of one chain`)
  return Number(posted[0])
}
