/** `bursar migrate`: the SQL migrations against `DATABASE_URL` or the embedded database. */
import process from 'node:process'
import type { Config } from './config.ts'
import { openDataDir } from './persist/data-dir.ts'
import { openDatabase } from './persist/database.ts'
import { lostByMigratingDown, migrateDown, migrateUp, migrationStatus } from './persist/migrator.ts'
import { silentLog } from './units/log.ts'

export const MIGRATE_ACTIONS = ['up', 'down', 'status'] as const
export type MigrateAction = (typeof MIGRATE_ACTIONS)[number]

/** Runs one action and prints what it did, a line per migration. Throws when the database cannot be reached or a file fails. */
export async function migrate(
  action: MigrateAction,
  { steps, force = false }: { steps: number; force?: boolean },
  config: Config,
): Promise<void> {
  // An external Postgres has locks of its own; the embedded database belongs to whoever holds its folder.
  const folder = config.databaseUrl === null ? openDataDir(config.dataDir) : null
  const database = await openDatabase({
    ...(config.databaseUrl === null ? {} : { url: config.databaseUrl }),
    dataDir: config.dataDir,
    log: silentLog,
    atStart: 'stop',
  })
  try {
    for (const line of await lines(action, { steps, force }, database.db)) process.stdout.write(`${line}\n`)
  } finally {
    await database.close()
    folder?.release()
  }
}

async function lines(
  action: MigrateAction,
  { steps, force }: { steps: number; force: boolean },
  db: Parameters<typeof migrateUp>[0],
): Promise<string[]> {
  switch (action) {
    case 'up': {
      const applied = await migrateUp(db)
      return applied.length === 0 ? ['nothing to apply'] : applied.map((name) => `applied ${name}`)
    }
    case 'down': {
      const losses = force ? [] : await lostByMigratingDown(db, steps)
      if (losses.length > 0) {
        const lost = losses.map(({ what, rows }) => `${rows} of ${what}`).join(', ')
        throw new Error(`migrate down would lose rows: ${lost}; nothing was changed; add --force to lose them`)
      }
      const taken = await migrateDown(db, steps)
      return taken.length === 0 ? ['nothing to take back'] : taken.map((name) => `took back ${name}`)
    }
    case 'status':
      return (await migrationStatus(db)).map(({ name, state }) => `${state.padEnd(8)} ${name}`)
  }
}
