/** Charges in the journal: limits named once in each file, called by a number, and read back line by line. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { Places } from '../../src/ledger/charges.ts'
import type { EventFact, HoldFact } from '../../src/ledger/facts.ts'
import { Journal, type JournalOptions } from '../../src/persist/journal.ts'
import { lookBack, readBatch } from '../../src/persist/journal-reader.ts'
import { PlacesRead } from '../../src/persist/segments.ts'
import { silentLog } from '../../src/units/log.ts'
import { temporaryDirectory } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { held, settled } from '../helpers/facts.ts'
import { placedFacts, somePlaces, spelledOut } from '../helpers/placed.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')

function open(t: TestContext, options: Partial<JournalOptions> = {}): Journal {
  const directory = options.directory ?? temporaryDirectory(t)
  const journal = new Journal({ directory, log: silentLog, sync: 'never', reserveBytes: 1, ...options })
  t.after(() => journal.close())
  return journal
}

/** Each fact in a turn of its own. */
async function write(journal: Journal, facts: readonly (HoldFact | EventFact)[]): Promise<void> {
  for (const fact of facts) {
    journal.append(fact)
    await new Promise<void>((resolve) => journal.flushed(resolve))
  }
}

type Files = Pick<Journal, 'id' | 'segments' | 'end'>

/** Everything from `position` on, each hold once, by a reader that has read nothing before. */
function read({ id, segments, end }: Files, position = 0) {
  const journal = { id, segments, end, placesRead: new PlacesRead() }
  const found = { facts: [] as unknown[], ends: [] as number[], garbage: [] as string[] }
  for (let at = position; at < end; ) {
    const batch = readBatch(journal, at, { factsMax: 3, holds: true })
    for (const [index, fact] of batch.facts.entries()) {
      // A hold that is open as a file begins is said there too.
      const known = found.facts.findIndex((other) => isDeepStrictEqual(other, fact))
      const place = known === -1 ? found.facts.length : known
      found.facts[place] = fact
      found.ends[place] = batch.ends[index] as number
    }
    found.garbage.push(...batch.garbage.map(({ why }) => why))
    at = batch.end
  }
  return found
}

function textOf(journal: Files): string {
  return journal.segments.map(({ path }) => readFileSync(path, 'utf8')).join('')
}

/** Where the file first names the places. */
const at = (file: Buffer, [place]: Places) => file.indexOf(place?.limit.id ?? '')

