/**
 * Steps: what each step of one governed request costs, in µs, with the program's own functions and no socket.
 *
 *     npx node bench/steps.ts [--json bench/steps.json]
 *
 * A small chat by a key with ten limits in its chain, prices known, a journal on the disk. Medians of blocks; the clock's own cost is taken off.
 * Goal: admission and settlement together, estimate included, within 10 µs. Below: how long the reading of a 400 KB prompt blocks the event loop
 * (goal 3 ms).
 */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { BUDGET_RESOLVER, RATE_LIMITER } from '../src/admission/gate.ts'
import { limitHeaders } from '../src/admission/headers.ts'
import { readFacts } from '../src/admission/read-facts.ts'
import { AddressReader } from '../src/auth/address.ts'
import { authenticate } from '../src/auth/authenticate.ts'
import { readCredential } from '../src/auth/credential.ts'
import { PresentedKeys } from '../src/auth/presented-keys.ts'
import { hashKey } from '../src/auth/virtual-key.ts'
import { createGovernance } from '../src/governance.ts'
import { createLog, fieldsTo } from '../src/log.ts'
import { Journal } from '../src/persist/journal.ts'
import { wholeAnswer } from '../src/providers/answer-reading.ts'
import { callOptionsOf } from '../src/providers/call-options.ts'
import { answerHeaders, servedHeaders } from '../src/providers/headers.ts'
import { outgoingCall } from '../src/providers/outgoing.ts'
import { route } from '../src/providers/routing.ts'
import { defaultSettings } from '../src/schemas/settings.ts'
import type { Change, EntityByKind, EntityKind, Limit } from '../src/store/entities.ts'
import { systemClock } from '../src/units/clock.ts'
import { newId } from '../src/units/id.ts'
import { silentLog } from '../src/units/log.ts'
import { resolutionOf } from '../src/usage/settle.ts'
import { UsageTracker } from '../src/usage/tracker.ts'
import { aCustomer, aLimit, aProvider, aTeam, aUser, aVirtualKey } from '../test/helpers/entities.ts'

const { values } = parseArgs({ options: { json: { type: 'string' } } })
const BLOCKS = 400
const PER_BLOCK = 50
/** Requests whose lines are written together: what a busy gateway finds in one turn of its event loop. */
const PER_TURN = 8
const CREDENTIAL = 'a-virtual-key-of-the-bench'

const folder = mkdtempSync(join(tmpdir(), 'bursar-steps-'))
const journal = new Journal({ directory: join(folder, 'journal'), log: silentLog })
const clock = systemClock
const settings = defaultSettings
const governance = createGovernance({ settings, clock, facts: journal, log: silentLog })
const { store, admission, ledger, prices, resting, addresses, alerts } = governance
for (const gate of [RATE_LIMITER, BUDGET_RESOLVER]) admission.enforce(gate)
const tracker = new UsageTracker({ ...governance, log: silentLog })

function put<K extends EntityKind>(kind: K, entity: EntityByKind[K]): Change {
  return { op: 'put', kind, entity } as unknown as Change
}

const customer = aCustomer()
const team = aTeam({ customerId: customer.id })
const user = aUser()
const key = aVirtualKey({ userId: user.id, teamId: team.id, hash: hashKey(CREDENTIAL) })
const providerKey = { id: newId(), name: 'main', value: 'sk-of-the-provider', keyStart: 'sk-of', weight: 1 }
const provider = aProvider({ name: 'openai', baseUrl: 'http://127.0.0.1:1/v1', keys: [providerKey] })
const rates: readonly Pick<Limit, 'metric' | 'max' | 'window' | 'align'>[] = [
  { metric: 'requests', max: 10n ** 12n, window: '1m', align: 'fixed' },
  { metric: 'tokens', max: 10n ** 12n, window: '1m', align: 'sliding' },
  { metric: 'cost', max: 10n ** 17n, window: '1M', align: 'calendar' },
]
const scopes = [
  { kind: 'customer', id: customer.id },
  { kind: 'team', id: team.id },
  { kind: 'user', id: user.id },
  { kind: 'virtual_key', id: key.id },
] as const
const limits = scopes.flatMap((scope) =>
  (scope.kind === 'customer' ? rates.slice(2) : rates).map((rate) => aLimit({ ...rate, scope })),
)
store.apply(
  [
    put('customer', customer),
    put('team', team),
    put('user', user),
    put('virtual_key', key),
    put('provider', provider),
    ...limits.map((limit) => put('limit', limit)),
  ],
  clock.now(),
)

