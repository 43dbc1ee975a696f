/**
 * Config: environment variables → one typed value (CONTRACT section 2). A bad value stops the start with one line that says what to
 * write instead; names nobody knows are refused, because a misspelt one would otherwise be a setting that never took effect.
 */
import { existsSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { Cron } from 'croner'
import ipaddr from 'ipaddr.js'

export interface Listener {
  readonly host: string
  readonly port: number
}

export interface Config {
  readonly gateway: Listener
  readonly admin: Listener
  /** null = the embedded database. */
  readonly databaseUrl: string | null
  readonly dataDir: string
  /** Path of bursar.yaml; null where there is none. */
  readonly configFile: string | null
  /** null = the one in the data directory, generated on the first start. */
  readonly adminKey: string | null
  readonly secret: string | null
  readonly dumpCron: string
  readonly logLevel: string
  /** CIDR list. */
  readonly trustedProxies: readonly string[]
  readonly metricsOpen: boolean
  /** Things worth telling the operator once the log is there. */
  readonly warnings: readonly string[]
}

/** What stops a start: one line for the person who wrote the value. */
class ConfigError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ConfigError'
  }
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
const KNOWN = new Set([
  'BURSAR_HOST',
  'BURSAR_PORT',
  'BURSAR_ADMIN_HOST',
  'BURSAR_ADMIN_PORT',
  'BURSAR_DATA_DIR',
  'BURSAR_CONFIG',
  'BURSAR_ADMIN_KEY',
  'BURSAR_ADMIN_URL',
  'BURSAR_SECRET',
  'BURSAR_DUMP_CRON',
  'BURSAR_LOG_LEVEL',
  'BURSAR_TRUSTED_PROXIES',
  'BURSAR_METRICS_OPEN',
])
/** What Kubernetes sets in every pod for a Service named `bursar`. */
const KUBERNETES = /^BURSAR_(SERVICE|PORT)_/
const ADMIN_KEY_LENGTH_MIN = 20

type Environment = Readonly<Record<string, string | undefined>>

/** Reads the environment. Throws {@link ConfigError} with one line naming the variable, what is wrong, and the accepted form. */
export function readConfig(env: Environment, cwd: string): Config {
  const warnings: string[] = []
  const ignored = refuseUnknown(env)
  const port = env.BURSAR_PORT
  const injected = port?.startsWith('tcp://') === true
  if (injected) ignored.push('BURSAR_PORT')
  if (ignored.length > 0) {
    warnings.push(`ignored variables that Kubernetes sets for a Service named bursar: ${ignored.join(', ')}`)
  }
  const file = variable(env, 'BURSAR_CONFIG')
  const configFile = resolve(cwd, file ?? 'bursar.yaml')
  if (file !== null && !existsSync(configFile))
    throw bad('BURSAR_CONFIG', file, 'there is no such file', 'the path of a bursar.yaml')
  if (file !== null && statSync(configFile).isDirectory())
    throw bad('BURSAR_CONFIG', file, 'that is a folder', 'the path of a bursar.yaml')
  return {
    gateway: { host: host(env, 'BURSAR_HOST'), port: portOf(injected ? {} : env, 'BURSAR_PORT', 8080) },
    admin: { host: host(env, 'BURSAR_ADMIN_HOST'), port: portOf(env, 'BURSAR_ADMIN_PORT', 8081) },
    databaseUrl: databaseUrl(env),
    dataDir: resolve(cwd, variable(env, 'BURSAR_DATA_DIR') ?? 'data'),
    configFile: existsSync(configFile) ? configFile : null,
    adminKey: adminKey(env),
    secret: secret(env),
    dumpCron: dumpCron(env),
    logLevel: oneOf(env, 'BURSAR_LOG_LEVEL', LOG_LEVELS, 'info'),
    trustedProxies: trustedProxies(env),
    metricsOpen: oneOf(env, 'BURSAR_METRICS_OPEN', ['0', '1'], '0') === '1',
    warnings,
  }
}

