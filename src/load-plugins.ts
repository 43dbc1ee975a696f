/**
 * Load plugins: the files and packages that `plugins` in bursar.yaml names. Before anything else is opened, so that one that cannot be used
 * stops the start with nothing half done.
 */
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, extname, isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Ajv, type ErrorObject } from 'ajv'
import addFormats from 'ajv-formats'
import type { ReadConfigFile } from './control/read-config.ts'
import { Problems } from './control/refused.ts'
import { isPluginDefinition, type PluginDefinition } from './define-plugin.ts'
import type { Hooks } from './extension/hooks.ts'
import { ERRORS } from './schemas/errors.ts'
import type { PluginSetting } from './schemas/settings.ts'

export interface LoadedPlugin {
  readonly hooks: Hooks
  readonly options: Readonly<Record<string, unknown>>
  readonly register: NonNullable<PluginDefinition['register']> | null
}

/** `configFile` is the path that theirs are relative to. Throws `ConfigFileError`, one line naming the plugin. */
export async function loadPlugins(file: ReadConfigFile, configFile: string): Promise<LoadedPlugin[]> {
  const loaded: LoadedPlugin[] = []
  for (const [index, setting] of file.settings.plugins.entries()) {
    const problems = new Problems()
    const plugin = await loadPlugin(setting, `plugins[${index}]`, configFile, problems)
    if (plugin !== null && loaded.some(({ hooks }) => hooks.name === plugin.hooks.name)) {
      problems.add(`plugins[${index}].path`, `is a second plugin named "${plugin.hooks.name}"`)
    }
    if (plugin === null || problems.list.length > 0) throw file.explainProblems(problems.list)
    loaded.push(plugin)
  }
  return loaded
}

async function loadPlugin(
  setting: PluginSetting,
  at: string,
  configFile: string,
  problems: Problems,
): Promise<LoadedPlugin | null> {
  const exported = await exportOf(setting.path, configFile, (problem) => problems.add(`${at}.path`, problem))
  if (exported === null) return null
  const { name, refusals = {} } = exported
  const problem = problemOf(exported)
  if (problem !== null) {
    problems.add(`${at}.path`, `"${setting.path}" ${problem}`)
    return null
  }
  const options = structuredClone(setting.options)
  checkOptions(exported, options, at, problems)
  return {
    options,
    register: exported.register ?? null,
    hooks: {
      name,
      refusals,
      timeoutMs: setting.timeoutMs,
      beforeAdmission:
        exported.beforeAdmission === undefined ? null : (asked) => exported.beforeAdmission?.(asked, options),
      afterSettlement:
        exported.afterSettlement === undefined ? null : (event) => exported.afterSettlement?.(event, options),
    },
  }
}

async function exportOf(
  path: string,
  configFile: string,
  complain: (problem: string) => void,
): Promise<PluginDefinition | null> {
  const isFile = path.startsWith('.') || isAbsolute(path)
  const target = isFile ? resolve(dirname(configFile), path) : path
  if (isFile && !existsSync(target)) {
    complain(`names a file that does not exist: ${target}`)
    return null
  }
  let exported: unknown
  try {
    exported = await importFrom(isFile ? pathToFileURL(target).href : target, pathToFileURL(configFile).href)
  } catch (error) {
    complain(`"${path}" could not be loaded: ${firstLine(error)}`)
    return null
  }
  const plugin = typeof exported === 'object' && exported !== null && 'default' in exported ? exported.default : null
  if (isPluginDefinition(plugin)) return plugin
  complain(`"${path}" exports no plugin: its default export must come from definePlugin of "bursar"`)
  return null
}

/** Where `bursar` is, for plugins that lie where it is not installed; it is never a second copy. */
const SELF = new URL(`./index${extname(import.meta.url)}`, import.meta.url).href

/** Imports as a module at `parent` would. */
async function importFrom(specifier: string, parent: string): Promise<unknown> {
  const hooks = registerHooks({
    resolve(asked, context, next) {
      if (asked === 'bursar') return { url: SELF, shortCircuit: true }
      const own = asked === specifier && context.parentURL === import.meta.url
      return next(asked, own ? { ...context, parentURL: parent } : context)
    },
  })
  try {
    return await import(specifier)
  } finally {
    hooks.deregister()
  }
}

const CODE = /^[a-z][a-z0-9_]{1,63}$/

/** Plugins may be JavaScript: what the types say is looked at once more. */
function problemOf({ name, refusals = {}, ...rest }: PluginDefinition): string | null {
  if (typeof name !== 'string' || !/^[\w.@/-]{1,64}$/.test(name))
    return 'has no name of 1 to 64 letters, digits, . _ - @ /'
  for (const [code, status] of Object.entries(refusals)) {
    if (!CODE.test(code)) return `declares the refusal "${code}"; write lower-case letters, digits and _`
    if (Object.hasOwn(ERRORS, code)) return `declares the refusal "${code}", which is Bursar's own`
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      return `declares the refusal "${code}" with the status ${status}; write one from 400 to 599`
    }
  }
  for (const hook of ['beforeAdmission', 'afterSettlement', 'register'] as const) {
    if (rest[hook] !== undefined && typeof rest[hook] !== 'function') return `has a ${hook} that is not a function`
  }
  return null
}

/** Fills in the schema's defaults. */
function checkOptions(
  { optionsSchema }: PluginDefinition,
  options: Record<string, unknown>,
  at: string,
  problems: Problems,
): void {
  if (optionsSchema === undefined) {
    for (const name of Object.keys(options)) problems.add(`${at}.options.${name}`, 'is not an option: it takes none')
    return
  }
  // Whatever version of whatever library has made it, it is a JSON schema.
  const ajv = new Ajv({ strict: false, useDefaults: true, allErrors: true })
  addFormats.default(ajv)
  let fits: ReturnType<Ajv['compile']>
  try {
    fits = ajv.compile(optionsSchema)
  } catch (error) {
    problems.add(`${at}.path`, `has an optionsSchema that is no JSON schema: ${firstLine(error)}`)
    return
  }
  if (fits(options)) return
  for (const error of fits.errors ?? []) problems.add(...placed(error, `${at}.options`))
}

function placed(
  { instancePath, keyword, params, message = 'does not fit' }: ErrorObject,
  at: string,
): [string, string] {
  const path = instancePath.split('/').slice(1).reduce(below, at)
  if (keyword === 'required') return [below(path, String(params.missingProperty)), 'is missing']
  if (keyword === 'additionalProperties')
    return [below(path, String(params.additionalProperty)), 'is not a known option']
  return [path, message]
}

function below(path: string, part: string): string {
  return /^\d+$/.test(part) ? `${path}[${part}]` : `${path}.${part.replaceAll('~1', '/').replaceAll('~0', '~')}`
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
}
