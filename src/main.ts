/**
 * The command line: `serve` composes and runs the gateway; the other commands are tools around it.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
import process from 'node:process'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { call } from './commands/admin-client.ts'
import { reportChanges } from './commands/dry-run.ts'
import { exportYaml } from './commands/export-yaml.ts'
import { type JournalOptions, showJournal } from './commands/journal.ts'
import { type CreateKeyOptions, createKey, disableKey, limitOf, listKeys, rotateKey } from './commands/keys.ts'
import { reportDifferences } from './commands/rebuild.ts'
import { exportTo, importFrom } from './commands/transfer.ts'
import { readConfig } from './config.ts'
import { MIGRATE_ACTIONS, type MigrateAction, migrate } from './migrate.ts'
import { dryRun, type OpenedAdmin, openAdmin } from './open-admin.ts'
import { applyRebuild } from './rebuild.ts'
import type { ConsistencyView } from './schemas/reports.ts'
import { serve } from './serve.ts'
import { startSim } from './sim/server.ts'
import { DURATION_FORMS, parseDuration } from './units/duration.ts'
import { parseTime } from './units/time.ts'
import { VERSION } from './version.ts'

const program = new Command('bursar')
  .description('Self-hosted governance gateway for LLM traffic.')
  .version(VERSION)
  .showHelpAfterError('(add --help for the options)')
  .addHelpText('after', "\nExample:\n  bursar serve\n  bursar keys create notebook --limit 'cost 10 1d'")
  .exitOverride()

program
  .command('serve')
  .description('run the gateway and its admin API')
  .option('--dry-run', 'show what bursar.yaml and the environment would change, and change nothing')
  .option('--json', 'with --dry-run: as JSON')
  .addHelpText('after', '\nExample:\n  OPENAI_API_KEY=sk-… bursar serve\n  bursar serve --dry-run')
  .action(async ({ dryRun: isDryRun, json }: { dryRun?: boolean; json?: boolean }) => {
    if (isDryRun === true) reportChanges(await dryRun(process.env, process.cwd()), { json }, print)
    else await serve(process.env, process.cwd())
  })

program
  .command('migrate')
  .description('apply, take back or list the SQL migrations')
  .argument('<action>', MIGRATE_ACTIONS.join(', '), (value): MigrateAction => {
    const action = MIGRATE_ACTIONS.find((known) => known === value)
    if (action === undefined) throw new InvalidArgumentError(`Write one of ${MIGRATE_ACTIONS.join(', ')}.`)
    return action
  })
  .option('--steps <n>', 'with down: how many to take back', positive, 1)
  .option('--force', 'with down: also where rows are lost')
  .addHelpText('after', '\nExample:\n  DATABASE_URL=postgres://localhost/bursar bursar migrate status')
  .action((action: MigrateAction, options: { steps: number; force?: boolean }) =>
    migrate(action, options, process.env, process.cwd()),
  )

const keys = program
  .command('keys')
  .description('make, list, rotate and disable virtual keys')
  .addHelpText('after', "\nExample:\n  bursar keys create notebook --limit 'cost 10 1d' --limit 'requests 60 1m'")
keys
  .command('create')
  .description('make a virtual key and print it, this once')
  .argument('<name>', 'unique among the keys')
  .option('--user <name>', 'the user it belongs to, by name or id')
  .option('--team <name>', 'the team that is charged')
  .option('--customer <name>', 'the customer that is charged, in place of the team’s')
  .option('--value <key>', 'an existing key to import, at least 20 characters')
  .option('--expires-at <time>', 'from then on it is refused, such as 2027-01-01T00:00:00Z', time)
  .option('--limit <limit>', 'metric, maximum and window; may be given several times', limits, [])
  .option('--json', 'print the whole entity as JSON')
  .addHelpText('after', "\nExample:\n  bursar keys create notebook --team research --limit 'cost 10 1d'")
  .action((name: string, options: CreateKeyOptions) =>
    withAdmin(({ client }) => createKey(client, name, options, print)),
  )
keys
  .command('list')
  .description('list virtual keys')
  .option('--search <text>', 'only names that contain this')
  .option('--json', 'print the entities as JSON')
  .addHelpText('after', '\nExample:\n  bursar keys list --search notebook')
  .action((options: { search?: string; json?: boolean }) => withAdmin(({ client }) => listKeys(client, options, print)))
keys
  .command('rotate')
  .description('give the same identity a new key and print it')
  .argument('<key>', 'its name or id')
  .option('--grace <duration>', 'how long the old key goes on working, such as 1h; without it not at all', duration)
  .option('--json', 'print the whole entity as JSON')
  .addHelpText('after', '\nExample:\n  bursar keys rotate notebook --grace 1h')
  .action((key: string, options: { grace?: string; json?: boolean }) =>
    withAdmin(({ client }) => rotateKey(client, key, options, print)),
  )
keys
  .command('disable')
  .description('refuse a virtual key from now on')
  .argument('<key>', 'its name or id')
  .option('--json', 'print the whole entity as JSON')
  .addHelpText('after', '\nExample:\n  bursar keys disable notebook')
  .action((key: string, options: { json?: boolean }) =>
    withAdmin(({ client }) => disableKey(client, key, options, print)),
  )

program
  .command('rebuild')
  .description('recompute what limits and hours have from events and corrections, and show what differs')
  .option('--apply', 'set the sums to what was recomputed; the gateway must be stopped', false)
  .option('--json', 'print the differences as JSON')
  .addHelpText(
    'after',
    '\nExit code 1 where there are differences that were not applied.\n\nExample:\n  bursar rebuild --apply',
  )
  .action(async ({ apply, json }: { apply: boolean; json?: boolean }) => {
    const found = apply
      ? await applyRebuild(process.env, process.cwd())
      : await withAdmin(({ client }) => call<ConsistencyView>(client, 'GET', '/consistency'))
    if (!reportDifferences(found, { applied: apply, json }, print)) process.exitCode = 1
  })

program
  .command('journal')
  .description('print the journal, fact by fact; reads only, also beside a running gateway')
  .option('--request <id>', 'only the facts of one request')
  .option('--from <position>', 'only what lies behind this position', whole)
  .option('--json', 'one JSON line a fact')
  .addHelpText(
    'after',
    '\nExit code 1 where something in it cannot be read.\n\nExample:\n  bursar journal --request 019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f',
  )
  .action((options: JournalOptions) => {
    if (!showJournal(readConfig(process.env, process.cwd()).dataDir, options, print)) process.exitCode = 1
  })

program
  .command('export')
  .description('write everything that lasts to one file: entities, keys by their hashes, what limits have used')
  .argument('[file]', 'where to; without it to standard output')
  .option('--yaml', 'the entities alone, as bursar.yaml declares them, to standard output')
  .addHelpText(
    'after',
    '\nCredentials of providers stay encrypted with BURSAR_SECRET.\n\nExample:\n  bursar export bursar.json',
  )
  .action((file: string | undefined, { yaml }: { yaml?: boolean }) =>
    withAdmin(async ({ client }) =>
      yaml === true ? print(await exportYaml(client)) : await exportTo(client, file, process.stdout),
    ),
  )

program
  .command('import')
  .description('bring an exported file in, all of it or nothing')
  .argument('<file>', 'as bursar export has written it')
  .option('--without-credentials', 'leave the credentials of providers out')
  .option('--json', 'print the counts as JSON')
  .addHelpText(
    'after',
    '\nWhat is there already takes the fields of the file and keeps what it has used.\n\nExample:\n  bursar import bursar.json',
  )
  .action((file: string, options: { withoutCredentials?: boolean; json?: boolean }) =>
    withAdmin(({ client }) => importFrom(client, file, options, print, progress())),
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

/** Runs with the admin API of these books, wherever that is. */
async function withAdmin<T>(work: (opened: OpenedAdmin) => Promise<T>): Promise<T> {
  const opened = await openAdmin(process.env, process.cwd())
  try {
    return await work(opened)
  } finally {
    await opened.client.close()
  }
}

