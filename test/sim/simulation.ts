/**
 * Seeded simulation: random operations on the ledger and on the auditor, which must agree after each of them.
 *
 * A seed draws its own regime (how many limits, how long the chains, how time goes), so that seeds differ in kind and not only in
 * their numbers. Everything that happens is a function of the seed.
 */
import assert from 'node:assert/strict'
import { type Amounts, linesOf } from '../../src/ledger/charges.ts'
import { type ChainLimit, chargesOf, type Hold } from '../../src/ledger/hold.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import { type Limit, METRICS, type Metric } from '../../src/store/entities.ts'
import { type AuditedHold, Auditor, type Book, type Link, type Vector } from './auditor.ts'
import { type Draws, drawsOf } from './draws.ts'
import { FIRST_MOMENT, LAST_MOMENT } from './naive-windows.ts'
import { Random } from './random.ts'

const SLOTS = 32
const RECORD_BYTES = 128
const YEAR = 366 * 86_400_000
/** All invariants of all limits are compared every so many operations, and at the end. */
const WHOLE_EVERY = 16
const IN_FLIGHT_MAX = 24
const ZERO: Vector = METRICS.map(() => 0n)

/** What a run has met: a simulation that never refuses, rolls or restarts proves nothing. */
export type Tally = Record<
  | 'operations'
  | 'admitted'
  | 'refused'
  | 'exact fits'
  | 'settled'
  | 'over the hold'
  | 'voided'
  | 'expired'
  | 'settled late'
  | 'repeated'
  | 'moved'
  | 'moves refused'
  | 'stale handles'
  | 'settled in the window before'
  | 'settled in a closed window'
  | 'clocks set back'
  | 'windows outlived'
  | 'cut off'
  | 'edits'
  | 'new counts'
  | 'deletions'
  | 'corrections'
  | 'restarts'
  | 'restarts compared',
  number
>

class SimulationFailure extends Error {}

interface Flight {
  readonly hold: Hold
  readonly audited: AuditedHold
  readonly amounts: Amounts
}

/** A way to reach a limit that was taken at some time and may be out of date. */
interface Handle {
  readonly chainLimit: ChainLimit
  readonly book: Book
}

/** Runs one seed. Throws {@link SimulationFailure} with the last operations at the first disagreement. */
export function simulate(seed: number, operations: number): Tally {
  const simulation = new Simulation(seed)
  try {
    simulation.begin()
    for (let operation = 1; operation <= operations; operation++) {
      simulation.step()
      if (operation % WHOLE_EVERY === 0 || operation === operations) simulation.checkEverything()
    }
  } catch (error) {
    const trace = simulation.trace.slice(-12).join('\n  ')
    const at = `seed ${seed}, operation ${simulation.tally.operations} of ${operations}`
    throw new SimulationFailure(`${at}: ${(error as Error).message}\n  ${trace}\nReplay: ${replayOf(seed)}`, {
      cause: error,
    })
  }
  return simulation.tally
}

/** The one command that runs a seed again. */
function replayOf(seed: number): string {
  return `SIM_SEED=${seed} npm test -- test/sim`
}

