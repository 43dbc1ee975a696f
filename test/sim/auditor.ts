/**
 * The auditor: what the ledger should say, from plain lists and nothing else. Every number is summed anew each time it is asked for; no
 * code is shared with the ledger, the meters or the windows.
 */
import { type Limit, METRICS } from '../../src/store/entities.ts'
import { type NaiveWindow, naiveLength, naiveWindow } from './naive-windows.ts'

/** No total goes further: 2^63 − 1. */
const MOST = 9_223_372_036_854_775_807n

export type Vector = readonly bigint[]

/** One count of one limit: from its creation, or the edit that began it anew, to its deletion or the next such edit. */
export interface Book {
  limit: Limit
  gone: boolean
  /** Windows are told apart as objects: a clock set back can bring the same start round a second time. */
  current: NaiveWindow
  previous: NaiveWindow | null
  aheadSince: number | null
  /** A clock set back has led this book from a later window into an earlier one. */
  turnedBack: boolean
  /** Some total was cut off at the most there can be. */
  cutOff: boolean
  /** It has counted another metric before, whose lifetime total only the books remember. */
  otherMetricBefore: boolean
  readonly charges: AuditedCharge[]
  readonly entries: Entry[]
  /** What the lifetime total is made of: a new count of the same metric goes on with it. */
  readonly lifetime: { amount: bigint }[]
}

interface Entry {
  readonly window: NaiveWindow
  readonly amount: bigint
  readonly kind: 'posted' | 'corrected'
}

/** A line of the books that outlive the process. */
interface BookLine {
  readonly limitId: string
  readonly countNumber: number
  readonly metric: string
  readonly windowStart: number
  readonly amount: bigint
  readonly correction: boolean
}

export interface AuditedCharge {
  readonly book: Book
  readonly window: NaiveWindow
  readonly metric: number
  readonly amount: bigint
  open: boolean
}

export interface AuditedHold {
  readonly charges: readonly AuditedCharge[]
  readonly deadline: number
  state: 'held' | 'settled' | 'voided' | 'expired'
  orphaned: Vector
}

export interface AuditedReading {
  readonly posted: bigint
  readonly held: bigint
  readonly used: bigint
  readonly max: bigint
  readonly remaining: bigint
  readonly windowStart: number
  readonly windowEnd: number
  readonly lifetime: bigint
  readonly previous: bigint
  readonly previousHeld: bigint
}

interface Mark {
  readonly entries: ReadonlyMap<Book, number>
  readonly lifetimes: readonly (readonly [{ amount: bigint }[], number])[]
  readonly lines: number
}

/** What the books give a new process. */
export interface Restored {
  readonly posted: bigint
  readonly windowStart: number
  readonly previousPosted: bigint
  readonly previousStart: number | null
  readonly lifetime: bigint
}

export interface Link {
  readonly book: Book
  readonly enforced: boolean
}

export class Auditor {
  readonly books = new Map<string, Book>()
  /** How often a clock set back has led a book into an earlier window. */
  turnedBack = 0
  /** How often a total would have gone beyond what there can be. */
  cutOff = 0
  readonly #lines: BookLine[] = []

  track(limit: Limit, now: number): Book {
    const known = this.books.get(limit.id)
    if (known !== undefined && known.limit.countNumber === limit.countNumber) {
      known.limit = limit
      return known
    }
    this.untrack(limit.id)
    const book: Book = {
      limit,
      gone: false,
      current: naiveWindow(limit, now),
      previous: null,
      aheadSince: null,
      turnedBack: false,
      cutOff: known?.cutOff ?? false,
      otherMetricBefore: known !== undefined && (known.otherMetricBefore || known.limit.metric !== limit.metric),
      charges: [],
      entries: [],
      lifetime: known?.limit.metric === limit.metric ? known.lifetime : [],
    }
    this.books.set(limit.id, book)
    return book
  }

  untrack(limitId: string): void {
    const book = this.books.get(limitId)
    if (book !== undefined) book.gone = true
    this.books.delete(limitId)
  }

