import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type Fact, FactSinkUnavailable } from '../../src/ledger/facts.ts'
import { Journal, type JournalOptions } from '../../src/persist/journal.ts'
import { JournalError, readBatch } from '../../src/persist/journal-reader.ts'
import { PlacesRead } from '../../src/persist/segments.ts'
import { silentLog } from '../../src/units/log.ts'
import { temporaryDirectory } from '../helpers/databases.ts'
import { eventually } from '../helpers/eventually.ts'
import { corrected, held, settled } from '../helpers/facts.ts'

function open(t: TestContext, directory: string, options: Partial<JournalOptions> = {}): Journal {
  const journal = new Journal({ directory, log: silentLog, sync: 'never', reserveBytes: 1, ...options })
  t.after(() => journal.close())
  return journal
}

function flushed(journal: Journal): Promise<void> {
  return new Promise((resolve) => journal.flushed(resolve))
}

async function write(journal: Journal, facts: readonly Fact[]): Promise<void> {
  for (const fact of facts) journal.append(fact)
  await flushed(journal)
}

/** Everything from `position` on, read in pieces. */
function read(journal: Journal, position: number, factsMax = 1_000) {
  const found = { facts: [] as Fact[], garbage: [] as string[], torn: 0, end: position }
  while (found.end < journal.end) {
    const batch = readBatch(journal, found.end, { factsMax, holds: true })
    assert.ok(batch.end > found.end, 'a batch moves on')
    found.facts.push(...batch.facts)
    found.garbage.push(...batch.garbage.map(({ bytes }) => bytes.toString()))
    found.torn += batch.torn
    found.end = batch.end
  }
  return found
}

function lastFile(directory: string): string {
  return join(
    directory,
    readdirSync(directory)
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
      .at(-1) ?? '',
  )
}