class Simulation {
  readonly trace: string[] = []
  readonly tally: Tally
  readonly #random: Random
  readonly #draws: Draws
  readonly #operations: readonly [() => void, ...(() => void)[]]
  #now: number
  #elapsed: number
  #auditor = new Auditor()
  #meters: Meters
  #ledger: Ledger
  #flights: Flight[] = []
  #ended: Flight[] = []
  #handles: Handle[] = []
  #named = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#draws = drawsOf(this.#random)
    this.#now = this.#draws.beginning()
    this.#elapsed = this.#random.between(0, 1_000_000)
    this.#meters = this.#newMeters()
    this.#ledger = new Ledger(this.#meters)
    this.tally = {
      operations: 0,
      admitted: 0,
      refused: 0,
      'exact fits': 0,
      settled: 0,
      'over the hold': 0,
      voided: 0,
      expired: 0,
      'settled late': 0,
      repeated: 0,
      moved: 0,
      'moves refused': 0,
      'stale handles': 0,
      'settled in the window before': 0,
      'settled in a closed window': 0,
      'clocks set back': 0,
      'windows outlived': 0,
      'cut off': 0,
      edits: 0,
      'new counts': 0,
      deletions: 0,
      corrections: 0,
      restarts: 0,
      'restarts compared': 0,
    }
    this.#operations = this.#draws.weighted([
      [30, () => this.#hold()],
      [20, () => this.#settle()],
      [6, () => this.#void()],
      [2, () => this.#expire()],
      [2, () => this.#settleLate()],
      [2, () => this.#repeat()],
      [6, () => this.#move()],
      [14, () => this.#letTimePass()],
      [3, () => this.#setTheClock()],
      [3, () => this.#edit()],
      [1, () => this.#delete()],
      [2, () => this.#create()],
      [2, () => this.#correct()],
      [2, () => this.#readEverything()],
      [2, () => this.#tidy()],
      [1, () => this.#restart()],
    ])
  }

  begin(): void {
    for (let made = 0; made < this.#draws.limits; made++) this.#create()
  }

  step(): void {
    this.tally.operations += 1
    this.#random.pick(this.#operations)()
  }

  #say(what: string): void {
    this.trace.push(`${new Date(this.#now).toISOString()} ${what}`)
    if (this.trace.length > 64) this.trace.splice(0, 32)
  }

  #newMeters(): Meters {
    return new Meters(() => this.#elapsed, new SharedArrayBuffer(SLOTS * RECORD_BYTES))
  }

  get #books(): Book[] {
    return [...this.#auditor.books.values()]
  }

  // Limits come, change and go.

  #create(): void {
    if (this.#auditor.books.size >= this.#draws.limits + 2) return
    const limit = this.#draws.limit(`limit-${++this.#named}`, this.#now)
    this.#say(`create ${limit.id} ${limit.metric} ${limit.max} ${limit.window} ${limit.align} ${limit.mode}`)
    this.#track(limit)
  }

  #track(limit: Limit): void {
    this.#ledger.track(limit, this.#now)
    const book = this.#auditor.track(limit, this.#now)
    const meter = this.#ledger.meterOf(limit.id)
    assert.ok(meter)
    const chainLimit = { limit, meter, metric: METRICS.indexOf(limit.metric), enforced: limit.mode === 'enforce' }
    this.#handles.push({ chainLimit, book })
    if (this.#handles.length > 64) this.#handles.splice(0, 16)
    this.#compare(book)
  }

  #edit(): void {
    const book = this.#random.maybe(this.#books)
    if (book === undefined) return
    const limit = this.#draws.edit(book.limit, this.#now)
    this.tally[limit.countNumber === book.limit.countNumber ? 'edits' : 'new counts'] += 1
    this.#say(`edit ${limit.id} → ${limit.max} ${limit.window} ${limit.align} ${limit.mode} count ${limit.countNumber}`)
    this.#track(limit)
  }

  #delete(): void {
    const book = this.#random.maybe(this.#books)
    if (book === undefined) return
    this.tally.deletions += 1
    this.#say(`delete ${book.limit.id}`)
    this.#ledger.untrack(book.limit.id)
    this.#auditor.untrack(book.limit.id)
    assert.equal(this.#ledger.read(book.limit.id, this.#now), null)
  }

  #correct(): void {
    const book = this.#random.maybe(this.#books)
    if (book === undefined) return
    this.tally.corrections += 1
    const { limit } = book
    this.#auditor.roll(book, this.#now, this.#elapsed)
    const { posted } = this.#auditor.read(book, this.#now, this.#elapsed)
    if (this.#random.chance(0.5)) {
      this.#say(`clear ${limit.id}`)
      const corrections = this.#ledger.clear(limit.id, this.#now)
      const expected: object[] = []
      const windows = limit.align === 'sliding' ? [book.current, book.previous] : [book.current]
      for (const window of windows) {
        const amount = window === null ? 0n : -this.#auditor.postedIn(book, window)
        if (window === null || amount === 0n) continue
        this.#auditor.correct(book, window, amount)
        expected.push({ windowStart: window.start, amount })
      }
      assert.deepEqual(corrections, expected)
    } else {
      const delta = this.#random.chance(0.5) ? this.#draws.amount(limit) : -this.#random.amountTo(posted)
      this.#say(`correct ${limit.id} by ${delta}`)
      assert.equal(this.#ledger.correct(limit.id, delta, this.#now), book.current.start)
      this.#auditor.correct(book, book.current, delta)
      const tooMuch = -this.#auditor.postedIn(book, book.current) - 1n
      assert.throws(() => this.#ledger.correct(limit.id, tooMuch, this.#now), RangeError)
    }
    this.#compare(book)
  }

  // Requests come and go.

  /** Some of the limits, through fresh handles or remembered ones. */
  #chain(): { links: Link[]; chain: ChainLimit[] } {
    const chosen = new Map<Book, Handle>()
    for (const book of this.#books) {
      if (!this.#random.chance(this.#draws.chainShare)) continue
      const meter = this.#ledger.meterOf(book.limit.id)
      assert.ok(meter)
      // A special user's limits are enforced for nobody, whatever their mode.
      const enforced = book.limit.mode === 'enforce' && !this.#random.chance(0.05)
      const metric = METRICS.indexOf(book.limit.metric)
      chosen.set(book, { chainLimit: { limit: book.limit, meter, metric, enforced }, book })
    }
    if (this.#random.chance(0.2)) {
      const old = this.#random.maybe(this.#handles)
      // The edit of a maximum keeps the meter: then the handle of before is as good as the new one.
      if (old !== undefined && !chosen.has(old.book)) chosen.set(old.book, old)
    }
    const handles = [...chosen.values()]
    this.tally['stale handles'] += handles.filter(({ book }) => book.gone).length
    return {
      links: handles.map(({ book, chainLimit }) => ({ book, enforced: chainLimit.enforced })),
      chain: handles.map(({ chainLimit }) => chainLimit),
    }
  }

  #hold(): void {
    if (this.#flights.length >= IN_FLIGHT_MAX) {
      this.#settle()
      return
    }
    const { links, chain } = this.#chain()
    const amounts = this.#draws.amounts(links, (book) => this.#auditor.read(book, this.#now, this.#elapsed))
    const deadline = this.#elapsed + this.#draws.patience()
    this.#say(`hold [${amounts}] on ${chain.map(({ limit }) => limit.id)}`)
    const request = { requestId: `request-${this.tally.operations}`, attempt: 1, chain, amounts, deadline }
    const expected = this.#auditor.hold(links, amounts, deadline, this.#now, this.#elapsed)
    const outcome = this.#ledger.hold(request, this.#now)
    this.#placed(expected, outcome, amounts, links)
  }

  #move(): void {
    const flight = this.#random.maybe(this.#flights)
    if (flight === undefined) return
    const { links, chain } = this.#chain()
    // A fallback shares most of the chain of the attempt before it.
    if (this.#random.chance(0.7)) {
      for (const { book } of flight.audited.charges) {
        const meter = book.gone ? null : this.#ledger.meterOf(book.limit.id)
        if (meter === null || links.some((link) => link.book === book)) continue
        const enforced = book.limit.mode === 'enforce'
        links.push({ book, enforced })
        chain.push({ limit: book.limit, meter, metric: METRICS.indexOf(book.limit.metric), enforced })
      }
    }
    const amounts = this.#draws.amounts(links, (book) => this.#auditor.read(book, this.#now, this.#elapsed))
    const actual = this.#random.chance(0.6) ? ZERO : this.#draws.actual(flight.amounts)
    const deadline = this.#elapsed + this.#draws.patience()
    this.#say(`move to [${amounts}] on ${chain.map(({ limit }) => limit.id)} having used [${actual}]`)
    const request = { requestId: flight.hold.requestId, attempt: 2, chain, amounts, deadline }

    for (const { book } of links) if (!book.gone) this.#auditor.roll(book, this.#now, this.#elapsed)
    const mark = this.#auditor.mark(flight.audited)
    this.#auditor.resolve(flight.audited, actual, actual.every((amount) => amount === 0n) ? 'voided' : 'settled')
    const expected = this.#auditor.hold(links, amounts, deadline, this.#now, this.#elapsed)
    if (expected.hold === null) this.#auditor.unresolve(flight.audited, mark)

    const outcome = this.#ledger.move(flight.hold, actual, request, this.#now)
    this.tally[outcome.ok ? 'moved' : 'moves refused'] += 1
    assert.equal(flight.hold.state, flight.audited.state)
    if (outcome.ok) this.#end(flight)
    this.#placed(expected, outcome, amounts, links)
    this.#compareCharges(flight)
  }

  #placed(
    expected: ReturnType<Auditor['hold']>,
    outcome: ReturnType<Ledger['hold']>,
    amounts: Vector,
    links: readonly Link[],
  ): void {
    assert.equal(outcome.ok, expected.hold !== null, outcome.ok ? 'admitted what must be refused' : 'refused what fits')
    if (!outcome.ok) {
      this.tally.refused += 1
      assert.deepEqual(
        outcome.shortfalls.map(({ limit }) => limit.id),
        expected.refusing?.map(({ limit }) => limit.id),
      )
    }
    if (outcome.ok && expected.hold !== null) {
      this.tally.admitted += 1
      this.#flights.push({ hold: outcome.hold, audited: expected.hold, amounts })
      const known = expected.hold.charges.map(({ book, window, amount }) => [
        book.limit.id,
        book.limit.countNumber,
        window.start,
        book.limit.metric,
        `${amount}`,
      ])
      assert.deepEqual(linesOf(chargesOf(outcome.hold)), known)
    }
    for (const { book, enforced } of links) {
      if (book.gone) continue
      const reading = this.#compare(book)
      if (!outcome.ok || !enforced || amountOn(book, amounts) === 0n) continue
      assert.ok(reading.used <= reading.max, `I3: ${book.limit.id} was passed: ${reading.used} of ${reading.max}`)
      if (reading.used === reading.max) this.tally['exact fits'] += 1
    }
  }

  #settle(): void {
    const flight = this.#random.maybe(this.#flights)
    if (flight === undefined) return
    const actual = this.#draws.actual(flight.amounts)
    this.#say(`settle ${flight.hold.requestId} with [${actual}]`)
    this.tally.settled += 1
    if (actual.some((amount, metric) => amount > (flight.amounts[metric] as bigint))) this.tally['over the hold'] += 1
    for (const { book, window } of flight.audited.charges) {
      if (book.gone || window === book.current) continue
      this.tally[window === book.previous ? 'settled in the window before' : 'settled in a closed window'] += 1
    }
    const before = flight.audited.charges.map(({ book }) => this.#lifetime(book))
    assert.equal(this.#ledger.settle(flight.hold, actual), 'done')
    for (const [index, { book }] of flight.audited.charges.entries()) {
      const total = this.#lifetime(book)
      const grown = total === null || total >= 2n ** 63n - 1n ? null : total - (before[index] ?? 0n)
      if (grown !== null) assert.equal(grown, amountOn(book, actual), 'I6: every level is charged the same')
    }
    this.#auditor.resolve(flight.audited, actual, 'settled')
    this.#end(flight)
    this.#compareCharges(flight)
  }

  #lifetime(book: Book): bigint | null {
    return book.gone ? null : (this.#ledger.read(book.limit.id, this.#now)?.lifetime ?? null)
  }

  #void(): void {
    const flight = this.#random.maybe(this.#flights)
    if (flight === undefined) return
    this.#say(`void ${flight.hold.requestId}`)
    this.tally.voided += 1
    assert.equal(this.#ledger.void(flight.hold), 'done')
    this.#auditor.resolve(flight.audited, ZERO, 'voided')
    this.#end(flight)
    this.#compareCharges(flight)
  }

  #expire(): void {
    const overdue = this.#flights.filter(({ audited }) => audited.deadline <= this.#elapsed)
    assert.deepEqual(new Set(this.#ledger.overdue(this.#elapsed)), new Set(overdue.map(({ hold }) => hold)))
    for (const flight of overdue) {
      const orphaned = this.#random.chance(0.3) ? ZERO : this.#draws.actual(flight.amounts)
      this.#say(`expire ${flight.hold.requestId} with [${orphaned}]`)
      this.tally.expired += 1
      assert.equal(this.#ledger.expire(flight.hold, orphaned), 'done')
      this.#auditor.resolve(flight.audited, orphaned, 'expired')
      this.#end(flight)
      this.#compareCharges(flight)
    }
  }

  #settleLate(): void {
    const flight = this.#random.maybe(this.#ended.filter(({ audited }) => audited.state === 'expired'))
    if (flight === undefined) return
    const actual = this.#draws.actual(flight.amounts)
    this.#say(`settle ${flight.hold.requestId} late with [${actual}]`)
    this.tally['settled late'] += 1
    assert.equal(this.#ledger.settle(flight.hold, actual), 'already_expired')
    this.#ledger.settleLate(flight.hold, actual)
    this.#auditor.settleLate(flight.audited, actual)
    this.#compareCharges(flight)
  }

  /** I4: whatever is done to a hold that has ended changes nothing. */
  #repeat(): void {
    const flight = this.#random.maybe(this.#ended)
    if (flight === undefined) return
    this.tally.repeated += 1
    const { hold, audited, amounts } = flight
    this.#say(`repeat the end of ${hold.requestId}`)
    const already = `already_${audited.state}`
    assert.equal(this.#ledger.settle(hold, amounts), already)
    assert.equal(this.#ledger.void(hold), already)
    assert.equal(this.#ledger.expire(hold, amounts), already)
    if (audited.state !== 'expired') assert.deepEqual(this.#ledger.settleLate(hold, amounts), [])
    this.#compareCharges(flight)
  }

  #end(flight: Flight): void {
    this.#flights = this.#flights.filter((other) => other !== flight)
    this.#ended.push(flight)
    if (this.#ended.length > 32) this.#ended.splice(0, 16)
  }

  // Time goes, in both senses.

  #letTimePass(): void {
    const ms = this.#draws.pause(this.#books, this.#now)
    if (this.#now + ms > LAST_MOMENT - 3 * YEAR) return
    this.#now += ms
    this.#elapsed += ms
    this.#say(`${ms} ms later`)
  }

  #setTheClock(): void {
    const now = this.#now + this.#draws.clockStep()
    if (now < FIRST_MOMENT + YEAR || now > LAST_MOMENT - 3 * YEAR) return
    if (now < this.#now) this.tally['clocks set back'] += 1
    this.#say(`the clock is set to ${new Date(now).toISOString()}`)
    this.#now = now
  }

  /** The worker's pass. */
  #tidy(): void {
    const books = this.#books.filter(() => this.#random.chance(0.5))
    this.#say(`tidy ${books.map(({ limit }) => limit.id)}`)
    this.#ledger.roll(
      books.map(({ limit }) => limit.id),
      this.#now,
    )
    for (const book of books) {
      this.#auditor.roll(book, this.#now, this.#elapsed)
      this.#compare(book)
    }
  }

  /** I9: reading changes nothing, not one byte. */
  #readEverything(): void {
    this.#say('read everything')
    const before = Buffer.from(new Uint8Array(this.#meters.buffer).slice())
    const at = this.#random.chance(0.5) ? this.#now : this.#now + this.#draws.pause(this.#books, this.#now)
    for (const { limit } of this.#books) this.#ledger.read(limit.id, at)
    this.#ledger.violations()
    this.#ledger.overdue(this.#elapsed)
    assert.ok(before.equals(new Uint8Array(this.#meters.buffer)), 'I9: reading has changed something')
  }

  /** The process ends, its open holds become orphans, and a new one begins with what the books say. */
  #restart(): void {
    this.#say('restart')
    this.tally.restarts += 1
    for (const flight of [...this.#flights]) {
      const orphaned = this.#random.chance(0.5) ? ZERO : this.#draws.actual(flight.amounts)
      this.#ledger.expire(flight.hold, orphaned)
      this.#auditor.resolve(flight.audited, orphaned, 'expired')
    }
    const before = new Map(this.#books.map((book) => [book, this.#ledger.read(book.limit.id, this.#now)]))
    this.#meters = this.#newMeters()
    this.#ledger = new Ledger(this.#meters)
    this.#flights = []
    this.#ended = []
    this.#handles = []
    for (const book of this.#books) {
      const clockWasRight = !book.turnedBack && this.#now >= book.current.start
      const { otherMetricBefore } = book
      this.#ledger.track(book.limit, this.#now)
      const state = this.#auditor.reopen(book, this.#now)
      if (state !== null) this.#ledger.restore(book.limit.id, state)
      const after = this.#compare(book)
      if (!clockWasRight || book.cutOff || otherMetricBefore) continue
      this.tally['restarts compared'] += 1
      const memory = before.get(book)
      // Only sliding windows have a use for the window before; the others forget it, and may.
      const known = book.limit.align === 'sliding' ? {} : { previous: 0n, previousHeld: 0n }
      assert.deepEqual({ ...after, ...known }, { ...memory, ...known }, `I8: ${book.limit.id} after the restart`)
    }
  }

  // Agreement.

  #compareCharges({ audited }: Flight): void {
    for (const { book } of audited.charges) if (!book.gone) this.#compare(book)
  }

  #compare(book: Book) {
    const expected = this.#auditor.read(book, this.#now, this.#elapsed)
    const reading = this.#ledger.read(book.limit.id, this.#now)
    assert.ok(reading)
    for (const [name, value] of Object.entries(expected)) {
      const found = reading[name as keyof typeof reading]
      if (found !== value) assert.fail(`${name} of ${book.limit.id} is ${found}, the auditor has ${value}`)
    }
    assert.ok(reading.posted >= 0n && reading.held >= 0n && reading.lifetime >= 0n, 'I1: a total below zero')
    return reading
  }

  /** I1, I2, I5 on every limit, by the auditor's sums and by the check that production uses. */
  checkEverything(): void {
    for (const book of this.#books) this.#compare(book)
    assert.deepEqual(this.#ledger.violations(), [], 'I2')
    assert.deepEqual(new Set(this.#ledger.openHolds()), new Set(this.#flights.map(({ hold }) => hold)))
    this.tally['windows outlived'] = this.#auditor.turnedBack
    this.tally['cut off'] = this.#auditor.cutOff
  }
}

function amountOn(book: Book, amounts: Vector): bigint {
  return amounts[METRICS.indexOf(book.limit.metric as Metric)] as bigint
}