  /** Which links have no room, or the hold. */
  hold(
    chain: readonly Link[],
    amounts: Vector,
    deadline: number,
    now: number,
    elapsed: number,
  ): { hold: AuditedHold; refusing: null } | { hold: null; refusing: Book[] } {
    const present = chain.filter(({ book }) => !book.gone)
    for (const { book } of present) this.roll(book, now, elapsed)
    const refusing = present.filter((link) => !this.#fits(link, amounts, now, elapsed)).map(({ book }) => book)
    if (refusing.length > 0) return { hold: null, refusing }
    const charges = present.map(({ book }) => {
      const metric = METRICS.indexOf(book.limit.metric)
      const room = MOST - sum(book.charges.filter(({ open, window }) => open && window === book.current))
      const wanted = amounts[metric] as bigint
      const charge = { book, window: book.current, metric, amount: wanted < room ? wanted : room, open: true }
      book.charges.push(charge)
      return charge
    })
    return { hold: { charges, deadline, state: 'held', orphaned: [] }, refusing: null }
  }

  #fits({ book, enforced }: Link, amounts: Vector, now: number, elapsed: number): boolean {
    const wanted = amounts[METRICS.indexOf(book.limit.metric)] as bigint
    if (!enforced || wanted === 0n) return true
    const { used, max } = this.read(book, now, elapsed)
    return used + wanted <= max
  }

  resolve(hold: AuditedHold, actual: Vector, state: 'settled' | 'voided' | 'expired'): void {
    hold.state = state
    hold.orphaned = actual
    for (const charge of hold.charges) {
      charge.open = false
      this.#post(charge, actual[charge.metric] as bigint)
    }
  }

  /** Takes back what {@link resolve} did, for a move that found no room. */
  unresolve(hold: AuditedHold, mark: Mark): void {
    hold.state = 'held'
    for (const charge of hold.charges) charge.open = true
    for (const [book, entries] of mark.entries) book.entries.length = entries
    for (const [lifetime, length] of mark.lifetimes) lifetime.length = length
    this.#lines.length = mark.lines
  }

  /** How long the lists are that {@link unresolve} cuts back. */
  mark(hold: AuditedHold): Mark {
    return {
      entries: new Map(hold.charges.map(({ book }) => [book, book.entries.length])),
      lifetimes: hold.charges.flatMap(({ book }) => {
        const lifetime = this.#heirOf(book)?.lifetime
        return lifetime === undefined ? [] : [[lifetime, lifetime.length] as const]
      }),
      lines: this.#lines.length,
    }
  }

  settleLate(hold: AuditedHold, actual: Vector): void {
    hold.state = 'settled'
    for (const charge of hold.charges) {
      this.#post(charge, (actual[charge.metric] as bigint) - (hold.orphaned[charge.metric] as bigint), 'late')
    }
  }

  /** An admin's correction of a window's posted total. */
  correct(book: Book, window: NaiveWindow, amount: bigint): void {
    if (amount === 0n) return
    const applied = this.#within(book, amount, this.postedIn(book, window))
    book.entries.push({ window, amount: applied, kind: 'corrected' })
    this.#line(book, window, applied, true)
  }

  /** The books get what an attempt used in full; what is settled late they get as it was applied. */
  #post({ book, window }: AuditedCharge, amount: bigint, when: 'in time' | 'late' = 'in time'): void {
    if (amount === 0n) return
    const open = !book.gone && (window === book.current || window === book.previous)
    const applied = open ? this.#within(book, amount, this.postedIn(book, window)) : amount
    this.#line(book, window, when === 'late' ? applied : amount, false)
    book.entries.push({ window, amount: applied, kind: 'posted' })
    const heir = this.#heirOf(book)
    heir?.lifetime.push({ amount: this.#within(heir, amount, sum(heir.lifetime)) })
  }

  /** A book that was closed is charged through the one that its limit has now, if that counts the same metric. */
  #heirOf({ limit }: Book): Book | null {
    const present = this.books.get(limit.id)
    return present?.limit.metric === limit.metric ? present : null
  }