describe('writing', () => {
  test('what is appended in one turn is one write, and flushed calls back after it, in order', async (t) => {
    const writes: number[] = []
    const journal = open(t, temporaryDirectory(t), {
      write: (file, bytes) => {
        writes.push(bytes.length)
        return writeSync(file, bytes)
      },
    })
    const order: string[] = []
    journal.append(corrected())
    journal.flushed(() => order.push(`first, ${journal.end === journal.sizeBytes}`))
    journal.append(settled())
    journal.flushed(() => order.push('second'))
    assert.deepEqual([writes.length, order], [0, []], 'nothing happens within the turn')
    await flushed(journal)
    assert.equal(writes.length, 1)
    assert.deepEqual(order, ['first, true', 'second'])
    assert.equal(read(journal, 0).facts.length, 2)
  })

  test('flushed without anything to write calls back once, and not within the call', async (t) => {
    const journal = open(t, temporaryDirectory(t))
    let calls = 0
    journal.flushed(() => {
      calls += 1
    })
    assert.equal(calls, 0)
    await flushed(journal)
    assert.equal(calls, 1)
    assert.equal(journal.end, 0)
  })

  test('a callback that throws neither ends the process nor keeps the next from being called', async (t) => {
    const errors: string[] = []
    const log = { ...silentLog, error: (_fields: object, message: string) => void errors.push(message) }
    const journal = open(t, temporaryDirectory(t), { log })
    journal.append(settled())
    journal.flushed(() => {
      throw new Error('not mine')
    })
    await flushed(journal)
    assert.deepEqual(errors, ['a callback after a journal write threw'])
  })

  test('with sync always, flushed waits for the disk; and close syncs in any case', async (t) => {
    const journal = open(t, temporaryDirectory(t), { sync: 'always', segmentBytes: 500 })
    for (let round = 0; round < 5; round++) await write(journal, [settled()])
    assert.equal(read(journal, 0).facts.length, 5)
    await journal.close()
    await journal.close()
    assert.throws(() => journal.append(settled()), FactSinkUnavailable)
    assert.equal(journal.accepting, false)
  })

  test('a new file begins beyond the size, with a header and one open line per unresolved hold', async (t) => {
    const directory = temporaryDirectory(t)
    const journal = open(t, directory, { segmentBytes: 2_000 })
    const [open1, resolved, open2] = [held(), held(), held({ attempt: 2 })]
    await write(journal, [open1, resolved, open2, settled({ ...resolved.identity })])
    assert.equal(journal.segments.length, 1)
    await write(journal, [settled()])
    assert.equal(journal.segments.length, 2)
    const second = journal.segments[1]
    assert.ok(second)
    const lines = readFileSync(second.path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      lines.map(({ t: kind }) => kind),
      ['segment', 'open', 'open', 'settle'],
    )
    assert.equal(lines[0].journal, journal.id)
    assert.deepEqual(
      lines.slice(1, 3).map(({ identity }) => identity),
      [open1.identity, open2.identity],
    )
    assert.equal(second.path, join(directory, `${String(second.start).padStart(20, '0')}.jsonl`))
    assert.equal(second.start, journal.segments[0]?.size)
  })

  test('only files wholly before a position are removed, and never the last', async (t) => {
    const journal = open(t, temporaryDirectory(t), { segmentBytes: 500 })
    for (let round = 0; round < 4; round++) await write(journal, [settled()])
    const [, second, third] = journal.segments
    assert.ok(second && third)
    assert.equal(journal.hasFilesBefore(second.start - 1), false)
    journal.removeBefore(third.start - 1)
    assert.deepEqual(journal.segments[0], second)
    journal.removeBefore(journal.end)
    assert.equal(journal.segments.length, 1)
    await eventually(() => assert.equal(readdirSync(journal.directory).filter((f) => f.endsWith('.jsonl')).length, 1))
  })

  test('the same journal goes on after a restart: same id, positions without a gap', async (t) => {
    const directory = temporaryDirectory(t)
    const first = open(t, directory)
    const facts = [settled(), corrected()]
    await write(first, facts)
    await first.close()
    const second = open(t, directory)
    assert.equal(second.id, first.id)
    assert.equal(second.end, first.end)
    second.begin([], 0)
    const more = settled()
    await write(second, [more])
    assert.deepEqual(read(second, 0).facts, [...facts, more])
  })

  test('it never writes below what the books have of it, also when its own end was lost', async (t) => {
    const directory = temporaryDirectory(t)
    const journal = open(t, directory)
    journal.begin([], 5_000)
    await write(journal, [settled()])
    assert.ok(journal.end > 5_000)
    assert.equal(readBatch(journal, 5_000, { factsMax: 10, holds: false }).facts.length, 1)
  })

  test('what has been written is remembered for the dump until it is told to forget', async (t) => {
    const journal = open(t, temporaryDirectory(t))
    const facts = [settled(), settled(), settled()]
    for (const fact of facts) await write(journal, [held(), fact])
    const recent = journal.recent(0, 2)
    assert.deepEqual(recent?.facts, facts.slice(0, 2), 'holds left out, whole writes only')
    const rest = journal.recent(recent.end, 10)
    assert.deepEqual(rest, { facts: [facts[2]], end: journal.end })
    assert.equal(journal.recent(recent.end + 1, 10), null)
    journal.forget(recent.end)
    assert.equal(journal.recent(0, 10), null)
    assert.deepEqual(journal.recent(recent.end, 10), rest)
  })
})

