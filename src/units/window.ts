/**
 * Windows: which period a moment belongs to. Pure arithmetic: nothing is ever reset, a new window simply begins (DESIGN section 5).
 */
import { Cron } from 'croner'
import { DURATION_FORMS, type Duration, parseDuration } from './duration.ts'

/** A period in ms since the epoch; the end is exclusive. A lifetime starts at 0 and never ends. */
export interface Window {
  readonly start: number
  readonly end: number
}

export type CalendarUnit = 'd' | 'w' | 'M'

/** A compiled window: what a limit's `window`, `align` and `timezone` mean together. */
export type WindowSpec =
  | { readonly kind: 'lifetime' }
  | { readonly kind: 'fixed'; readonly anchor: number; readonly ms: number }
  | { readonly kind: 'fixed-months'; readonly anchor: number; readonly months: number }
  | { readonly kind: 'sliding'; readonly anchor: number; readonly ms: number }
  | { readonly kind: 'calendar'; readonly unit: CalendarUnit; readonly count: number; readonly timezone: string }
  | { readonly kind: 'cron'; readonly pattern: string; readonly timezone: string }

export const LIFETIME: Window = { start: 0, end: Number.POSITIVE_INFINITY }

/** What makes a window unreadable, in words for the person who wrote it. `field` names the part to mend. */
export class WindowError extends Error {
  readonly field: 'window' | 'align' | 'timezone'

  constructor(field: 'window' | 'align' | 'timezone', message: string) {
    super(message)
    this.name = 'WindowError'
    this.field = field
  }
}

const CRON_WORDS: Readonly<Record<string, string>> = { hourly: '0 * * * *', daily: '0 0 * * *' }

export interface WindowText {
  /** null only for `concurrency`, which counts what is in flight and has no period. */
  readonly window: string | null
  readonly align: 'fixed' | 'calendar' | 'sliding' | null
  readonly timezone: string
  /** Where a fixed or sliding lattice begins, in ms. */
  readonly anchor: number
}

/** Compiles what a limit says. Throws {@link WindowError} with the accepted forms when it cannot be read. */
export function compileWindow({ window, align, timezone, anchor }: WindowText): WindowSpec {
  if (!isTimezone(timezone)) {
    throw new WindowError('timezone', `"${timezone}" is not an IANA time zone such as UTC or Europe/Berlin`)
  }
  if (window === null || window === 'lifetime') {
    if (align !== null) throw new WindowError('align', `must be null where the window is ${window ?? 'absent'}`)
    return { kind: 'lifetime' }
  }
  const pattern = CRON_WORDS[window] ?? (window.includes(' ') ? window : null)
  if (pattern !== null) {
    if (align !== null) throw new WindowError('align', 'must be null where the window is a cron expression')
    return compileCron(pattern, timezone)
  }
  const duration = parseDuration(window)
  if (duration === null) {
    throw new WindowError(
      'window',
      `"${window}" is not ${DURATION_FORMS}, a cron expression, hourly, daily or lifetime`,
    )
  }
  switch (align ?? 'fixed') {
    case 'fixed':
      return duration.kind === 'exact'
        ? { kind: 'fixed', anchor, ms: duration.ms }
        : { kind: 'fixed-months', anchor, months: duration.months }
    case 'sliding':
      if (duration.kind === 'exact') return { kind: 'sliding', anchor, ms: duration.ms }
      throw new WindowError('align', `sliding windows take s, m, h, d and w, not "${window}"`)
    case 'calendar':
      if (duration.kind === 'months') return { kind: 'calendar', unit: 'M', count: duration.months, timezone }
      if (duration.unit === 'd' || duration.unit === 'w') {
        return { kind: 'calendar', unit: duration.unit, count: duration.count, timezone }
      }
      throw new WindowError(
        'align',
        `calendar windows take one unit of d, w, M, Q or Y with its multiple, not "${window}"`,
      )
  }
}

/** The same window with its lattice beginning at `anchor` (ms). What has no lattice is the same for every limit, and the same object. */
export function anchoredAt<S extends WindowSpec | null>(spec: S, anchor: number): S {
  return spec !== null && 'anchor' in spec && spec.anchor !== anchor ? { ...spec, anchor } : spec
}

/** The window of `spec` that contains `now` (ms). */
export function windowAt(spec: WindowSpec, now: number): Window {
  switch (spec.kind) {
    case 'lifetime':
      return LIFETIME
    case 'fixed':
    case 'sliding': {
      const start = spec.anchor + Math.floor((now - spec.anchor) / spec.ms) * spec.ms
      return { start, end: start + spec.ms }
    }
    case 'fixed-months':
      return fixedMonthsAt(spec.anchor, spec.months, now)
    case 'calendar':
      return remembered(`${spec.unit}${spec.count} ${spec.timezone}`, now, () => calendarAt(spec, now))
    case 'cron':
      return remembered(`${spec.pattern} ${spec.timezone}`, now, () => cronAt(spec, now))
  }
}

/** How long a window of `spec` is, in ms, for ordering: the one around `now`, since months and firings differ. Infinity for a lifetime. */
export function windowLengthMs(spec: WindowSpec, now: number): number {
  const { start, end } = windowAt(spec, now)
  return end - start
}