const bodyOf = (words: number) =>
  Buffer.from(
    JSON.stringify({
      model: 'gpt-4o-mini',
      max_tokens: 100,
      messages: [{ role: 'user', content: 'word '.repeat(words) }],
    }),
  )
const BODY = bodyOf(10)
const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    model: 'gpt-4o-mini',
    choices: [{ index: 0, message: { role: 'assistant', content: 'A short answer.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 12, completion_tokens: 9, total_tokens: 21 },
  }),
)
const HEADERS = { authorization: `Bearer ${CREDENTIAL}`, 'content-type': 'application/json', 'user-agent': 'bench' }
const UPSTREAM = { 'content-type': 'application/json', date: 'now', connection: 'keep-alive' }
const reader = new AddressReader(null)
const presentedKeys = new PresentedKeys()
const connection = {}
const options = callOptionsOf(settings, 1_000_000)
const writeLine = fieldsTo(createLog('info', openSync('/dev/null', 'w')))

function must<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false }): T {
  if (!result.ok) throw new Error('the bench’s request was refused')
  return result.value
}

const STEPS = [
  'auth',
  'facts',
  'route',
  'chain and estimate',
  'hold',
  'hold returned',
  'admission',
  'forward',
  'extract',
  'price',
  'settlement',
  'alerts',
  'log',
  'headers',
  'journal',
] as const
type Step = (typeof STEPS)[number]
const sums = new Map<Step, number[]>(STEPS.map((step) => [step, []]))
let block = new Map<Step, number>()

function timed<T>(step: Step, work: () => T): T {
  const startedAt = performance.now()
  const result = work()
  const took = performance.now() - startedAt
  block.set(step, (block.get(step) ?? 0) + took)
  return result
}

function one(): void {
  const now = clock.now()
  const principal = timed('auth', () => {
    const client = reader.read('127.0.0.1', undefined)
    const hashOf = (presented: string) => presentedKeys.hashOf(presented, connection)
    return must(authenticate(readCredential(HEADERS), client, { store, addresses, requireKey: true }, now, hashOf))
  })
  const source = {
    format: 'openai',
    endpoint: 'chat',
    pathModel: null,
    query: '',
    headers: HEADERS,
    body: BODY,
  } as const
  const facts = timed('facts', () => must(readFacts(source)))
  const { aliases } = settings
  const routed = timed('route', () =>
    must(route(principal, facts, store, { aliases, random: Math.random, prices, resting, now })),
  )
  const request = { requestId: newId(), principal, facts, route: routed }
  // The parts of an admission, then an admission.
  const proposal = timed('chain and estimate', () => must(admission.propose(request, routed[0])))
  const wanted = {
    requestId: 'bench',
    attempt: 1,
    chain: proposal.chain.limits,
    amounts: proposal.amounts,
    deadline: 0,
  }
  const held = timed('hold', () => ledger.hold(wanted, now))
  if (!held.ok) throw new Error('the bench’s hold was refused')
  timed('hold returned', () => ledger.void(held.hold))
  const admitted = timed('admission', () => must(admission.admit(request)))
  const attempt = tracker.begin(admitted)
  timed('forward', () => outgoingCall(admitted, HEADERS, options))
  const end = timed('extract', () => wholeAnswer(admitted, 200, ANSWER, () => 0))
  timed('price', () => resolutionOf(end, admitted.estimate, admitted.candidate.price, facts))
  const event = timed('settlement', () => attempt.end(end))
  if (event === null) throw new Error('the bench’s attempt had ended')
  timed('alerts', () => alerts.look(event))
  const json = JSON.stringify(event)
  timed('log', () => writeLine(json.slice(1, -1), 'request ended'))
  timed('headers', () => [
    answerHeaders(UPSTREAM),
    limitHeaders(admitted.chain, ledger, now, servedHeaders(admitted, attempt.requestCost)),
  ])
}