describe('a disk that takes nothing', () => {
  function fullDisk(t: TestContext, options: Partial<JournalOptions> = {}) {
    const disk = { room: Number.POSITIVE_INFINITY }
    const directory = temporaryDirectory(t)
    const reserve = join(directory, 'reserve')
    const journal = open(t, directory, {
      retryMs: 5,
      write: (file, bytes) => {
        // Nothing is left but what the reserve gives back; and it cannot be made again while that lasts.
        if (disk.room === 0 && existsSync(reserve) && statSync(reserve).isFile()) {
          throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
        }
        if (disk.room === 0 && !existsSync(reserve)) mkdirSync(reserve)
        const taken = writeSync(file, bytes.subarray(0, disk.room === 0 ? bytes.length : disk.room))
        if (disk.room !== Number.POSITIVE_INFINITY) disk.room = Math.max(disk.room - taken, 0)
        return taken
      },
      ...options,
    })
    return { disk, journal, reserve }
  }

  test('new work is refused, the reserve lets what is in flight settle, and it recovers by itself', async (t) => {
    const { disk, journal, reserve } = fullDisk(t)
    const hold = held()
    await write(journal, [hold])
    assert.equal(journal.accepting, true)
    disk.room = 30
    const event = settled({ ...hold.identity })
    const written = write(journal, [event])
    await eventually(() => assert.equal(journal.accepting, false))
    await written
    assert.match(journal.failure?.message ?? '', /ENOSPC/)
    assert.equal(journal.accepting, false, 'what is written now is the reserve')
    disk.room = Number.POSITIVE_INFINITY
    rmdirSync(reserve)
    await eventually(() => assert.equal(journal.accepting, true))
    assert.ok(statSync(reserve).isFile())
    await write(journal, [settled()])
    const { facts, garbage, torn } = read(journal, 0)
    assert.deepEqual(facts.filter(({ t: kind }) => kind === 'settle')[0], event)
    assert.deepEqual([facts.length, garbage, torn], [4, [], 0], 'the half-written line was finished, not repeated')
  })

  test('a disk that stays read-only keeps facts in memory, in order, until it can be written', async (t) => {
    let readOnly = true
    const journal = open(t, temporaryDirectory(t), {
      retryMs: 5,
      write: (file, bytes) => {
        if (readOnly) throw Object.assign(new Error('EROFS: read-only file system, write'), { code: 'EROFS' })
        return writeSync(file, bytes)
      },
    })
    const facts = [settled(), settled(), settled()]
    let wasFlushed = false
    for (const fact of facts) journal.append(fact)
    journal.flushed(() => {
      wasFlushed = true
    })
    await eventually(() => assert.equal(journal.accepting, false))
    assert.equal(wasFlushed, false)
    journal.append(corrected())
    readOnly = false
    await eventually(() => assert.equal(journal.accepting, true))
    assert.equal(wasFlushed, true)
    assert.deepEqual(read(journal, 0).facts.slice(0, 3), facts)
    assert.equal(read(journal, 0).facts.length, 4)
  })

  test('a new file that cannot be made loses nothing', async (t) => {
    const directory = temporaryDirectory(t)
    const journal = open(t, directory, { segmentBytes: 100, retryMs: 5 })
    const facts = [held(), settled(), settled()]
    await write(journal, facts.slice(0, 2))
    // A folder where the next file should be: it cannot be opened for writing.
    const blocked = join(directory, `${String(journal.end).padStart(20, '0')}.jsonl`)
    mkdirSync(blocked)
    journal.append(facts[2] as Fact)
    await eventually(() => assert.equal(journal.accepting, false))
    rmSync(blocked, { recursive: true })
    await eventually(() => assert.equal(journal.accepting, true))
    assert.deepEqual(
      read(journal, 0).facts.filter(({ t: kind }) => kind === 'settle'),
      facts.slice(1),
    )
    const second = readFileSync(blocked, 'utf8')
      .split('\n')
      .map((line) => line.slice(0, 10))
    assert.deepEqual(second, ['{"t":"segm', '{"t":"open', '{"t":"sett', ''])
  })

  test('a file that a start on a full disk has left empty is the next start’s first, and is not removed under it', async (t) => {
    const directory = temporaryDirectory(t)
    const nothingTaken = () => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    }
    const first = open(t, directory, { write: nothingTaken })
    first.append(settled())
    await eventually(() => assert.equal(first.accepting, false))
    await first.close()
    assert.equal(statSync(lastFile(directory)).size, 0)
    const second = open(t, directory)
    const facts = [settled(), settled()]
    await write(second, facts.slice(0, 1))
    assert.equal(second.segments.length, 1)
    second.removeBefore(second.end)
    await write(second, facts.slice(1))
    await second.close()
    const third = open(t, directory)
    assert.deepEqual(read(third, 0).facts, facts)
  })

  test('beyond its largest size it refuses new work, takes what is in flight, and accepts again when files go', async (t) => {
    const journal = open(t, temporaryDirectory(t), { maxSizeBytes: 4_000 })
    while (journal.accepting) await write(journal, [settled()])
    assert.ok(journal.sizeBytes >= 4_000)
    await write(journal, [settled()])
    journal.removeBefore(journal.end)
    assert.ok(journal.accepting)
  })
})

