/**
 * Column forms: what a column gives when it is read and takes when it is written.
 *
 * Read: `timestamptz` is a number of ms (`Infinity` for `infinity`), BIGINT a `bigint`, jsonb its value; `column-types.ts` parses
 * them. Written: times through {@link timestamp}, jsonb through {@link json} (pg would take a bare array for an SQL array).
 */
import type { ColumnType } from 'kysely'

/** A moment as pg takes it: `Date` has no form for "never ends". */
export type Timestamp = Date | 'infinity'

export type Time = ColumnType<number, Timestamp, Timestamp>
export type TimeOrNull = ColumnType<number | null, Timestamp | null | undefined, Timestamp | null>
export type TimeWithDefault = ColumnType<number, Timestamp | undefined, Timestamp>
export type Optional<T> = ColumnType<T | null, T | null | undefined, T | null>
export type Json<T> = ColumnType<T, string, string>
export type JsonWithDefault<T> = ColumnType<T, string | undefined, string>
export type JsonOrNull = ColumnType<unknown, string | null | undefined, string | null>

/** Milliseconds since the epoch as a query parameter. */
export function timestamp(ms: number): Timestamp {
  return ms === Number.POSITIVE_INFINITY ? 'infinity' : new Date(ms)
}

export function timestampOrNull(ms: number | null): Timestamp | null {
  return ms === null ? null : timestamp(ms)
}

/** A value as a jsonb query parameter. */
export function json(value: unknown): string {
  return JSON.stringify(value)
}
