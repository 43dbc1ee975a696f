/** Runs as many seeds as it takes for so many operations. */
import { simulate, type Tally } from './simulation.ts'

export const OPERATIONS_PER_SEED = 500

/** Runs seeds from `firstSeed` on; the sum of what they met. Throws at the first seed that fails. */
export function simulateMany(
  firstSeed: number,
  operations: number,
  onProgress: (seed: number, done: number) => void = () => {},
): Tally {
  let total: Tally | null = null
  for (let seed = firstSeed; total === null || total.operations < operations; seed++) {
    total = added(total, simulate(seed, OPERATIONS_PER_SEED))
    onProgress(seed, total.operations)
  }
  return total
}

function added(total: Tally | null, tally: Tally): Tally {
  if (total === null) return tally
  for (const what of Object.keys(tally) as (keyof Tally)[]) total[what] += tally[what]
  return total
}
