/**
 * What the simulation draws: limits, amounts near the edges where counters break, and ways for time to go.
 */
import { type Limit, METRICS, type Metric } from '../../src/store/entities.ts'
import { aLimit } from '../helpers/entities.ts'
import type { AuditedReading, Book, Link, Vector } from './auditor.ts'
import type { Random } from './random.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const MAX_USD = 999_999_999n * 10n ** 9n
const HUGE = 10n ** 18n
const SAFE = 2n ** 53n

/** Window, align and time zone of one kind of limit. */
type Kind = readonly [window: string | null, align: Limit['align'], timezone: string]

const SHORT_KINDS: readonly [Kind, ...Kind[]] = [
  ['1s', 'fixed', 'UTC'],
  ['30s', 'sliding', 'UTC'],
  ['1m', 'fixed', 'UTC'],
  ['1m', 'sliding', 'UTC'],
  ['1h30m', 'fixed', 'UTC'],
  ['1h', 'sliding', 'UTC'],
  ['*/15 * * * *', null, 'UTC'],
  ['hourly', null, 'UTC'],
]
const LONG_KINDS: readonly [Kind, ...Kind[]] = [
  ['1d', 'fixed', 'UTC'],
  ['1d', 'sliding', 'UTC'],
  ['1w', 'sliding', 'UTC'],
  ['1M', 'fixed', 'UTC'],
  ['3M', 'fixed', 'UTC'],
  ['1Q', 'fixed', 'UTC'],
  ['1Y', 'fixed', 'UTC'],
  ['1d', 'calendar', 'Europe/Berlin'],
  ['2d', 'calendar', 'America/New_York'],
  ['1w', 'calendar', 'Europe/Berlin'],
  ['2w', 'calendar', 'UTC'],
  ['1M', 'calendar', 'Europe/Berlin'],
  ['1Q', 'calendar', 'America/New_York'],
  ['1Y', 'calendar', 'Europe/Berlin'],
  ['daily', null, 'Europe/Berlin'],
  ['0 6 * * 1', null, 'America/New_York'],
  ['30 3 1 * *', null, 'UTC'],
]
const ENDLESS: Kind = ['lifetime', null, 'UTC']

/** Moments at which calendars are at their worst, in ms. */
const EDGES: readonly [number, ...number[]] = [
  Date.parse('2026-03-08T07:00:00Z'), // New York loses an hour
  Date.parse('2026-03-29T01:00:00Z'), // Berlin loses an hour
  Date.parse('2026-10-25T01:00:00Z'), // Berlin has one twice
  Date.parse('2026-11-01T06:00:00Z'), // New York has one twice
  Date.parse('2026-12-31T23:00:00Z'), // the year ends in Berlin
  Date.parse('2027-01-31T12:00:00Z'), // a month's end that February does not have
  Date.parse('2028-02-29T12:00:00Z'), // a leap day
]

/** What one seed draws its operations with. */
export interface Draws {
  /** How many limits there are, about. */
  readonly limits: number
  /** The share of them that a request meets. */
  readonly chainShare: number
  beginning(): number
  weighted(list: readonly (readonly [number, () => void])[]): readonly [() => void, ...(() => void)[]]
  limit(id: string, now: number): Limit
  edit(limit: Limit, now: number): Limit
  amount(limit: Limit): bigint
  amounts(links: readonly Link[], read: (book: Book) => AuditedReading): Vector
  actual(held: Vector): Vector
  patience(): number
  pause(books: readonly Book[], now: number): number
  clockStep(): number
}