/** A bar on a terminal, and nothing in a log. */
function progress(): (share: number) => void {
  if (!process.stderr.isTTY) return () => {}
  let shown = -1
  return (share) => {
    const percent = Math.min(100, Math.floor(share * 100))
    if (percent === shown) return
    shown = percent
    const done = '█'.repeat(percent / 4)
    process.stderr.write(`\r${done.padEnd(25, '░')} ${percent} %${percent === 100 ? '\n' : ''}`)
  }
}

function print(text: string): void {
  process.stdout.write(text)
}

function limits(text: string, before: object[]): object[] {
  const limit = limitOf(text)
  if (limit !== null) return [...before, limit]
  throw new InvalidArgumentError('Write metric, maximum and window, such as "cost 10 1d".')
}

function duration(text: string): string {
  if (parseDuration(text) !== null) return text
  throw new InvalidArgumentError(`Write ${DURATION_FORMS}.`)
}

function time(text: string): string {
  if (parseTime(text) !== null) return text
  throw new InvalidArgumentError('Write a time such as 2027-01-01T00:00:00Z.')
}

function whole(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number.')
}

function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a positive whole number.')
}

function port(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('Write a port from 0 to 65535.')
}

// Whoever reads no further (`bursar journal | head`) has what they wanted. The gateway goes on, whatever becomes of where it says where it is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (process.argv[2] === 'serve') return
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
process.stderr.on('error', () => {})

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