function refuseUnknown(env: Environment): string[] {
  const ignored: string[] = []
  for (const name of Object.keys(env)) {
    if (!name.startsWith('BURSAR_') || KNOWN.has(name)) continue
    if (KUBERNETES.test(name)) ignored.push(name)
    else throw new ConfigError(`${name} is not a variable of Bursar; known are ${[...KNOWN].join(', ')}`)
  }
  return ignored
}

function bad(name: string, value: string, problem: string, accepted: string): ConfigError {
  return new ConfigError(`${name}="${value}": ${problem}; write ${accepted}`)
}

/** An empty variable is an absent one, as compose files and shells leave them. */
function variable(env: Environment, name: string): string | null {
  const value = env[name]
  return value === undefined || value === '' ? null : value
}

function host(env: Environment, name: string): string {
  const value = variable(env, name) ?? 'localhost'
  // One address, whatever the machine's resolver makes of the name: a second listener would be one nobody drains.
  if (value === 'localhost') return '127.0.0.1'
  if (isIP(value) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(value)) return value
  throw bad(name, value, 'not an address or host name', 'an address such as 127.0.0.1 or 0.0.0.0')
}

function portOf(env: Environment, name: string, standard: number): number {
  const value = variable(env, name)
  if (value === null) return standard
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw bad(name, value, 'not a port', 'a number from 0 to 65535')
}

function databaseUrl(env: Environment): string | null {
  const value = variable(env, 'DATABASE_URL')
  if (value === null) return null
  if (URL.canParse(value) && /^postgres(ql)?:$/.test(new URL(value).protocol)) return value
  // The value may carry a password, so it is not repeated.
  throw new ConfigError('DATABASE_URL: not a Postgres address; write postgres://user:password@host:5432/database')
}

function adminKey(env: Environment): string | null {
  const value = variable(env, 'BURSAR_ADMIN_KEY')
  if (value === null || (value.length >= ADMIN_KEY_LENGTH_MIN && /^[\x21-\x7e]+$/.test(value))) return value
  throw new ConfigError(
    `BURSAR_ADMIN_KEY: too short or with blanks; write at least ${ADMIN_KEY_LENGTH_MIN} printable characters`,
  )
}

function secret(env: Environment): string | null {
  const value = variable(env, 'BURSAR_SECRET')
  if (value === null || value.length >= 16) return value
  throw new ConfigError('BURSAR_SECRET: too short; write at least 16 characters, for example of `openssl rand -hex 32`')
}

function dumpCron(env: Environment): string {
  const value = variable(env, 'BURSAR_DUMP_CRON') ?? '*/10 * * * * *'
  try {
    if (new Cron(value, { paused: true }).nextRun() !== null) return value
  } catch (error) {
    throw bad(
      'BURSAR_DUMP_CRON',
      value,
      `not a cron expression (${(error as Error).message.replace(/\.$/, '')})`,
      'a cron expression such as */10 * * * * *',
    )
  }
  throw bad('BURSAR_DUMP_CRON', value, 'it never fires', 'a cron expression such as */10 * * * * *')
}

function trustedProxies(env: Environment): string[] {
  const value = variable(env, 'BURSAR_TRUSTED_PROXIES')
  if (value === null) return []
  const ranges = value.split(',').map((range) => range.trim())
  for (const range of ranges) {
    if (!ipaddr.isValid(range) && !ipaddr.isValidCIDR(range)) {
      throw bad(
        'BURSAR_TRUSTED_PROXIES',
        value,
        `"${range}" is not an address range`,
        'a list such as 10.0.0.0/8, ::1/128',
      )
    }
  }
  return ranges
}

function oneOf(env: Environment, name: string, accepted: readonly string[], standard: string): string {
  const value = variable(env, name) ?? standard
  if (accepted.includes(value)) return value
  throw bad(name, value, 'not one of the accepted values', `one of ${accepted.join(', ')}`)
}