/** Draws a regime; then everything else is drawn within it. */
export function drawsOf(random: Random): Draws {
  const limits = random.between(1, 8)
  const chainShare = random.pick([0.3, 0.6, 1])
  const shortWindows = random.pick([0, 0.5, 0.9])
  const observed = random.pick([0, 0.2, 0.8])
  const longPauses = random.pick([0, 0.1, 0.6])
  const hugeAmounts = random.pick([0, 0.02, 0.3])
  /** How much of each other operation a seed does, beside the usual. */
  const flavour = random.between(0, 15)

  function maxOf(metric: Metric): bigint {
    const most = metric === 'cost' ? MAX_USD : SAFE - 1n
    const drawn = random.pick([
      1n,
      2n,
      BigInt(random.between(3, 100)),
      random.amountTo(10_000_000n),
      random.amountTo(most),
      most,
    ])
    return drawn === 0n ? 1n : drawn
  }

  function windowOf(metric: Metric, now: number) {
    if (metric === 'concurrency') return { window: null, align: null, timezone: 'UTC', anchor: now }
    const kind = random.chance(0.07) ? ENDLESS : random.pick(random.chance(shortWindows) ? SHORT_KINDS : LONG_KINDS)
    const anchor = now + random.pick([0, 0, -random.between(0, 40 * DAY), random.between(0, 10 * DAY)])
    return { window: kind[0], align: kind[1], timezone: kind[2], anchor }
  }

  function limit(id: string, now: number): Limit {
    const metric = random.pick(METRICS)
    const mode = random.chance(observed) ? 'observe' : 'enforce'
    return aLimit({ id, metric, max: maxOf(metric), mode, ...windowOf(metric, now) })
  }

  function edit(before: Limit, now: number): Limit {
    switch (random.between(0, 5)) {
      case 0: {
        const countNumber = before.countNumber + 1
        return { ...limit(before.id, now), countNumber, override: before.override }
      }
      case 1:
        return { ...before, mode: before.mode === 'enforce' ? 'observe' : 'enforce' }
      case 2:
        return {
          ...before,
          override: { max: maxOf(before.metric), until: now + random.pick([1, MINUTE, DAY, Infinity]) },
        }
      case 3:
        return { ...before, override: null }
      default:
        return { ...before, max: maxOf(before.metric) }
    }
  }

  function amount({ max }: Limit): bigint {
    if (random.chance(hugeAmounts)) return random.pick([SAFE - 1n, SAFE, SAFE + 1n, HUGE, HUGE, 2n ** 63n - 1n])
    return random.pick([
      0n,
      1n,
      max - 1n,
      max,
      max + 1n,
      random.amountTo(max),
      random.amountTo(max),
      random.amountTo(max / 8n),
    ])
  }

  return {
    limits,
    chainShare,
    limit,
    edit,
    amount,
    beginning: () => random.pick(EDGES) + random.pick([0, -1, -HOUR, -DAY, random.between(-3 * DAY, 3 * DAY)]),
    weighted(list) {
      const drawn = list.flatMap(([weight, work], index) => {
        const times = index === flavour ? weight * 4 : weight
        return Array.from({ length: times }, () => work)
      })
      const [first, ...rest] = drawn
      if (first === undefined) throw new Error('nothing to draw from')
      return [first, ...rest]
    },
    amounts(links, read) {
      return METRICS.map((metric) => {
        const book = random.maybe(links.filter((link) => link.book.limit.metric === metric && !link.book.gone))?.book
        if (metric === 'concurrency' && random.chance(0.8)) return 1n
        if (book === undefined) return random.chance(hugeAmounts) ? HUGE : random.amountTo(1_000n)
        if (random.chance(0.4)) return amount(book.limit)
        // What is left is where refusing begins.
        const { remaining } = read(book)
        return random.pick([remaining, remaining + 1n, remaining / 2n, random.amountTo(remaining)])
      })
    },
    actual(held) {
      const way = random.between(0, 4)
      return held.map((amountHeld, metric) => {
        if (METRICS[metric] === 'concurrency') return 0n
        if (way === 0) return amountHeld
        if (way === 1) return amountHeld + random.amountTo(amountHeld * 2n + 10n)
        if (way === 2 && random.chance(hugeAmounts)) return HUGE * 9n
        return random.amountTo(amountHeld)
      })
    },
    patience: () => random.pick([SECOND, MINUTE, HOUR, DAY, 400 * DAY]),
    pause(books, now) {
      const book = random.maybe(books)
      if (book !== undefined && random.chance(0.3)) {
        // To the very edge of some limit's window.
        const { current } = book
        const edge = Number.isFinite(current.end) ? current.end : now
        const ms = edge + random.pick([-1, 0, 0, 1, Math.floor((edge - current.start) / 2)]) - now
        if (ms > 0 && ms < 800 * DAY && (ms < DAY || random.chance(Math.max(longPauses, 0.05)))) return ms
      }
      if (random.chance(longPauses))
        return random.pick([DAY, 7 * DAY, random.between(DAY, 40 * DAY), random.between(0, 90 * DAY)])
      return random.pick([
        0,
        1,
        random.between(1, 999),
        random.between(1, MINUTE),
        random.between(1, HOUR),
        random.between(1, 5 * HOUR),
      ])
    },
    clockStep: () => {
      const far = random.pick([SECOND, MINUTE, HOUR, DAY, random.chance(0.2) ? 60 * DAY : HOUR])
      return random.pick([-1, -1, 1]) * random.between(1, far)
    },
  }
}