/** What the lines of a turn cost to write, a request's share. */
async function written(): Promise<void> {
  const startedAt = await new Promise<number>((resolve) => setImmediate(() => resolve(performance.now())))
  await new Promise<void>((resolve) => journal.flushed(resolve))
  block.set('journal', (block.get('journal') ?? 0) + performance.now() - startedAt)
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}

const round = (us: number) => Math.round(us * 100) / 100

try {
  const clockCost: number[] = []
  for (let n = 0; n < BLOCKS; n += 1) {
    block = new Map()
    for (let k = 0; k < PER_BLOCK; k += 1) timed('auth', () => k)
    clockCost.push(((block.get('auth') ?? 0) / PER_BLOCK) * 1_000)
  }
  const overhead = median(clockCost)
  for (let n = 0; n < BLOCKS * 2; n += 1) {
    block = new Map()
    for (let k = 0; k < PER_BLOCK; k += 1) {
      one()
      if (k % PER_TURN === PER_TURN - 1) await written()
    }
    await written()
    // The first half is for the compiler.
    if (n >= BLOCKS) for (const [step, ms] of block) sums.get(step)?.push((ms / PER_BLOCK) * 1_000)
  }
  const steps = STEPS.map((step) => ({ step, us: round(Math.max(0, median(sums.get(step) ?? []) - overhead)) }))
  const us = (step: Step) => steps.find((row) => row.step === step)?.us ?? Number.NaN
  const total = round(us('admission') + us('settlement'))

  const large = bodyOf(80_000)
  const blocked: number[] = []
  const principal = must(
    authenticate(CREDENTIAL, reader.read('127.0.0.1', undefined), { store, addresses, requireKey: true }, clock.now()),
  )
  for (let n = 0; n < 200; n += 1) {
    const startedAt = performance.now()
    const facts = must(
      readFacts({ format: 'openai', endpoint: 'chat', pathModel: null, query: '', headers: HEADERS, body: large }),
    )
    const now = clock.now()
    const routed = must(
      route(principal, facts, store, { aliases: settings.aliases, random: Math.random, prices, resting, now }),
    )
    const admitted = must(admission.admit({ requestId: newId(), principal, facts, route: routed }))
    outgoingCall(admitted, HEADERS, options)
    blocked.push(performance.now() - startedAt)
    tracker.begin(admitted).end(wholeAnswer(admitted, 200, ANSWER, () => 0))
  }
  const blockedMs = round(median(blocked))

  for (const { step, us: cost } of steps) process.stdout.write(`${step.padEnd(20)}${cost.toFixed(2).padStart(8)} µs\n`)
  process.stdout.write(`\nadmission and settlement, 10 limits${total.toFixed(2).padStart(8)} µs (goal 10)\n`)
  process.stdout.write(
    `${Math.round(large.length / 1_000)} KB prompt, event loop blocked${blockedMs.toFixed(2).padStart(8)} ms (goal 3)\n`,
  )
  if (values.json !== undefined) {
    const results = {
      node: process.version,
      steps,
      admission_and_settlement_us: total,
      blocked_ms_at_400_kb: blockedMs,
    }
    writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
  }
} finally {
  await journal.close()
  rmSync(folder, { recursive: true, force: true })
}
