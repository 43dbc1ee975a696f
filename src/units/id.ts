/** Identifiers: UUIDv7, whose first 48 bits are the millisecond they were made in. */
import { randomUUIDv7 } from 'node:crypto'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function newId(): string {
  return randomUUIDv7()
}

export function isId(text: string): boolean {
  return UUID.test(text)
}

/** The wall time in milliseconds inside a UUIDv7. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** The smallest UUID that a UUIDv7 made at or after `at` (ms) can be: the bounds of monthly partitions. */
export function lowestIdAt(at: number): string {
  const hex = at.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-0000-0000-000000000000`
}
