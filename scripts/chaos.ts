/**
 * The suite's chaos tests for longer than the suite has time for; the same code.
 *
 *     npx node scripts/chaos.ts kill --rounds 200      ended under load so often, on each database
 *     npx node scripts/chaos.ts outage --seconds 60    database away again and again for so long
 *
 * `--seed n` repeats a run's choices.
 */
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { Command, InvalidArgumentError } from 'commander'

const program = new Command('chaos').description(
  'break the gateway under load, and hold its books against the providers',
)

function whole(text: string): string {
  if (/^[1-9]\d{0,8}$/.test(text)) return text
  throw new InvalidArgumentError('Write a positive whole number.')
}

function runTest(file: string, env: Readonly<Record<string, string | undefined>>): void {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined))
  const { status } = spawnSync(process.execPath, ['scripts/test.ts', file], {
    stdio: 'inherit',
    env: { ...process.env, ...given },
  })
  process.exitCode = status ?? 1
}

program
  .command('kill')
  .option('--rounds <n>', 'how often the gateway is ended', whole, '200')
  .option('--seed <n>', 'repeats a run', whole)
  .action(({ rounds, seed }: { rounds: string; seed?: string }) =>
    runTest('test/chaos/kill.test.ts', { CHAOS_ROUNDS: rounds, CHAOS_SEED: seed }),
  )

program
  .command('outage')
  .option('--seconds <n>', 'how long the database comes and goes', whole, '60')
  .option('--seed <n>', 'repeats a run', whole)
  .action(({ seconds, seed }: { seconds: string; seed?: string }) =>
    runTest('test/chaos/outage.test.ts', { CHAOS_SECONDS: seconds, CHAOS_SEED: seed }),
  )

program.parse()
