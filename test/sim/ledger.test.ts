/**
 * The ledger against the auditor, over a million operations. `SIM_SEED=<seed>` runs one seed; `scripts/simulate.ts` runs as many as
 * there is patience for.
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { OPERATIONS_PER_SEED, simulateMany } from './run.ts'

const OPERATIONS = 1_000_000
const { SIM_SEED } = process.env

if (SIM_SEED !== undefined) {
  test(`seed ${SIM_SEED} of the simulated ledger agrees with the auditor`, () => {
    simulateMany(Number(SIM_SEED), OPERATIONS_PER_SEED)
  })
} else {
  test('F01 F02 F03 I1 to I9: a million random operations leave the ledger where plain addition leaves the auditor', () => {
    const tally = simulateMany(1, OPERATIONS)
    assert.ok(tally.operations >= OPERATIONS)
    for (const [what, times] of Object.entries(tally)) {
      assert.ok(times >= 1_000, `only ${times} × ${what}: the simulation has lost its teeth`)
    }
  })
}
