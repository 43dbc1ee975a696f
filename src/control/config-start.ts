/**
 * Config start: reads bursar.yaml from disk and applies it. The two halves are apart, because settings are needed before there is a
 * database.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Applied, applyConfig, type KeyWriter } from './apply-config.ts'
import type { Control } from './control.ts'
import { ConfigFileError, type ReadConfigFile, readConfigFile } from './read-config.ts'
import { ControlError } from './refused.ts'

/** bursar.yaml, or what an empty one means where there is none. Throws {@link ConfigFileError}, one line. */
export async function readConfigOf(
  path: string | null,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ReadConfigFile> {
  return path === null ? readConfigFile('bursar.yaml', '', env) : loadConfigFile(path, env)
}

/** Throws {@link ConfigFileError}, one line. */
async function loadConfigFile(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ReadConfigFile> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigFileError(`${path}: cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return readConfigFile(basename(path), text, env)
}

/** Applies what was read; generated keys go to `keys/<name>` in the data directory. Throws {@link ConfigFileError}, one line. */
export async function applyConfigFile(control: Control, read: ReadConfigFile, dataDir: string): Promise<Applied> {
  try {
    return await applyConfig(control, read.config, keyFiles(join(dataDir, 'keys')))
  } catch (error) {
    if (error instanceof ControlError && error.refusal.code !== 'database_unavailable') throw read.explain(error)
    throw error
  }
}

/** One file a key, readable by its owner alone. */
function keyFiles(directory: string): KeyWriter {
  return async (name, key) => {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, fileNameOf(name))
    await writeFile(file, `${key}\n`, { mode: 0o600 })
    // The mode above holds for new files only.
    await chmod(file, 0o600)
  }
}

/** Names may hold anything printable; what a path would read differently is escaped. */
export function fileNameOf(name: string): string {
  return encodeURIComponent(name).replace(/^\./, '%2E')
}
