import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Admitted } from '../../src/admission/admission.ts'
import { FULL_ACCESS } from '../../src/auth/access.ts'
import { ANONYMOUS } from '../../src/auth/principal.ts'
import { createGovernance } from '../../src/governance.ts'
import { linesOf } from '../../src/ledger/charges.ts'
import type { UsageEvent } from '../../src/ledger/facts.ts'
import { defaultSettings } from '../../src/schemas/settings.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { newId } from '../../src/units/id.ts'
import { silentLog } from '../../src/units/log.ts'
import { outcome } from '../../src/usage/settle.ts'
import { UsageTracker } from '../../src/usage/tracker.ts'
import { NO_USAGE } from '../../src/usage/usage.ts'
import { aLimit, aProvider } from '../helpers/entities.ts'
import { RecordedFacts } from '../helpers/recorded-facts.ts'

const NOW = Date.parse('2026-11-20T12:00:00Z')
const REPORTED = { ...NO_USAGE, inputTokens: 10, outputTokens: 5 }
/** 10 × $2.50 + 5 × $10 per million. */
const COST = 75_000n

function world(providers: readonly string[] = ['openai']) {
  const clock = new ManualClock(NOW)
  const facts = new RecordedFacts()
  const governance = createGovernance({ settings: defaultSettings, clock, facts, log: silentLog })
  const { store, ledger, admission, prices } = governance
  const errors: object[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => void errors.push(fields) }
  const tracker = new UsageTracker({ ...governance, log })
  const cost = aLimit({ metric: 'cost', max: 10n ** 12n })
  const requests = aLimit({ metric: 'requests', max: 100n })
  store.apply(
    [cost, requests].map((entity) => ({ op: 'put', kind: 'limit', entity }) as const),
    NOW,
  )
  const route = providers.map((name) => {
    const provider = aProvider({ name })
    return { provider, providerKey: null, model: 'gpt-4o', price: prices.priceOf(provider, 'gpt-4o', NOW) }
  })
  const [first, ...rest] = route
  assert.ok(first !== undefined)
  assert.ok(FULL_ACCESS.allowsProvider(first.provider.name))

  const admit = (): Admitted => {
    const decision = admission.admit({
      requestId: newId(),
      principal: ANONYMOUS,
      route: [first, ...rest],
      facts: {
        format: 'openai',
        endpoint: 'chat',
        requestedModel: 'gpt-4o',
        modelSpan: null,
        stream: false,
        asksForUsage: false,
        streamOptionsSpan: null,
        outputCeiling: 100,
        choices: 1,
        producesOutput: true,
        textBytes: 200,
        messages: 1,
        attachments: 0,
        usesStoredInput: false,
        body: Buffer.from('{}'),
        query: '',
        tags: [],
        dryRun: false,
      },
    })
    assert.ok(decision.ok)
    return decision.value
  }
  const posted = (limit: typeof cost) => ledger.read(limit.id, clock.now())?.posted
  return { clock, facts, store, ledger, tracker, admit, posted, cost, requests, errors }
}

