/**
 * Invariants: what must be true of the meters at any moment, checked from the outside: nothing here shares code with what it checks.
 *
 * Cheap enough for a consistency report. Where several threads hold on the same meters, `holds` must be those of all of them.
 */
import { type Hold, heldAt, type Meter } from './hold.ts'
import type { Meters } from './meters.ts'

/** A number in a meter that is not what it must be. */
export interface Violation {
  readonly limitId: string
  readonly cell: 'held' | 'previousHeld' | 'posted' | 'previousPosted' | 'lifetime'
  readonly found: bigint
  /** What it must be, or null where it must only not be below zero. */
  readonly expected: bigint | null
}

/** For every meter: what is held is the sum of the open holds of that window, and nothing is below zero. The lock must be held. */
export function findViolations(
  meters: Meters,
  tracked: Iterable<readonly [limitId: string, meter: Meter]>,
  holds: Iterable<Hold>,
): Violation[] {
  const sums = sumOfHolds(holds)
  const violations: Violation[] = []
  for (const [limitId, { slot, generation }] of tracked) {
    const cells = meters.cells(slot)
    const expected = (windowNumber: number) => sums.get(cellName(slot, generation, windowNumber)) ?? 0n
    const held = expected(cells.windowNumber)
    const previousHeld = expected(cells.windowNumber - 1)
    if (cells.held !== held) violations.push({ limitId, cell: 'held', found: cells.held, expected: held })
    if (cells.previousHeld !== previousHeld) {
      violations.push({ limitId, cell: 'previousHeld', found: cells.previousHeld, expected: previousHeld })
    }
    for (const cell of ['posted', 'previousPosted', 'lifetime'] as const) {
      if (cells[cell] < 0n) violations.push({ limitId, cell, found: cells[cell], expected: null })
    }
  }
  return violations
}

function sumOfHolds(holds: Iterable<Hold>): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const hold of holds) {
    for (const [index, { slot, generation, windowNumber }] of hold.places.entries()) {
      const name = cellName(slot, generation, windowNumber)
      sums.set(name, (sums.get(name) ?? 0n) + heldAt(hold, index))
    }
  }
  return sums
}

function cellName(slot: number, generation: number, windowNumber: number): string {
  return `${slot} ${generation} ${windowNumber}`
}
