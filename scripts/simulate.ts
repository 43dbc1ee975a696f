/**
 * Simulates the ledger for as long as you like: `node scripts/simulate.ts --operations 100000000 --seed 1`.
 *
 * The same code as `npm test -- test/sim` runs. It stops at the first seed that fails and prints the command that replays it.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { simulateMany } from '../test/sim/run.ts'

const { values } = parseArgs({
  options: { operations: { type: 'string', default: '10000000' }, seed: { type: 'string', default: '1' } },
})
const operations = wholeNumber('operations')
const firstSeed = wholeNumber('seed')

const REPORT_EVERY_MS = 10_000
let reportedAt = performance.now()
const begun = reportedAt

try {
  const tally = simulateMany(firstSeed, operations, (seed, done) => {
    if (performance.now() - reportedAt < REPORT_EVERY_MS) return
    reportedAt = performance.now()
    const perSecond = Math.round((done / (reportedAt - begun)) * 1_000)
    process.stdout.write(`seed ${seed}: ${done} of ${operations} operations, ${perSecond} a second\n`)
  })
  for (const [what, times] of Object.entries(tally)) process.stdout.write(`${String(times).padStart(12)}  ${what}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}

function wholeNumber(name: 'operations' | 'seed'): number {
  const number = Number(values[name])
  if (Number.isSafeInteger(number) && number > 0) return number
  process.stderr.write(`--${name} takes a whole number above zero, not "${values[name]}"\n`)
  process.exit(2)
}
