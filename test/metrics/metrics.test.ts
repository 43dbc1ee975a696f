import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { traceIdOf } from '../../src/admission/trace.ts'
import type { UsageEvent } from '../../src/ledger/facts.ts'
import { FullestLimits } from '../../src/metrics/fullest-limits.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { SeriesBook } from '../../src/metrics/series.ts'
import { GATEWAY_CODES } from '../../src/schemas/errors.ts'
import { world } from '../helpers/alert-world.ts'
import { aTeam } from '../helpers/entities.ts'
import { settled } from '../helpers/facts.ts'

const expected = { inputTokens: 20, costNanoUsd: 5_000_000n }
const ended = { overheadMs: null, expected, ending: 'complete' } as const

function event(fields: Partial<UsageEvent> = {}): UsageEvent {
  return { ...settled().event, provider: 'openai', model: 'gpt-4o', status: 200, success: true, ...fields }
}

function metricsOf(here = world(), shownMax?: number) {
  const limits = new FullestLimits(
    {
      limits: here.store.limits,
      inUse: here.ledger.inUse,
      readAll: here.ledger.readAll.bind(here.ledger),
      clock: here.clock,
    },
    shownMax,
  )
  return new Metrics({
    version: '1.2.3',
    limits,
    names: here.store,
    isNamed: () => false,
    refusalCodes: GATEWAY_CODES,
    operations: () => ({
      holdsOpen: 3,
      holdsExpired: 1,
      keysResting: new Map([['openai', 2]]),
      journalBytes: 4_096,
      journalLagBytes: 512,
      journalAccepting: true,
      factsWaiting: 7,
      dumpLagMs: 1_500,
      dumpMs: 250,
      quarantined: 2,
      databaseReachable: false,
      pluginFailures: [{ plugin: 'office-hours', hook: 'beforeAdmission', count: 2 }],
      alertsWaiting: 4,
      logLinesLost: 6,
      limits: 9,
      virtualKeys: 8,
    }),
  })
}

/** The samples of a text, without what the runtime says of itself. */
function samples(text: string): string[] {
  return text.split('\n').filter((line) => line.startsWith('bursar_'))
}

