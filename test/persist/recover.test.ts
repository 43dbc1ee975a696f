import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type ChargeLine, linesOf } from '../../src/ledger/charges.ts'
import type { HoldFact } from '../../src/ledger/facts.ts'
import { type OrphanPolicy, resolveOrphan } from '../../src/persist/orphans.ts'
import { recover } from '../../src/persist/recover.ts'
import { METRICS } from '../../src/store/entities.ts'
import { newId } from '../../src/units/id.ts'
import { inTheBooks, type TestBooks, testBooks } from '../helpers/books.ts'
import { forEachDatabase, postgresDatabases } from '../helpers/databases.ts'
import { held, settled } from '../helpers/facts.ts'

const WINDOW = Date.UTC(2026, 10, 1)

/** One charge per metric, as a hold of 20 input and 40 output tokens for 1,000 nano-dollars has them. */
const AMOUNTS = { requests: '1', tokens: '60', input_tokens: '20', output_tokens: '40', concurrency: '1', cost: '1000' }
function chargesOnAll(): ChargeLine[] {
  return METRICS.map((metric) => [newId(), 1, WINDOW, metric, AMOUNTS[metric]])
}

async function again(books: TestBooks, orphans: OrphanPolicy = 'input') {
  const { newestAt: _, ...report } = await recover({ ...books, orphans })
  return report
}

describe('what an orphan is charged', () => {
  const amounts = (policy: OrphanPolicy) => {
    const { t, event } = resolveOrphan(held({}, chargesOnAll()), policy, 5)
    const { inputTokens, outputTokens, costNanoUsd, requests, usageSource } = event
    const charges = Object.fromEntries(linesOf(event.charges).map(([, , , metric, amount]) => [metric, amount]))
    return { t, inputTokens, outputTokens, costNanoUsd, requests, usageSource, charges }
  }

  test('input: the input estimate', () => {
    assert.deepEqual(amounts('input'), {
      t: 'settle',
      inputTokens: 20,
      outputTokens: 0,
      costNanoUsd: '300',
      requests: 1,
      usageSource: 'orphaned',
      charges: { requests: '1', tokens: '20', input_tokens: '20', output_tokens: '0', concurrency: '0', cost: '300' },
    })
  })

  test('hold: everything that was held, but for concurrency, which ends with the request', () => {
    assert.deepEqual(amounts('hold'), {
      t: 'settle',
      inputTokens: 20,
      outputTokens: 40,
      costNanoUsd: '1000',
      requests: 1,
      usageSource: 'orphaned',
      charges: { ...AMOUNTS, concurrency: '0' },
    })
  })

  test('void: nothing', () => {
    const nothing = { inputTokens: 0, outputTokens: 0, costNanoUsd: '0', requests: 0, usageSource: null, charges: {} }
    assert.deepEqual(amounts('void'), { t: 'void', ...nothing })
  })
})

