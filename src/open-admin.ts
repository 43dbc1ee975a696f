/**
 * Open admin: finds the admin API that a command should use (CONTRACT section 1): where BURSAR_ADMIN_URL says, else that of the gateway
 * which holds the data directory, else one in this process.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AdminCallError, type AdminClient, call } from './commands/admin-client.ts'
import { remoteAdmin } from './commands/remote-admin.ts'
import { type Config, readConfig } from './config.ts'
import { readConfigOf } from './control/config-start.ts'
import { ControlError } from './control/refused.ts'
import { withEnvironment } from './declared.ts'
import { type LocalAdminOptions, localAdmin } from './local-admin.ts'
import { createLog } from './log.ts'
import { DataDirError } from './persist/data-dir.ts'
import type { ConfigDifferences } from './schemas/config-file.ts'
import { announcedAdmin } from './state.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface OpenedAdmin {
  readonly client: AdminClient
  /** Whether a gateway runs on these books. */
  readonly running: boolean
}

/** Throws errors whose messages are lines for the person at the terminal. */
export async function openAdmin(env: Environment, cwd: string): Promise<OpenedAdmin> {
  const config = readConfig(env, cwd)
  const named = namedAdmin(env, config)
  if (named !== null) return { client: named, running: true }
  try {
    return { client: await localAdmin(await readSetup(config, env)), running: false }
  } catch (error) {
    return { client: holdersAdmin(error, config), running: true }
  }
}

/** The admin API that BURSAR_ADMIN_URL names; null where it is not set. */
export function namedAdmin(env: Environment, config: Config): AdminClient | null {
  const url = env.BURSAR_ADMIN_URL
  return url === undefined || url === '' ? null : remoteAdmin(webAddress(url), keyOf(config))
}

/** The admin API of the gateway that holds the data directory, as the error of opening it says; any other error is thrown again. */
export function holdersAdmin(error: unknown, config: Config): AdminClient {
  if (!(error instanceof DataDirError) || !error.inUse) throw error
  const announced = announcedAdmin(config.dataDir)
  if (announced === null) throw new Error(`${error.message}, which has no admin API yet; try again shortly`)
  return remoteAdmin(announced, keyOf(config))
}

/** What a command reads beside the environment. It speaks on standard output; only what is wrong belongs in the log. */
export async function readSetup(config: Config, env: Environment): Promise<LocalAdminOptions> {
  const { configFile: path } = config
  const file = await readConfigOf(path, env)
  return { config, file, log: createLog(env.BURSAR_LOG_LEVEL === undefined ? 'warn' : config.logLevel) }
}

function webAddress(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text
  throw new Error(`BURSAR_ADMIN_URL="${text}": not a web address; write one such as http://127.0.0.1:8081`)
}

function keyOf(config: Config): string {
  const path = join(config.dataDir, 'admin-key')
  if (config.adminKey !== null) return config.adminKey
  if (existsSync(path)) return readFileSync(path, 'utf8').trim()
  throw new Error(`BURSAR_ADMIN_KEY: set it to a management key (there is none in ${config.dataDir})`)
}

/** What a start would change, asked of the admin API. A problem of the file is told with its line. */
export async function dryRun(env: Environment, cwd: string): Promise<ConfigDifferences> {
  const { file } = await readSetup(readConfig(env, cwd), env)
  const { client } = await openAdmin(env, cwd)
  try {
    return await call<ConfigDifferences>(client, 'POST', '/config/dry-run', withEnvironment(file, env).config)
  } catch (error) {
    if (!(error instanceof AdminCallError) || error.problems.length === 0) throw error
    const { message, problems } = error
    throw file.explain(new ControlError({ code: 'invalid_request', message, details: problems }))
  } finally {
    await client.close()
  }
}