test('what attempts came to is added up per model, refusals per code, and asking twice changes nothing', async () => {
  const metrics = metricsOf()
  const usage = {
    inputTokens: 10,
    outputTokens: 4,
    costNanoUsd: '2500000',
    usageSource: 'reported',
    requests: 1,
  } as const
  metrics.attemptEnded(event({ ...usage, latencyMs: 30, ttftMs: 20 }), { ...ended, overheadMs: 0.2 })
  metrics.attemptEnded(event({ ...usage, overageNanoUsd: '1000000', latencyMs: 700 }), { ...ended, overheadMs: 0.7 })
  const failed = { success: false, usageSource: null, requests: 0 } as const
  metrics.attemptEnded(event({ ...failed, status: 503 }), { ...ended, ending: 'refused' })
  for (const ending of ['unreached', 'silent', 'withdrawn', 'abandoned', 'cancelled'] as const)
    metrics.attemptEnded(event({ ...failed, status: null }), { ...ended, ending })
  for (const code of ['rate_limited', 'rate_limited', 'key_unknown']) metrics.refused(code)
  await metrics.text()
  const lines = samples(await metrics.text())
  for (const line of [
    'bursar_build_info{version="1.2.3"} 1',
    'bursar_requests_total{provider="openai",model="gpt-4o"} 2',
    'bursar_attempts_total{provider="openai",model="gpt-4o",status="2xx"} 2',
    'bursar_attempts_total{provider="openai",model="gpt-4o",status="5xx"} 1',
    'bursar_attempts_total{provider="openai",model="gpt-4o",status="4xx"} 0',
    'bursar_attempts_total{provider="openai",model="gpt-4o",status="none"} 2',
    'bursar_attempts_total{provider="openai",model="gpt-4o",status="given_up"} 3',
    'bursar_settlements_total{provider="openai",model="gpt-4o",source="orphaned"} 0',
    'bursar_tokens_total{provider="openai",model="gpt-4o",type="input"} 20',
    'bursar_tokens_total{provider="openai",model="gpt-4o",type="output"} 8',
    'bursar_cost_usd_total{provider="openai",model="gpt-4o"} 0.005',
    'bursar_overage_usd_total{provider="openai",model="gpt-4o"} 0.001',
    'bursar_overages_total{provider="openai",model="gpt-4o"} 1',
    'bursar_expected_input_tokens_total{provider="openai",model="gpt-4o"} 40',
    'bursar_reported_input_tokens_total{provider="openai",model="gpt-4o"} 20',
    'bursar_held_cost_usd_total{provider="openai",model="gpt-4o"} 0.01',
    'bursar_settlements_total{provider="openai",model="gpt-4o",source="reported"} 2',
    'bursar_refusals_total{code="rate_limited"} 2',
    'bursar_refusals_total{code="key_unknown"} 1',
    'bursar_refusals_total{code="upstream_auth_failed"} 0',
    'bursar_upstream_latency_seconds_count{provider="openai"} 3',
    'bursar_overhead_seconds_count 2',
    'bursar_overhead_seconds_bucket{le="0.00025"} 1',
    'bursar_holds_open 3',
    'bursar_provider_keys_resting{provider="openai"} 2',
    'bursar_holds_expired_total 1',
    'bursar_log_lines_lost_total 6',
    'bursar_dump_lag_seconds 1.5',
    'bursar_database_up 0',
    'bursar_quarantined_facts 2',
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`)
  }
})

test('limits show their use, hold, maximum and reset, cost in dollars', async () => {
  const here = world()
  const team = aTeam({ name: 'research' })
  here.store.apply([{ op: 'put', kind: 'team', entity: team }], here.clock.now())
  const scope = { kind: 'team', id: team.id } as const
  const cost = here.limit({ metric: 'cost', max: 2_000_000_000n, scope })
  const forever = here.limit({
    metric: 'requests',
    max: 10n,
    window: 'lifetime',
    align: null,
    spec: { kind: 'lifetime' },
  })
  here.use(cost, 1_500_000_000n)
  const lines = samples(await metricsOf(here).text())
  const labels = `{limit_id="${cost.id}",scope="team",scope_name="research",metric="cost",provider="",model="",window="1h",mode="enforce"}`
  for (const line of [
    `bursar_limit_used${labels} 1.5`,
    `bursar_limit_held${labels} 0`,
    `bursar_limit_max${labels} 2`,
    `bursar_limit_reset_seconds${labels} 3600`,
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${lines.join('\n')}`)
  }
  assert.ok(!lines.some((line) => line.startsWith('bursar_limit_reset_seconds') && line.includes(forever.id)))
})

test('F25 of many limits only the fullest are shown, found without holding up the event loop', async () => {
  const here = world({ meters: 4_096 })
  const limits = Array.from({ length: 2_500 }, () => here.limit({ metric: 'requests', max: 1_000n, alertAt: [] }))
  const full = [limits[7], limits[1_700], limits[2_499]].map((limit) => limit ?? assert.fail())
  for (const [at, limit] of full.entries()) here.use(limit, BigInt(900 - at))
  let turns = 0
  let isOver = false
  setImmediate(function turn() {
    turns += 1
    if (!isOver) setImmediate(turn)
  })
  const shown = samples(await metricsOf(here, 3).text()).filter((line) => line.startsWith('bursar_limit_used'))
  isOver = true
  assert.ok(turns >= 2, 'other work was done meanwhile')
  assert.deepEqual(
    shown.map((line) => [/limit_id="([^"]+)"/.exec(line)?.[1], line.split(' ').at(-1)]),
    full.map((limit, at) => [limit.id, `${900 - at}`]),
  )
})

