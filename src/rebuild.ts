/** Rebuild: sets the sums in the books to what events and corrections add up to, while no gateway works on them. */
import { Closers } from './closers.ts'
import { readConfig } from './config.ts'
import { rebuiltView } from './control/reports.ts'
import { CLI_ACTOR } from './control/work.ts'
import { readSetup } from './open-admin.ts'
import { DataDirError } from './persist/data-dir.ts'
import type { ConsistencyView } from './schemas/reports.ts'
import { openState } from './state.ts'

/** Throws errors whose messages are lines for the operator. */
export async function applyRebuild(
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Promise<ConsistencyView> {
  const { config, file, log } = await readSetup(readConfig(env, cwd), env)
  const opened = new Closers(log)
  const onFatal = (error: Error) => log.fatal({ err: error }, error.message)
  try {
    const { control } = await openState({ config, file, log, lockWaitMs: 0, onFatal }, opened)
    return await rebuiltView(control.parts, CLI_ACTOR)
  } catch (error) {
    if (!(error instanceof DataDirError) || !error.inUse) throw error
    const message = `${error.message}; stop it first: it would go on from the numbers it has in memory`
    throw new Error(message, { cause: error })
  } finally {
    await opened.close()
  }
}
