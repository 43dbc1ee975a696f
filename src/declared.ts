/**
 * Declared: what this start is told to have: bursar.yaml, the provider keys in the environment, and where nobody names a provider,
 * the simulated one.
 */
import { applyConfigFile } from './control/config-start.ts'
import type { Control } from './control/control.ts'
import { patchProvider } from './control/providers.ts'
import type { ReadConfigFile } from './control/read-config.ts'
import { FILE_ACTOR } from './control/work.ts'
import { providersFromEnvironment } from './providers/registry.ts'
import type { ConfigFile } from './schemas/config-file.ts'
import { type Sim, startSim } from './sim/server.ts'
import type { Provider } from './store/entities.ts'
import type { GovernanceStore } from './store/governance-store.ts'
import type { Log } from './units/log.ts'

type ProviderText = NonNullable<ConfigFile['providers']>[number]

/** The name under which the simulated provider of a first run stands. */
const SIM_PROVIDER = 'sim'
/** How the credential of an environment variable is called among a provider's keys. */
const ENVIRONMENT_KEY = 'environment'

export interface DeclareParts {
  readonly control: Control
  readonly store: GovernanceStore
  readonly file: ReadConfigFile
  readonly env: Readonly<Record<string, string | undefined>>
  readonly dataDir: string
  readonly log: Log
}

/**
 * Makes the books say what this start declares, and starts the simulated provider where nobody names another. Throws `ConfigFileError` with
 * one line for the person who wrote the file.
 */
export async function declare({ control, store, file, env, dataDir, log }: DeclareParts): Promise<Sim | null> {
  const read = withEnvironment(file, env)
  const sim = needsSim(read, store.providers.values()) ? await startSim() : null
  const declared = sim === null ? read : withSim(read, sim.url)
  try {
    const { done, kept } = await applyConfigFile(control, declared, dataDir)
    if (done.length > 0) log.info({ done }, 'configuration applied')
    if (kept.length > 0) log.warn({ kept }, 'not pruned, because something still refers to it')
    for (const provider of undeclared(declared, store.providers.values())) {
      await control.write(FILE_ACTOR, (work) => patchProvider(work, provider.id, { enabled: false }))
      // The simulated one has done its work, which is nothing to warn of.
      if (provider.kind === 'sim') log.info({}, 'the simulated provider is switched off: another one is configured')
      else log.warn({ provider: provider.name }, 'provider switched off: its environment variable is gone')
    }
  } catch (error) {
    await sim?.close()
    throw error
  }
  return sim
}

/** The configuration with the providers of the environment beside the file's own; the file wins where both name one. */
export function withEnvironment(
  read: ReadConfigFile,
  env: Readonly<Record<string, string | undefined>>,
): ReadConfigFile {
  const inFile = read.config.providers ?? []
  const named = new Set(inFile.map(({ name }) => name.toLowerCase()))
  const added = providersFromEnvironment(env)
    .filter(({ name }) => !named.has(name))
    .map(
      ({ name, kind, baseUrl, key }): ProviderText => ({
        name,
        kind,
        base_url: baseUrl,
        enabled: true,
        keys: [{ name: ENVIRONMENT_KEY, value: key }],
      }),
    )
  return { ...read, config: { ...read.config, providers: [...inFile, ...added] } }
}

/** Whether this start needs the simulated provider: nobody, now or before, has named another. */
function needsSim(read: ReadConfigFile, known: Iterable<Provider>): boolean {
  if ((read.config.providers ?? []).length > 0) return false
  return ![...known].some((provider) => provider.enabled && !isFirstRunSim(provider))
}

/** Whether a first run made it, rather than somebody who has called a provider of their own by that name. */
function isFirstRunSim({ name, managedBy, keys }: Provider): boolean {
  return name === SIM_PROVIDER && managedBy === 'file' && keys.every((key) => key.name === ENVIRONMENT_KEY)
}

/** The simulated provider at its address, as one more declaration. */
function withSim(read: ReadConfigFile, url: string): ReadConfigFile {
  const sim: ProviderText = {
    name: SIM_PROVIDER,
    kind: 'sim',
    base_url: url,
    enabled: true,
    keys: [{ name: ENVIRONMENT_KEY, value: 'simulated' }],
  }
  return { ...read, config: { ...read.config, providers: [sim] } }
}

/** Providers that only an earlier start's environment or first run declared: still in the books, to be switched off. */
function undeclared(read: ReadConfigFile, known: Iterable<Provider>): Provider[] {
  const named = new Set((read.config.providers ?? []).map(({ name }) => name.toLowerCase()))
  return [...known].filter(
    ({ name, enabled, managedBy, keys }) =>
      enabled &&
      managedBy === 'file' &&
      !named.has(name.toLowerCase()) &&
      keys.some((key) => key.name === ENVIRONMENT_KEY),
  )
}
