/**
 * How columns arrive in memory, for both databases alike: BIGINT as `bigint` (pg would give text, PGlite a number or a bigint by
 * size), `timestamptz` as a number of ms. Given to the pool rather than set globally: an embedding application's own pg is not ours.
 */
import { sql } from 'kysely'
import pg from 'pg'

const { INT8, TIMESTAMPTZ } = pg.types.builtins

export const COLUMN_TYPES: pg.CustomTypesConfig = {
  // The signature is pg's: what a parser returns is known to nobody but its column.
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (format !== 'binary') {
      if (oid === INT8) return BigInt
      if (oid === TIMESTAMPTZ) return parseTimestamptz
    }
    return pg.types.getTypeParser(oid, format)
  }) as typeof pg.types.getTypeParser,
}

const parseAnyTimestamptz: (text: string) => unknown = pg.types.getTypeParser(TIMESTAMPTZ, 'text')

let last = { text: '1970-01-01 00:00:00+00', ms: 0 }

/** Milliseconds since the epoch; `infinity` is `Infinity`. The times of one row are mostly the same. */
export function parseTimestamptz(text: string): number {
  if (text !== last.text) last = { text, ms: readTimestamptz(text) }
  return last.ms
}

function readTimestamptz(text: string): number {
  // What a session in UTC writes: `2026-11-21 21:37:00[.123456]+00`. Millions are read at a start, mostly of a few days.
  if (text.endsWith('+00') && text.charCodeAt(10) === SPACE) {
    const fraction = text.length > 22 ? text.slice(20, -3).slice(0, 3).padEnd(3, '0') : '0'
    return (
      startOfDay(text.slice(0, 10)) +
      twoDigits(text, 11) * 3_600_000 +
      twoDigits(text, 14) * 60_000 +
      twoDigits(text, 17) * 1_000 +
      Number(fraction)
    )
  }
  const value = parseAnyTimestamptz(text)
  return value instanceof Date ? value.getTime() : Number(value)
}

const SPACE = ' '.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
let lastDay = { text: '1970-01-01', start: 0 }

function startOfDay(text: string): number {
  if (text !== lastDay.text) lastDay = { text, start: Date.parse(text) }
  return lastDay.start
}

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO
}

/** `text[]`, which pg has no name for. */
const TEXT_ARRAY: number = 1_009

/** The elements of a `text[]` without nulls. */
export const textsOf = pg.types.getTypeParser(TEXT_ARRAY as typeof TIMESTAMPTZ) as (text: string) => string[]

/** What a BIGINT column holds at most, as text for SQL: sums on observed limits stop there, as the meters do. */
export const BIGINT_MAX = sql.raw('9223372036854775807')
