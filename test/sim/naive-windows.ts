/**
 * Windows for the auditor, derived from a limit's text another way than `src/units/window.ts` does: lattices by remainder, months by
 * walking, calendars and cron expressions from tables of local hours that `Intl` tells.
 */
import type { Limit } from '../../src/store/entities.ts'

export interface NaiveWindow {
  readonly start: number
  readonly end: number
}

export const FIRST_MOMENT = Date.UTC(2024, 0, 1)
export const LAST_MOMENT = Date.UTC(2034, 0, 1)

const HOUR = 3_600_000
const DAY = 24 * HOUR
const QUARTER = HOUR / 4
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: HOUR, d: DAY, w: 7 * DAY }
const UNIT_MONTHS: Readonly<Record<string, number>> = { M: 1, Q: 3, Y: 12 }

/** The window of `now` (ms) of what the limit says. */
export function naiveWindow(limit: Pick<Limit, 'window' | 'align' | 'timezone' | 'anchor'>, now: number): NaiveWindow {
  const { window, align, timezone, anchor } = limit
  if (window === null || window === 'lifetime') return { start: 0, end: Number.POSITIVE_INFINITY }
  if (window === 'hourly') return inTable(cronTable('0 * * * *', timezone), now)
  if (window === 'daily') return inTable(cronTable('0 0 * * *', timezone), now)
  if (window.includes(' ')) return inTable(cronTable(window, timezone), now)
  if (align === 'calendar') return inTable(calendarTable(window, timezone), now)
  const months = UNIT_MONTHS[window.slice(-1)]
  if (months !== undefined) return inMonths(anchor, months * Number(window.slice(0, -1)), now)
  const length = naiveLength(window)
  const since = (((now - anchor) % length) + length) % length
  return { start: now - since, end: now - since + length }
}

/** The length in ms of a duration of s, m, h, d and w. */
export function naiveLength(window: string): number {
  let length = 0
  let digits = ''
  for (const character of window) {
    if (character >= '0' && character <= '9') digits += character
    else {
      length += Number(digits) * (UNIT_MS[character] as number)
      digits = ''
    }
  }
  return length
}

function inMonths(anchor: number, months: number, now: number): NaiveWindow {
  let step = 0
  while (later(anchor, step) > now) step -= months
  while (later(anchor, step + months) <= now) step += months
  return { start: later(anchor, step), end: later(anchor, step + months) }
}

/** So many months after the anchor, on the anchor's day or the month's last. */
function later(anchor: number, months: number): number {
  const date = new Date(anchor)
  const firstOfMonth = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1)
  let day = date.getUTCDate()
  while (new Date(firstOfMonth + (day - 1) * DAY).getUTCMonth() !== new Date(firstOfMonth).getUTCMonth()) day -= 1
  return firstOfMonth + (day - 1) * DAY + (anchor - Math.floor(anchor / DAY) * DAY)
}

function inTable(starts: readonly number[], now: number): NaiveWindow {
  let low = 0
  let high = starts.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] as number) <= now) low = middle
    else high = middle
  }
  const [start, end] = [starts[low], starts[low + 1]]
  if (start === undefined || end === undefined || now < start || now >= end)
    throw new RangeError(`${now} is off the table`)
  return { start, end }
}

const tables = new Map<string, readonly number[]>()

function table(name: string, starts: (local: Date) => boolean, timezone: string): readonly number[] {
  const known = tables.get(name)
  if (known !== undefined) return known
  const offsetAt = offsetsOf(timezone)
  const made: number[] = []
  // A margin on both sides, so that the longest window of every moment has both of its ends.
  for (let at = FIRST_MOMENT - 800 * DAY; at < LAST_MOMENT + 800 * DAY; at += QUARTER) {
    if (starts(new Date(at + offsetAt(at)))) made.push(at)
  }
  tables.set(name, made)
  return made
}

function calendarTable(window: string, timezone: string): readonly number[] {
  const count = Number(window.slice(0, -1))
  const unit = window.slice(-1)
  const starts = (local: Date) => {
    if (local.getUTCHours() !== 0 || local.getUTCMinutes() !== 0) return false
    const day = Math.floor(local.getTime() / DAY)
    if (unit === 'd') return day % count === 0
    // Day -3 was a Monday, 29 December 1969: multiples are counted from there.
    if (unit === 'w') return local.getUTCDay() === 1 && ((day + 3) / 7) % count === 0
    const months = count * (UNIT_MONTHS[unit] as number)
    return local.getUTCDate() === 1 && (local.getUTCFullYear() * 12 + local.getUTCMonth()) % months === 0
  }
  return table(`${window} ${timezone}`, starts, timezone)
}

function cronTable(pattern: string, timezone: string): readonly number[] {
  const [minute, hour, date, month, weekday] = pattern.split(' ') as [string, string, string, string, string]
  const matches = (field: string, value: number) =>
    field === '*' ||
    (field.startsWith('*/') ? value % Number(field.slice(2)) === 0 : field.split(',').map(Number).includes(value))
  const starts = (local: Date) =>
    matches(minute, local.getUTCMinutes()) &&
    matches(hour, local.getUTCHours()) &&
    matches(date, local.getUTCDate()) &&
    matches(month, local.getUTCMonth() + 1) &&
    matches(weekday, local.getUTCDay())
  return table(`${pattern} ${timezone}`, starts, timezone)
}

const offsets = new Map<string, (at: number) => number>()

/** Local time minus UTC in ms at a moment, as `Intl` tells it: asked once a day, and more often on the days it changes. */
function offsetsOf(timezone: string): (at: number) => number {
  const known = offsets.get(timezone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  const ask = (at: number) => {
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = part
    return Date.UTC(year, month - 1, day, hour, minute, second) - at
  }
  const byDay = new Map<number, number | null>()
  const offsetAt = (at: number) => {
    const day = Math.floor(at / DAY)
    let offset = byDay.get(day)
    if (offset === undefined) {
      offset = ask(day * DAY) === ask((day + 1) * DAY) ? ask(day * DAY) : null
      byDay.set(day, offset)
    }
    return offset ?? ask(Math.floor(at / QUARTER) * QUARTER)
  }
  offsets.set(timezone, offsetAt)
  return offsetAt
}
