/**
 * The command line: `serve` composes and runs the gateway; the other commands are tools around it.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
import process from 'node:process'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { readConfig } from './config.ts'
import { MIGRATE_ACTIONS, type MigrateAction, migrate } from './migrate.ts'
import { serve } from './serve.ts'
import { startSim } from './sim/server.ts'

const program = new Command('bursar')
  .description('Self-hosted governance gateway for LLM traffic.')
  .showHelpAfterError('(add --help for the options)')
  .exitOverride()

program
  .command('serve')
  .description('run the gateway and its admin API')
  .addHelpText('after', '\nExample:\n  OPENAI_API_KEY=sk-… bursar serve')
  .action(() => serve(process.env, process.cwd()))

program
  .command('migrate')
  .description('apply, take back or list the SQL migrations')
  .argument('<action>', MIGRATE_ACTIONS.join(', '), (value): MigrateAction => {
    const action = MIGRATE_ACTIONS.find((known) => known === value)
    if (action === undefined) throw new InvalidArgumentError(`Write one of ${MIGRATE_ACTIONS.join(', ')}.`)
    return action
  })
  .option('--steps <n>', 'with down: how many to take back', positive, 1)
  .addHelpText('after', '\nExample:\n  DATABASE_URL=postgres://localhost/bursar bursar migrate status')
  .action((action: MigrateAction, options: { steps: number }) =>
    migrate(action, options, readConfig(process.env, process.cwd())),
  )

program
  .command('sim')
  .description('run the simulated provider alone')
  .option('--port <port>', 'port to listen on', port, 8090)
  .option('--host <host>', 'address to listen on', '127.0.0.1')
  .option('--latency-ms <ms>', 'wait before each answer', positive)
  .option('--any-model', 'answer for every model name', false)
  .addHelpText('after', '\nExample:\n  bursar sim --port 8090 --latency-ms 200')
  .action(async (options: { port: number; host: string; latencyMs?: number; anyModel: boolean }) => {
    const sim = await startSim(options)
    process.stdout.write(`simulated provider on ${sim.url} (OpenAI format under ${sim.url}/v1)\n`)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sim.close())
  })

function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a positive whole number.')
}

function port(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('Write a port from 0 to 65535.')
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else {
    // One line for the person at the terminal; what lay underneath, for those who ask for it.
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`bursar: ${message}\n`)
    if (process.env.BURSAR_LOG_LEVEL === 'debug' && error instanceof Error) process.stderr.write(`${error.stack}\n`)
    process.exitCode = 1
  }
}