const namings = (text: string) => text.match(/^\{"t":"places"/gm)?.length ?? 0

describe('charges on shared places', () => {
  test('name their limits once, and read back line by line: what is held with nothing, what is posted without', async (t) => {
    const journal = open(t)
    const places = somePlaces(NOW)
    const facts = [...placedFacts(places, { tokens: 7n, cost: 2n ** 62n }), ...placedFacts(places, { requests: 1n })]
    await write(journal, facts)
    const named = namings(textOf(journal))
    assert.ok(named > 0)
    await write(journal, placedFacts(places, { cost: 1n }))
    assert.equal(namings(textOf(journal)), named)
    const { facts: found, garbage } = read(journal)
    assert.deepEqual(found.slice(0, facts.length), facts.map(spelledOut))
    assert.deepEqual(garbage, [])
    const lines = (found as { charges?: unknown[]; event?: { charges: unknown[] } }[]).map(
      ({ charges, event }) => (charges ?? event?.charges ?? []).length,
    )
    assert.deepEqual(lines.slice(0, facts.length), [3, 2, 3, 1])
  })

  test('are known wherever reading begins', async (t) => {
    const journal = open(t)
    const [minute, next] = [somePlaces(NOW), somePlaces(NOW + 60_000)]
    const facts = [minute, next, minute, next].flatMap((places) => placedFacts(places, { requests: 1n, tokens: 3n }))
    await write(journal, facts)
    const { ends } = read(journal)
    for (const [index, end] of ends.entries()) {
      assert.deepEqual(read(journal, end).facts, facts.slice(index + 1).map(spelledOut), `behind fact ${index}`)
    }
  })

  test('are looked for a part at a time in a long file', async (t) => {
    const journal = open(t)
    const facts = placedFacts(somePlaces(NOW), { tokens: 1n })
    await write(journal, facts)
    const padding = settled({ tags: ['x'.repeat(700_000)] })
    await write(journal, [padding, padding, padding])
    const position = journal.end
    await write(journal, placedFacts(somePlaces(NOW), { tokens: 2n }))
    const reader = { id: journal.id, segments: journal.segments, end: journal.end, placesRead: new PlacesRead() }
    let parts = 1
    while (!lookBack(reader, position)) parts += 1
    assert.ok(parts > 1 && parts < 6, `${parts} parts`)
    const rest = readBatch(reader, position, { factsMax: 9, holds: true })
    assert.equal(rest.facts.length, 2)
    reader.placesRead.forget()
    assert.deepEqual(readBatch(reader, position, { factsMax: 9, holds: true }), rest)
  })

  test('are named anew in every file, also for holds that are still open, so that none needs those before it', async (t) => {
    const journal = open(t, { segmentBytes: 4_000 })
    const places = somePlaces(NOW)
    const [openHold] = placedFacts(places, { tokens: 9n })
    await write(journal, [openHold])
    for (let n = 0; n < 12; n += 1) await write(journal, placedFacts(somePlaces(NOW + n), { tokens: BigInt(n) }))
    assert.ok(journal.segments.length > 3, `${journal.segments.length} files`)
    for (const segment of journal.segments.slice(1)) {
      const { facts, garbage } = read(
        { ...journal, id: journal.id, segments: [segment], end: segment.start + segment.size },
        segment.start,
      )
      assert.deepEqual(garbage, [])
      assert.deepEqual(facts[0], spelledOut(openHold))
    }
  })

  test('are named in a file that could not be begun at first', async (t) => {
    let isFull = false
    const journal = open(t, {
      segmentBytes: 1,
      retryMs: 5,
      write: (file, bytes) => {
        if (!isFull) return writeSync(file, bytes)
        isFull = false
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      },
    })
    const places = somePlaces(NOW)
    const facts = placedFacts(places, { tokens: 5n })
    await write(journal, facts.slice(0, 1))
    isFull = true
    await write(journal, facts.slice(1))
    await eventually(() => journal.failure === null)
    assert.equal(journal.segments.length, 2)
    const [, second] = journal.segments
    assert.ok(second)
    assert.deepEqual(read(journal, second.start).facts.at(-1), spelledOut(facts[1] as EventFact))
  })

  test('are named although the fact that called them first could not be made text', async (t) => {
    const journal = open(t)
    const places = somePlaces(NOW)
    const [hold, settlement] = placedFacts(places, { tokens: 5n })
    // No JSON is made of it.
    const bad: HoldFact = { ...hold, at: 1n as unknown as number }
    const before = settled()
    await write(journal, [before])
    assert.throws(() => journal.append(bad))
    await write(journal, [settlement])
    const { facts, garbage } = read(journal)
    assert.deepEqual([facts, garbage], [[before, settlement].map(spelledOut), []])
  })

  test('are named again every hundred lines, so that one damaged name costs no more than these', async (t) => {
    const journal = open(t)
    const [places, others] = [somePlaces(NOW), somePlaces(NOW)]
    const facts = Array.from({ length: 130 }, () => placedFacts(places, { tokens: 5n })).flat()
    const untouched = placedFacts(others, { tokens: 1n })
    for (const fact of [...untouched, ...facts]) journal.append(fact)
    await new Promise<void>((resolve) => journal.flushed(resolve))
    const path = journal.segments[0]?.path ?? assert.fail('a file')
    const bytes = readFileSync(path)
    // Both of them are named where the file begins; the second is named first before the facts.
    for (let name = 0; name < 2; name += 1) bytes.fill(0, at(bytes, places), at(bytes, places) + 36)
    writeFileSync(path, bytes)
    const { facts: found, garbage } = read(journal)
    assert.deepEqual(found, [...untouched, ...facts.slice(100)].map(spelledOut))
    assert.equal(garbage.length, 2 + 100)
  })

  test('that call what nothing has named are garbage, and nothing else is', async (t) => {
    const journal = open(t)
    const facts = placedFacts(somePlaces(NOW), { tokens: 5n })
    const plain = settled()
    await write(journal, [...facts, plain])
    const path = journal.segments[0]?.path ?? assert.fail('a file')
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replaceAll('{"t":"places"', '{"t":"plates"'))
    const { facts: found, garbage } = read(journal)
    assert.deepEqual(found, [plain])
    assert.match(garbage.at(-1) ?? '', /places \d+, which its file does not name/)
  })

  test('of the version before are read as they are', async (t) => {
    const journal = open(t)
    const [limit] = somePlaces(NOW)
    const charges = [[limit?.limit.id ?? '', 1, NOW, 'cost', '7']] as const
    const facts = [held({}, charges), settled({ charges })]
    await write(journal, facts)
    const path = journal.segments[0]?.path ?? assert.fail('a file')
    writeFileSync(path, readFileSync(path, 'utf8').replace('"version":2', '"version":1'))
    assert.deepEqual(read(journal).facts, facts)
  })

  test('survive any cut: what is whole is read as it was told', async (t) => {
    const journal = open(t, { segmentBytes: 3_000 })
    const facts = [0, 1, 0, 2, 1, 0].flatMap((n) => placedFacts(somePlaces(NOW + n), { requests: 1n, cost: BigInt(n) }))
    await write(journal, facts)
    const isEvent = (fact: unknown) => (fact as { t: string }).t === 'settle'
    const all = read(journal)
    const events = all.facts.filter(isEvent)
    const ends = all.ends.filter((_end, index) => isEvent(all.facts[index]))
    fc.assert(
      fc.property(fc.nat(journal.end), (end) => {
        const segments = journal.segments
          .filter(({ start }) => start < end)
          .map((segment) => ({ ...segment, size: Math.min(segment.size, end - segment.start) }))
        const { facts: found, garbage } = read({ id: journal.id, segments, end })
        assert.deepEqual(garbage, [])
        assert.deepEqual(found.filter(isEvent), events.slice(0, ends.filter((at) => at <= end).length))
      }),
    )
  })
})