  /** As much of `amount` as leaves the total between 0 and the most there can be. */
  #within(book: Book, amount: bigint, total: bigint): bigint {
    const within = total + amount > MOST ? MOST - total : total + amount < 0n ? -total : amount
    if (within !== amount) {
      book.cutOff = true
      this.cutOff += 1
    }
    return within
  }

  #line({ limit }: Book, window: NaiveWindow, amount: bigint, correction: boolean): void {
    const { id: limitId, countNumber, metric } = limit
    this.#lines.push({ limitId, countNumber, metric, windowStart: window.start, amount, correction })
  }

  roll(book: Book, now: number, elapsed: number): void {
    const { current, previous, aheadSince } = this.#at(book, now, elapsed)
    if (current.start < book.current.start) {
      book.turnedBack = true
      this.turnedBack += 1
    }
    Object.assign(book, { current, previous, aheadSince })
  }

  /** Where a book stands at `now`: a window stays until it has ended, or, ahead of the clock, until its own length has gone by. */
  #at(book: Book, now: number, elapsed: number): Pick<Book, 'current' | 'previous' | 'aheadSince'> {
    const { current, previous, aheadSince } = book
    if (now >= current.start && now < current.end) return { current, previous, aheadSince: null }
    if (now < current.start) {
      const waited = aheadSince === null ? 0 : elapsed - aheadSince
      if (aheadSince === null || waited < current.end - current.start) {
        return { current, previous, aheadSince: aheadSince ?? elapsed }
      }
    }
    const next = naiveWindow(book.limit, now)
    return { current: next, previous: next.start === current.end ? current : null, aheadSince: null }
  }

  read(book: Book, now: number, elapsed: number): AuditedReading {
    const { current, previous } = this.#at(book, now, elapsed)
    const { limit } = book
    const posted = this.postedIn(book, current)
    const held = this.#held(book, current)
    const previousHeld = previous === null ? 0n : this.#held(book, previous)
    const before = previous === null ? 0n : this.postedIn(book, previous) + previousHeld
    const used = posted + held + (limit.align === 'sliding' ? share(before, current, limit.window ?? '', now) : 0n)
    const max = limit.override !== null && now < limit.override.until ? limit.override.max : limit.max
    return {
      posted,
      held,
      used,
      max,
      remaining: used < max ? max - used : 0n,
      windowStart: current.start,
      windowEnd: current.end,
      lifetime: sum(book.lifetime),
      previous: before,
      previousHeld,
    }
  }

  #held(book: Book, wanted: NaiveWindow): bigint {
    return sum(book.charges.filter(({ open, window }) => open && window === wanted))
  }

  /** What has been posted in a window of a book, corrections included. */
  postedIn(book: Book, wanted: NaiveWindow): bigint {
    return sum(book.entries.filter(({ window }) => window === wanted))
  }

  /**
   * What the books give a new process for this limit: the latest window they know, an earlier one, and the lifetime total; null when
   * they know none. The book goes on from there as the new process does.
   */
  reopen(book: Book, now: number): Restored | null {
    const { id, countNumber, metric } = book.limit
    const ofLimit = this.#lines.filter((line) => line.limitId === id && line.metric === metric)
    const lines = ofLimit.filter((line) => line.countNumber === countNumber)
    const starts = [...new Set(lines.map(({ windowStart }) => windowStart))].sort((a, b) => b - a)
    const [windowStart, previousStart = null] = starts
    Object.assign(book, { current: naiveWindow(book.limit, windowStart ?? now), previous: null, aheadSince: null })
    book.otherMetricBefore = false
    book.charges.length = 0
    book.entries.length = 0
    book.lifetime.length = 0
    if (ofLimit.length === 0) return null
    // Where only the lifetime total counts, the books name a window that has long passed.
    if (windowStart === undefined && Number.isFinite(book.current.end)) book.current = { start: 0, end: 1 }
    const postedAt = (start: number | null | undefined) =>
      atMost(sum(lines.filter((line) => line.windowStart === start)))
    const state = {
      posted: postedAt(windowStart),
      windowStart: windowStart ?? 0,
      previousPosted: postedAt(previousStart),
      previousStart,
      lifetime: atMost(sum(ofLimit.filter(({ correction }) => !correction))),
    }
    book.lifetime.push({ amount: state.lifetime })
    book.entries.push({ window: book.current, amount: state.posted, kind: 'posted' })
    const previous = previousStart === null ? null : naiveWindow(book.limit, previousStart)
    if (previous?.end === book.current.start) {
      book.previous = previous
      book.entries.push({ window: previous, amount: state.previousPosted, kind: 'posted' })
    }
    return state
  }
}

function sum(amounts: readonly { readonly amount: bigint }[]): bigint {
  return amounts.reduce((total, { amount }) => total + amount, 0n)
}

function atMost(amount: bigint): bigint {
  return amount > MOST ? MOST : amount < 0n ? 0n : amount
}

/** The part of the window before that the sliding one still covers, rounded up to a whole unit. */
function share(before: bigint, current: NaiveWindow, window: string, now: number): bigint {
  const length = naiveLength(window)
  const covered = BigInt(Math.min(length, Math.max(0, current.end - now)))
  const whole = (before * covered) / BigInt(length)
  return whole * BigInt(length) === before * covered ? whole : whole + 1n
}
