/**
 * `bursar migrate`: the SQL migrations against `DATABASE_URL` or the embedded database. Where a gateway holds that one, its admin API says
 * how far they are; applied or taken back under its feet they are not.
 */
import process from 'node:process'
import { type AdminClient, call } from './commands/admin-client.ts'
import { type Config, readConfig } from './config.ts'
import { holdersAdmin, namedAdmin } from './open-admin.ts'
import { type DataDir, openDataDir } from './persist/data-dir.ts'
import { openDatabase } from './persist/database.ts'
import { lostByMigratingDown, migrateDown, migrateUp, migrationStatus } from './persist/migrator.ts'
import type { MigrationsView } from './schemas/reports.ts'
import { silentLog } from './units/log.ts'

export const MIGRATE_ACTIONS = ['up', 'down', 'status'] as const
export type MigrateAction = (typeof MIGRATE_ACTIONS)[number]

interface MigrateOptions {
  readonly steps: number
  readonly force?: boolean
}

const NOTHING_TO_APPLY = 'nothing to apply'

/** Runs one action and prints what it did, a line per migration. Throws when the database cannot be reached or a file fails. */
export async function migrate(
  action: MigrateAction,
  options: MigrateOptions,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Promise<void> {
  const config = readConfig(env, cwd)
  const found = namedAdmin(env, config) ?? folderOrHolder(config)
  const done =
    found !== null && 'open' in found
      ? await linesBeside(action, found)
      : await linesOf(action, options, config).finally(() => found?.release())
  for (const line of done) process.stdout.write(`${line}\n`)
}

/**
 * The embedded database's folder, locked for this process, or the admin API of the gateway that holds it; null for an external Postgres,
 * which has locks of its own.
 */
function folderOrHolder(config: Config): DataDir | AdminClient | null {
  if (config.databaseUrl !== null) return null
  try {
    return openDataDir(config.dataDir)
  } catch (error) {
    return holdersAdmin(error, config)
  }
}

async function linesBeside(action: MigrateAction, gateway: AdminClient): Promise<string[]> {
  const { data } = await call<MigrationsView>(gateway, 'GET', '/migrations')
  if (action === 'status') return data.map(shown)
  const pending = data.filter(({ state }) => state === 'pending')
  if (action === 'up' && pending.length === 0) return [NOTHING_TO_APPLY]
  throw new Error('a gateway runs on this database; stop it first: it works with the tables as they are')
}

async function linesOf(action: MigrateAction, options: MigrateOptions, config: Config): Promise<string[]> {
  const database = await openDatabase({
    ...(config.databaseUrl === null ? {} : { url: config.databaseUrl }),
    dataDir: config.dataDir,
    log: silentLog,
    atStart: 'stop',
  })
  try {
    return await lines(action, options, database.db)
  } finally {
    await database.close()
  }
}

async function lines(
  action: MigrateAction,
  { steps, force }: MigrateOptions,
  db: Parameters<typeof migrateUp>[0],
): Promise<string[]> {
  switch (action) {
    case 'up': {
      const applied = await migrateUp(db)
      return applied.length === 0 ? [NOTHING_TO_APPLY] : applied.map((name) => `applied ${name}`)
    }
    case 'down': {
      const losses = force === true ? [] : await lostByMigratingDown(db, steps)
      if (losses.length > 0) {
        const lost = losses.map(({ what, rows }) => `${rows} of ${what}`).join(', ')
        throw new Error(`migrate down would lose rows: ${lost}; nothing was changed; add --force to lose them`)
      }
      const taken = await migrateDown(db, steps)
      return taken.length === 0 ? ['nothing to take back'] : taken.map((name) => `took back ${name}`)
    }
    case 'status':
      return (await migrationStatus(db)).map(shown)
  }
}

function shown({ name, state }: { readonly name: string; readonly state: string }): string {
  return `${state.padEnd(8)} ${name}`
}