/** Calendar and cron boundaries cost 5 to 60 µs and are the same for every limit of one kind: the last window found serves them all. */
const lastWindows = new Map<string, Window>()
const LAST_WINDOWS_MAX = 4_096

function remembered(name: string, now: number, compute: () => Window): Window {
  const last = lastWindows.get(name)
  if (last !== undefined && now >= last.start && now < last.end) return last
  const window = compute()
  if (lastWindows.size >= LAST_WINDOWS_MAX) lastWindows.clear()
  lastWindows.set(name, window)
  return window
}

/** Months are counted from the anchor itself, so that the 31st does not drift to the 28th: Jan 31, Feb 28, Mar 31. */
function fixedMonthsAt(anchor: number, months: number, now: number): Window {
  const origin = new Date(anchor)
  const today = new Date(now)
  const apart = (today.getUTCFullYear() - origin.getUTCFullYear()) * 12 + today.getUTCMonth() - origin.getUTCMonth()
  let step = Math.floor(apart / months)
  if (addMonths(origin, step * months) > now) step -= 1
  return { start: addMonths(origin, step * months), end: addMonths(origin, (step + 1) * months) }
}

/** When `duration` is over that begins at `from`: months by the calendar, as in windows. */
export function endOf(duration: Duration, from: number): number {
  return duration.kind === 'exact' ? from + duration.ms : addMonths(new Date(from), duration.months)
}

function addMonths(origin: Date, months: number): number {
  const month = origin.getUTCMonth() + months
  const daysInMonth = new Date(Date.UTC(origin.getUTCFullYear(), month + 1, 0)).getUTCDate()
  const moved = new Date(origin)
  moved.setUTCFullYear(origin.getUTCFullYear(), month, Math.min(origin.getUTCDate(), daysInMonth))
  return moved.getTime()
}

/** A Monday before every clock we will meet: multiples of weeks are counted from it. */
const FIRST_MONDAY = Temporal.PlainDate.from('1969-12-29')
const FIRST_DAY = Temporal.PlainDate.from('1970-01-01')

function calendarAt(spec: { unit: CalendarUnit; count: number; timezone: string }, now: number): Window {
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(spec.timezone).toPlainDate()
  const startOf = (date: Temporal.PlainDate) => date.toZonedDateTime({ timeZone: spec.timezone }).epochMilliseconds
  const first = firstDay(spec.unit, spec.count, today)
  const next = first.add(
    spec.unit === 'M' ? { months: spec.count } : { days: spec.unit === 'w' ? spec.count * 7 : spec.count },
  )
  const end = startOf(next)
  // Where clocks go back over midnight, a day begins at its first midnight: the hour that comes again is the new day's already.
  return now < end ? { start: startOf(first), end } : calendarAt(spec, end)
}

function firstDay(unit: CalendarUnit, count: number, today: Temporal.PlainDate): Temporal.PlainDate {
  if (unit === 'M') {
    const months = Math.floor((today.year * 12 + today.month - 1) / count) * count
    return Temporal.PlainDate.from({ year: Math.floor(months / 12), month: (months % 12) + 1, day: 1 })
  }
  const [origin, days] = unit === 'w' ? [FIRST_MONDAY, count * 7] : [FIRST_DAY, count]
  const sinceOrigin = origin.until(today, { largestUnit: 'days' }).days
  return origin.add({ days: Math.floor(sinceOrigin / days) * days })
}

const crons = new Map<string, Cron>()

function cronOf(pattern: string, timezone: string): Cron {
  const name = `${pattern} ${timezone}`
  let cron = crons.get(name)
  if (cron === undefined) {
    cron = new Cron(pattern, { timezone, paused: true })
    crons.set(name, cron)
  }
  return cron
}

function compileCron(pattern: string, timezone: string): WindowSpec {
  let next: Date | null
  try {
    next = cronOf(pattern, timezone).nextRun()
  } catch (error) {
    throw new WindowError('window', `"${pattern}" is not a cron expression: ${(error as Error).message}`)
  }
  if (next === null) throw new WindowError('window', `the cron expression "${pattern}" never fires`)
  return { kind: 'cron', pattern, timezone }
}

function cronAt(spec: { pattern: string; timezone: string }, now: number): Window {
  const cron = cronOf(spec.pattern, spec.timezone)
  // previousRuns leaves out a firing at the very instant it is asked about; a window begins with its firing.
  const previous = cron.previousRuns(1, new Date(now + 1))[0]
  const next = cron.nextRun(new Date(now))
  return { start: previous?.getTime() ?? 0, end: next?.getTime() ?? Number.POSITIVE_INFINITY }
}

const knownTimezones = new Set(['UTC'])

/** Whether the runtime knows the zone by this name. */
export function isTimezone(name: string): boolean {
  if (knownTimezones.has(name)) return true
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
  } catch {
    return false
  }
  // Fixed offsets such as +02:00 are accepted by Intl but are not zones: they know no daylight saving.
  if (!/^[A-Za-z]/.test(name)) return false
  knownTimezones.add(name)
  return true
}
