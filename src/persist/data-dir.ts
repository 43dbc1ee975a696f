/**
 * The data directory: journal, generated secrets, the embedded database. One process at a time: two would ruin the database silently.
 *
 * The lock must end with its holder, whatever ends it. A pid file outlives a SIGKILL and lies across containers (everybody is pid 1),
 * a socket file needs the same guesses, an abstract socket is blind across network namespaces, and Node.js offers no `flock`. SQLite,
 * which is built in, takes a real lock of the operating system (fcntl) on a file: the kernel drops it with the process, and it holds
 * between containers that share a volume. Nothing is stored in that file; `lock-holder` beside it tells people who holds it.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export interface DataDir {
  /** Absolute. */
  readonly path: string
  /** Lets the next process in. Harmless when called twice. */
  release(): void
}

/** Somebody else works in the directory, or it cannot be locked at all; the message is one line for the operator. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError'
  /** Another process holds the lock. */
  readonly inUse: boolean

  constructor(message: string, { inUse = false, ...options }: ErrorOptions & { readonly inUse?: boolean } = {}) {
    super(message, options)
    this.inUse = inUse
  }
}

const SQLITE_BUSY = 5

/** A lock nobody refers to any more would be collected as garbage, and so let go. */
const held = new Set<DatabaseSync>()

/** Creates the directory (0700) if need be and locks it for this process. Throws {@link DataDirError} when it is taken. */
export function openDataDir(path: string): DataDir {
  const directory = resolve(path)
  try {
    makeFolder(directory)
    chmodSync(directory, 0o700)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const accepted = 'write the path of a folder that this user may write to'
    throw new DataDirError(`BURSAR_DATA_DIR: ${directory} cannot be used as data directory: ${reason}; ${accepted}`, {
      cause: error,
    })
  }
  const lock = takeLock(directory)
  writeFileSync(join(directory, 'lock-holder'), `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 })
  held.add(lock)
  return {
    path: directory,
    release() {
      if (held.delete(lock)) lock.close()
    },
  }
}

/** Level by level: Node.js's own recursive mkdir never returns where a parent lets nobody create anything, as below /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) {
    if (!statSync(path).isDirectory()) throw new Error('it is not a folder')
    return
  }
  makeFolder(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

function takeLock(directory: string): DatabaseSync {
  const database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 })
  try {
    // Without this SQLite keeps a second file beside the lock, although nothing is ever written.
    database.exec('pragma journal_mode = memory')
    database.exec('begin exclusive')
    chmodSync(join(directory, 'lock'), 0o600)
    return database
  } catch (error) {
    database.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
      throw new DataDirError(`the data directory ${directory} is in use by ${holderOf(directory)}`, {
        cause: error,
        inUse: true,
      })
    }
    const reason = error instanceof Error ? error.message : String(error)
    throw new DataDirError(`the data directory ${directory} cannot be locked: ${reason}`, { cause: error })
  }
}

function holderOf(directory: string): string {
  try {
    return readFileSync(join(directory, 'lock-holder'), 'utf8').trim()
  } catch {
    return 'another process'
  }
}

/** Reads the secret in `name`, or makes one of 256 random bits on first use. */
export function readOrCreateSecretFile(directory: string, name: string, make = randomSecret): string {
  return readOrCreateFile(directory, name, make)
}

/**
 * Reads the one line in `name`, or makes it (0600) and forces it to the disk: what is encrypted with a secret that a power cut took is
 * lost. Throws {@link DataDirError} when the file is there and empty.
 */
export function readOrCreateFile(directory: string, name: string, make: () => string): string {
  const path = join(directory, name)
  try {
    const line = readFileSync(path, 'utf8').trim()
    if (line === '') throw new DataDirError(`${path} is empty: restore it, or remove it to have a new one made`)
    return line
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const line = make()
  const file = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(file, `${line}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  return line
}

function randomSecret(): string {
  return randomBytes(32).toString('base64url')
}