forEachDatabase((_kind, open) => {
  test('F02 holds that nobody resolved are resolved once, in the journal and in the books; a second start finds none', async (t) => {
    const database = await open(t)
    const first = testBooks(t, database)
    const [orphan, resolved, returned] = [held({}, chargesOnAll()), held(), held({ attempt: 2 })]
    await first.write([orphan, resolved, returned, settled({ ...resolved.identity })])
    await first.write([{ ...settled({ ...returned.identity, charges: [] }), t: 'void' }])
    await first.journal.close()

    const second = testBooks(t, database, { directory: first.directory })
    assert.deepEqual(await again(second), { facts: 3, orphans: 1, torn: 0, quarantined: 0 })
    const { usage } = await inTheBooks(database)
    assert.deepEqual(usage.map(({ posted }) => posted).sort(), [1n, 20n, 20n, 300n])
    const event = await database.db
      .selectFrom('usage_events')
      .selectAll()
      .where('request_id', '=', orphan.identity.requestId)
      .executeTakeFirstOrThrow()
    assert.deepEqual([event.usage_source, event.cost_nano_usd, event.success], ['orphaned', 300n, false])
    assert.equal(second.dump.applied, second.journal.end)
    await second.journal.close()

    const third = testBooks(t, database, { directory: first.directory })
    assert.deepEqual(await again(third), { facts: 0, orphans: 0, torn: 0, quarantined: 0 })
  })

  test('a torn line and garbage neither stop a start nor hide what is around them', async (t) => {
    const database = await open(t)
    const first = testBooks(t, database)
    const orphan = held()
    await first.write([orphan, settled()])
    await first.journal.close()
    const file = first.journal.segments.at(-1)?.path ?? ''
    appendFileSync(file, `\0\0\0\n{"t":"hold"}\n${JSON.stringify(settled())}\n${JSON.stringify(settled())}`)

    const second = testBooks(t, database, { directory: first.directory })
    assert.deepEqual(await again(second), { facts: 3, orphans: 1, torn: 1, quarantined: 2 })
    assert.equal((await inTheBooks(database)).events.length, 3)
  })

  test('a hold that cannot be resolved goes into quarantine and is open no longer', async (t) => {
    const database = await open(t)
    const first = testBooks(t, database)
    const [orphan, broken] = [held(), { ...held(), charges: [null] }]
    await first.write([orphan, broken as unknown as HoldFact])
    await first.journal.close()

    const journal = { segmentBytes: 200 }
    const second = testBooks(t, database, { directory: first.directory, journal })
    assert.deepEqual(await again(second), { facts: 1, orphans: 1, torn: 0, quarantined: 1 })
    for (let more = 0; more < 3; more++) await second.write([settled()])
    const segments = second.journal.segments.map(({ path }) => readFileSync(path, 'utf8'))
    assert.ok(segments.length > 2)
    const naming = segments.filter((text) => text.includes(broken.identity.requestId))
    assert.equal(naming.length, 0, 'the segment with it is gone, and no later one begins with it')
  })

  test('a journal whose end was lost in a power cut goes on behind what the books have', async (t) => {
    const database = await open(t)
    const first = testBooks(t, database)
    await first.write([settled()])
    await first.write([settled()])
    await first.dump.run()
    await first.journal.close()
    truncateSync(first.journal.segments.at(-1)?.path ?? '', 200)

    const second = testBooks(t, database, { directory: first.directory })
    await again(second)
    await second.write([settled()])
    await second.dump.run()
    assert.equal((await inTheBooks(database)).events.length, 3)
  })
})

describe('any history', () => {
  const open = postgresDatabases()

  test('F02 F10 killed after any number of steps, again and again: what was resolved stays, what was open is resolved once', async (t) => {
    const database = await open(t as TestContext)
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('hold' as const) },
      { weight: 3, arbitrary: fc.record({ settle: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.constant('dump' as const) },
      { weight: 1, arbitrary: fc.constant('kill' as const) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const virtualKeyId = newId()
        let books = testBooks(t as TestContext, database, { journal: { segmentBytes: 1_500 } })
        const { directory } = books
        const sources = new Map<string, string>()
        let holds: HoldFact[] = []
        const kill = async () => {
          // Everything of a turn has been written; nothing else is done in order.
          books = testBooks(t as TestContext, database, { directory, journal: { segmentBytes: 1_500 } })
          const { orphans } = await again(books)
          assert.equal(orphans, holds.length)
          for (const { identity } of holds) sources.set(identity.requestId, 'orphaned')
          holds = []
        }
        for (const one of [...steps, 'kill' as const, 'kill' as const]) {
          if (one === 'hold') {
            const hold = held({ virtualKeyId })
            holds.push(hold)
            await books.write([hold])
          } else if (one === 'dump') await books.dump.run()
          else if (one === 'kill') await kill()
          else {
            const [hold] = holds.splice(one.settle % Math.max(holds.length, 1), 1)
            if (hold === undefined) continue
            sources.set(hold.identity.requestId, 'reported')
            await books.write([settled({ ...hold.identity })])
          }
        }
        const events = await database.db
          .selectFrom('usage_events')
          .select(['request_id', 'usage_source'])
          .where('virtual_key_id', '=', virtualKeyId)
          .execute()
        assert.deepEqual(new Map(events.map((event) => [event.request_id, event.usage_source])), sources)
        assert.equal(events.length, sources.size)
        await books.journal.close()
      }),
      { numRuns: 15 },
    )
  })
})