test('F25 names that strangers invent make no lines: a model gets its own once it has answered, and there are only so many', () => {
  const book = new SeriesBook((provider, model) => provider === 'openai' && model.startsWith('named'), 2, 3)
  const lines = () =>
    [...book].map(
      ({ provider, model, attempts }) =>
        `${provider}/${model} ${[...attempts.values()].reduce((sum, count) => sum + count, 0)}`,
    )
  for (let n = 0; n < 100; n++)
    book.add(event({ model: `invented-${n}`, success: false, status: 404 }), expected, 'refused')
  assert.deepEqual(lines(), ['openai/other 100'])
  for (let n = 0; n < 5; n++) book.add(event({ model: `served-${n}` }), expected, 'complete')
  assert.deepEqual(lines(), ['openai/other 102', 'openai/served-0 1', 'openai/served-1 1', 'openai/served-2 1'])
  book.add(event({ model: 'served-1', success: false, status: 500 }), expected, 'refused')
  assert.deepEqual(lines().length, 4)
  // Whoever has filled the lines of a provider has filled no more than these.
  book.add(event({ model: 'named-1' }), expected, 'complete')
  book.add(event({ provider: 'local', model: 'served-9' }), expected, 'complete')
  assert.deepEqual(lines().slice(-2), ['openai/named-1 1', 'local/served-9 1'])
  for (let n = 2; n < 9; n++) book.add(event({ model: `named-${n}` }), expected, 'complete')
  assert.deepEqual(lines().length, 7, 'but for those that are named only so many, too')
})

test('a trace id is read from a well-formed traceparent only', () => {
  const id = '4bf92f3577b34da6a3ce929d0e0e4736'
  assert.equal(traceIdOf({ traceparent: `00-${id}-00f067aa0ba902b7-01` }), id)
  assert.equal(traceIdOf({ traceparent: `cc-${id}-00f067aa0ba902b7-01-what-comes-later` }), id)
  for (const malformed of [
    undefined,
    '',
    id,
    `ff-${id}-00f067aa0ba902b7-01`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${id}-00f067aa0ba902b7`,
    `00-${id}-00f067aa0ba902b7-01-extra`,
    `00-${id}-00f067aa0ba902b7-01-`,
    `cc-${id}-00f067aa0ba902b7-01.what-comes-later`,
  ]) {
    assert.equal(traceIdOf(malformed === undefined ? {} : { traceparent: malformed }), null, `${malformed}`)
  }
})

test('the dashboard and the alert rules that are shipped ask for metrics that exist', async () => {
  const text = await metricsOf().text()
  const known = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name))
  for (const file of ['grafana/bursar.json', 'prometheus/alerts.yaml']) {
    const shipped = readFileSync(new URL(`../../examples/${file}`, import.meta.url), 'utf8')
    const asked = new Set(shipped.match(/\b(?:bursar|nodejs|process)_[a-z0-9_]+\b/g))
    assert.ok(asked.size > 5, file)
    for (const [, name = ''] of shipped.matchAll(/(?:increase|rate)\((bursar_\w+)/g))
      assert.match(
        text,
        new RegExp(`^# TYPE ${name.replace(/_bucket$/, '')} (counter|histogram)$`, 'm'),
        `${file}: ${name}`,
      )
    for (const [, code = ''] of shipped.matchAll(/code=~?"([^"]+)"/g))
      for (const one of code.split('|')) assert.ok(GATEWAY_CODES.includes(one), `${file}: ${one}`)
    for (const name of asked)
      assert.ok(known.has(name.replace(/_(bucket|sum|count)$/, '')) || known.has(name), `${file}: ${name}`)
  }
  const dashboard = readFileSync(new URL('../../examples/grafana/bursar.json', import.meta.url), 'utf8')
  for (const name of known) {
    if (name.startsWith('bursar_')) assert.ok(dashboard.includes(name), `no panel shows ${name}`)
  }
})

test('the fullest limits are looked for among those in use; where these are few, any others stand beside them', async () => {
  const here = world()
  const limits = Array.from({ length: 20 }, () => here.limit({ metric: 'requests', max: 10n }))
  const used = limits.slice(15)
  for (const [n, { id }] of used.entries()) here.ledger.correct(id, BigInt(n + 1), here.clock.now())
  const readAll = here.ledger.readAll.bind(here.ledger)
  const look = async (max: number) => {
    const inUse = new Map(used.map(({ id }) => [id, null]))
    const parts = { limits: here.store.limits, inUse, readAll, clock: here.clock }
    return (await new FullestLimits(parts, max).look()).map(({ limit }) => limit.id)
  }
  const fullest = used.map(({ id }) => id).toReversed()
  assert.deepEqual(await look(3), fullest.slice(0, 3))
  const shown = await look(8)
  assert.deepEqual([shown.slice(0, 5), new Set(shown).size], [fullest, 8])
})