describe('reading what a crash has left', () => {
  test('a torn last line is passed over and counted, and writing goes on behind it', async (t) => {
    const directory = temporaryDirectory(t)
    const first = open(t, directory)
    const facts = [settled(), settled()]
    await write(first, facts)
    await first.close()
    truncateSync(lastFile(directory), first.end - 7)
    const second = open(t, directory)
    const more = settled()
    second.begin([], 0)
    await write(second, [more])
    const { facts: found, torn, garbage } = read(second, 0)
    assert.deepEqual(found, [facts[0], more])
    assert.deepEqual([torn, garbage], [1, []])
  })

  test('garbage in the middle is handed out with file and position, and everything else is read', async (t) => {
    const directory = temporaryDirectory(t)
    const first = open(t, directory)
    const facts = [settled(), settled()]
    await write(first, facts.slice(0, 1))
    const position = first.end
    await first.close()
    appendFileSync(lastFile(directory), '\0\0\0 not json\n{"t":"unheard of"}\n[]\n')
    const second = open(t, directory)
    second.begin([], 0)
    await write(second, facts.slice(1))
    const batch = readBatch(second, 0, { factsMax: 10, holds: false })
    assert.deepEqual(batch.facts, facts)
    assert.deepEqual(batch.garbage.map(({ file, position: at }) => [file, at]).at(0), [
      second.segments[0]?.path,
      position,
    ])
    const all = read(second, 0)
    assert.deepEqual(all.facts, facts)
    assert.deepEqual(all.garbage, ['\0\0\0 not json', '{"t":"unheard of"}', '[]'])
  })

  test('a line with a damaged character is garbage, and no fact about another model', async (t) => {
    const journal = open(t, temporaryDirectory(t))
    const facts = [settled({ model: 'gpt-4o' }), settled({ model: 'gpt-4o-mini' })]
    await write(journal, facts)
    const path = lastFile(journal.directory)
    const bytes = readFileSync(path)
    const at = bytes.indexOf('gpt-4o')
    bytes[at] = (bytes[at] as number) | 0x80
    writeFileSync(path, bytes)
    const { facts: found, garbage } = read(journal, 0)
    assert.deepEqual([found, garbage.length], [facts.slice(1), 1])
  })

  test('a file of another journal or of a newer version is not read', async (t) => {
    const directory = temporaryDirectory(t)
    const journal = open(t, directory)
    await write(journal, [settled()])
    await journal.close()
    const text = readFileSync(lastFile(directory), 'utf8')
    for (const [from, to] of [
      ['"version":2', '"version":3'],
      [journal.id, journal.id.replace(/.$/, journal.id.endsWith('0') ? '1' : '0')],
    ] as const) {
      writeFileSync(lastFile(directory), text.replace(from, to))
      const again = open(t, directory)
      assert.throws(() => readBatch(again, 0, { factsMax: 10, holds: false }), JournalError)
    }
  })

  test('from any position behind a line, in pieces of any size, exactly the facts after it are read', async (t) => {
    const journal = open(t, temporaryDirectory(t), { segmentBytes: 3_000 })
    const facts: Fact[] = []
    for (let round = 0; round < 25; round++) {
      const model = 'ä'.repeat(round % 5) + 'x'.repeat(round * 13)
      const turn = [settled({ model }), corrected({ reason: 'zurück' })].slice(0, 1 + (round % 2))
      facts.push(...turn)
      await write(journal, turn)
    }
    const ends = [0]
    for (let end = 0; end < journal.end; ) {
      const batch = readBatch(journal, end, { factsMax: 1, holds: false })
      ends.push(...batch.ends)
      end = batch.end
    }
    assert.equal(ends.length, facts.length + 1)
    fc.assert(
      fc.property(fc.nat(facts.length), fc.integer({ min: 1, max: 30 }), (index, factsMax) => {
        assert.deepEqual(read(journal, ends[index] as number, factsMax).facts, facts.slice(index))
      }),
      { numRuns: 100 },
    )
  })

  test('cut off at any byte, every whole line before the cut is read and at most one line is torn', async (t) => {
    const directory = temporaryDirectory(t)
    const whole = open(t, directory, { segmentBytes: 1_500 })
    const facts = Array.from({ length: 12 }, () => settled())
    for (const fact of facts) await write(whole, [fact])
    await whole.close()
    const lines: number[] = []
    for (let end = 0; end < whole.end; ) {
      const batch = readBatch(whole, end, { factsMax: 1, holds: false })
      lines.push(...batch.ends)
      end = batch.end
    }
    fc.assert(
      fc.property(fc.nat(whole.end), (cut) => {
        const segments = whole.segments
          .filter(({ start }) => start < cut)
          .map((segment) => ({ ...segment, size: Math.min(segment.size, cut - segment.start) }))
        const batch = readBatch({ id: whole.id, segments, end: cut, placesRead: new PlacesRead() }, 0, {
          factsMax: 100,
          holds: false,
        })
        assert.deepEqual(batch.facts, facts.slice(0, lines.filter((end) => end <= cut).length))
        assert.ok(batch.torn <= 1)
        assert.equal(batch.end, cut)
      }),
    )
  })
})