describe('usage tracker', () => {
  test('B66 B70 an attempt ends once, whoever comes first; what comes later changes nothing', () => {
    const { tracker, admit, facts, posted, cost, ledger } = world()
    const attempt = tracker.begin(admit())
    assert.deepEqual([tracker.openAttempts, tracker.endingAttempts], [1, 1])
    const event = attempt.end(outcome('complete', 200, { usage: REPORTED }))
    assert.equal(event?.costNanoUsd, COST.toString())
    assert.equal(attempt.end(outcome('cut', 200)), null)
    assert.equal(attempt.end(outcome('unreached', null)), null)
    assert.equal(attempt.moveOn(outcome('unreached', null)), null)
    assert.equal(posted(cost), COST)
    assert.equal(facts.of('settle').length, 1)
    assert.equal(facts.of('void').length, 0)
    assert.equal(ledger.openHoldCount, 0)
    assert.equal(tracker.openAttempts, 0)
  })

  test('B67 attempts of one request are charged each for itself, the request counts once', () => {
    const { tracker, admit, facts, posted, cost, requests } = world(['a', 'b'])
    const first = tracker.begin(admit())
    const second = first.moveOn(outcome('refused', 500, { usage: REPORTED }))
    assert.equal(first.ended, true)
    assert.ok(second?.ok)
    assert.equal(second.value.admitted.identity.provider, 'b')
    second.value.end(outcome('complete', 200, { usage: REPORTED }))
    assert.equal(posted(cost), 2n * COST)
    assert.equal(posted(requests), 1n)
    assert.deepEqual(
      eventsOf(facts).map((event) => [event.attempt, event.requests]),
      [
        [1, 0],
        [2, 1],
      ],
    )
  })

  test('an attempt without a next candidate has not ended', () => {
    const { tracker, admit, posted, cost } = world()
    const attempt = tracker.begin(admit())
    assert.equal(attempt.moveOn(outcome('refused', 500)), null)
    assert.equal(attempt.ended, false)
    attempt.end(outcome('complete', 200, { usage: REPORTED }))
    assert.equal(posted(cost), COST)
  })

  test('T11 a limit deleted in flight is charged in the books alone, without a fault', () => {
    const { tracker, admit, facts, store, cost, posted } = world()
    const attempt = tracker.begin(admit())
    store.apply([{ op: 'delete', kind: 'limit', id: cost.id }], NOW)
    attempt.end(outcome('complete', 200, { usage: REPORTED }))
    assert.equal(posted(cost), undefined)
    const line = linesOf(eventsOf(facts)[0]?.charges ?? []).find(([id]) => id === cost.id)
    assert.equal(line?.[4], COST.toString())
  })

  test('T08 a listener that throws stops neither the others nor the settlement, and is logged', () => {
    const { tracker, admit, posted, cost, errors } = world()
    const heard: UsageEvent[] = []
    tracker.onEvent(() => {
      throw new Error('bad listener')
    })
    tracker.onEvent((event) => heard.push(event))
    tracker.begin(admit()).end(outcome('complete', 200, { usage: REPORTED }))
    assert.equal(heard.length, 1)
    assert.equal(posted(cost), COST)
    assert.equal(errors.length, 1)
  })

  test('a journal that takes nothing does not undo what was taken, and is logged with the fact', () => {
    const { tracker, admit, posted, cost, errors, facts } = world()
    const attempt = tracker.begin(admit())
    facts.accepting = false
    assert.notEqual(attempt.end(outcome('complete', 200, { usage: REPORTED })), null)
    assert.equal(posted(cost), COST)
    assert.match(JSON.stringify(errors), /"costNanoUsd":"75000"/)
  })

  test('F02 what was admitted and never begun is returned, once', () => {
    const { tracker, admit, facts, posted, requests, ledger } = world()
    const admitted = admit()
    const endings: string[] = []
    tracker.onEvent((_event, _admitted, { ending }) => void endings.push(ending))
    tracker.abandon(admitted)
    tracker.abandon(admitted)
    assert.deepEqual(endings, ['withdrawn'], 'which is no doing of the provider’s')
    assert.equal(ledger.openHoldCount, 0)
    assert.equal(posted(requests), 0n)
    assert.equal(facts.of('void').length, 1)
    const begun = admit()
    const attempt = tracker.begin(begun)
    tracker.abandon(begun)
    assert.equal(attempt.ended, false, 'what was begun ends itself')
    attempt.end(outcome('unreached', null))
  })

  test('a hold past every time-out expires with its input, is logged, and a late end corrects by the difference', () => {
    const { tracker, admit, clock, facts, posted, cost, errors } = world()
    const attempt = tracker.begin(admit())
    assert.equal(tracker.expireOverdue(), 0)
    clock.advance(48 * 3_600_000)
    assert.equal(tracker.expireOverdue(), 1)
    assert.equal(tracker.expireOverdue(), 0)
    assert.equal(errors.length, 1)
    const [orphaned] = eventsOf(facts)
    assert.equal(orphaned?.usageSource, 'orphaned')
    assert.equal(attempt.moveOn(outcome('refused', 500)), null, 'an expired hold moves nowhere')
    assert.equal(attempt.end(outcome('complete', 200, { usage: REPORTED })), null)
    const [correction] = facts.of('correct')
    const line = correction?.charges.find(([id]) => id === cost.id)
    const orphanedCost = BigInt(orphaned?.costNanoUsd ?? 0)
    assert.equal(line?.[4], (COST - orphanedCost).toString())
    assert.equal(correction?.requestId, attempt.admitted.identity.requestId)
    assert.ok((posted(cost) ?? 0n) <= COST)
  })

  test('F02 a hold past every time-out that was never begun expires like any other, also in the journal', () => {
    const { tracker, admit, clock, ledger, cost, facts } = world()
    const { identity } = admit()
    clock.advance(48 * 3_600_000)
    assert.equal(tracker.expireOverdue(), 1)
    assert.equal(tracker.expireOverdue(), 0)
    assert.deepEqual([ledger.openHoldCount, tracker.openAttempts], [0, 0])
    const [event] = eventsOf(facts)
    assert.deepEqual([event?.requestId, event?.usageSource], [identity.requestId, 'orphaned'])
    assert.ok(event?.costNanoUsd !== '0')
    assert.equal(ledger.read(cost.id, clock.now())?.lifetime, BigInt(event?.costNanoUsd ?? 0))
  })

  test('F02 a next hold that cannot be written down: the attempt has ended once, with what it used, and nothing is held', () => {
    const { tracker, admit, facts, ledger, posted, cost, errors } = world(['a', 'b'])
    const attempt = tracker.begin(admit())
    facts.takesHolds = false
    const moved = attempt.moveOn(outcome('refused', 500, { usage: REPORTED }))
    assert.equal(moved?.ok === false && moved.refusal.code, 'overloaded')
    assert.deepEqual([attempt.ended, attempt.event?.costNanoUsd], [true, COST.toString()])
    assert.equal(attempt.end(outcome('complete', 200, { usage: REPORTED })), null)
    assert.deepEqual([ledger.openHoldCount, tracker.openAttempts, posted(cost)], [0, 0, COST])
    assert.equal(facts.of('hold').length, 1)
    assert.deepEqual(eventsOf(facts), [attempt.event], 'the one hold in the journal is resolved there')
    assert.equal(errors.length, 0)
  })
})

function eventsOf({ facts }: RecordedFacts): UsageEvent[] {
  return facts.flatMap((fact) => (fact.t === 'settle' || fact.t === 'void' ? [fact.event] : []))
}
