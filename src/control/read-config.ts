/**
 * Read config: bursar.yaml from text to values. Whatever is wrong comes out as one line: file, line, column, path, problem and the
 * accepted form.
 */
import { isCollection, isMap, isNode, isPair, LineCounter, type Node, parseDocument, visit } from 'yaml'
import { ConfigFile } from '../schemas/config-file.ts'
import type { Problem } from '../schemas/lists.ts'
import { problemsOf } from '../schemas/problems.ts'
import { type Settings, settingsOf } from '../schemas/settings.ts'
import { USER_KINDS } from '../store/entities.ts'
import { readLimit } from './limit-text.ts'
import { type ControlError, Problems } from './refused.ts'

/** What stops a start: one line for the person who wrote the file. */
export class ConfigFileError extends Error {
  override readonly name = 'ConfigFileError'
}

export interface ReadConfigFile {
  readonly config: ConfigFile
  readonly settings: Settings
  /** The one line for a problem that applying the file has found. */
  explain(error: ControlError): ConfigFileError
  /** The same for the first of these. */
  explainProblems(problems: readonly Problem[]): ConfigFileError
}

type Environment = Readonly<Record<string, string | undefined>>

/** `name` is how the file is called in messages. Throws {@link ConfigFileError}. */
export function readConfigFile(name: string, text: string, env: Environment): ReadConfigFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${name}:${line}:${col}`
  }
  const [slip] = [...document.errors, ...document.warnings]
  if (slip !== undefined) throw new ConfigFileError(`${place(slip.pos[0])}: ${slip.message.replaceAll('\n', ' ')}`)
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string') return
      node.value = substituted(node.value, env, (problem) => `${place(node.range?.[0] ?? 0)}: ${problem}`)
    },
  })
  const explain = (problems: readonly Problem[], fallback: string) => {
    const [first] = problems
    if (first === undefined) return new ConfigFileError(`${name}: ${fallback}`)
    const at = place(offsetOf(document.contents, first.path))
    return new ConfigFileError(`${at}: ${first.path === '' ? '' : `${first.path} `}${first.message}`)
  }
  const config: unknown = document.toJS() ?? {}
  if (!isConfigFile(config)) throw explain(problemsOf(ConfigFile, config), 'cannot be read')
  const settings = settingsOf(config)
  const problems = problemsOfDefaults(config, settings)
  if (problems !== null) throw explain(problems, 'cannot be read')
  return {
    config,
    settings,
    explainProblems: (found) => explain(found, 'cannot be used'),
    explain: ({ refusal }) => explain(isProblems(refusal.details) ? refusal.details : [], refusal.message),
  }
}

function isConfigFile(value: unknown): value is ConfigFile {
  return problemsOf(ConfigFile, value).length === 0
}

function isProblems(details: unknown): details is Problem[] {
  return Array.isArray(details) && details.length > 0
}

function substituted(text: string, env: Environment, complaint: (problem: string) => string): string {
  return text.replaceAll(/\$\{([^}]*)\}/g, (_, variable: string) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
      throw new ConfigFileError(
        complaint(`"\${${variable}}" is not a variable; write \${NAME} with letters, digits and _`),
      )
    }
    const value = env[variable]
    if (value === undefined)
      throw new ConfigFileError(
        complaint(`the environment variable ${variable} is not set; set it, or write the value itself`),
      )
    return value
  })
}

/** The limits of new users are needed later, but a slip in them must stop the start, not the first new user (U12). */
function problemsOfDefaults(config: ConfigFile, { modelFamilies }: Settings): Problem[] | null {
  const problems = new Problems()
  for (const kind of USER_KINDS) {
    for (const [index, limit] of (config.user_defaults?.[kind]?.limits ?? []).entries()) {
      readLimit(limit, { modelFamilies, anchor: 0 }, `user_defaults.${kind}.limits[${index}]`, problems)
    }
  }
  return problems.list.length === 0 ? null : problems.list
}

/** Where the value of a path begins; where it is absent, what should hold it. Keys may hold dots, so the nodes lead the way. */
function offsetOf(root: Node | null, path: string): number {
  let node: unknown = root
  let offset = root?.range?.[0] ?? 0
  let rest = path
  while (rest !== '' && isCollection(node)) {
    const step = stepInto(node, rest)
    if (step === null) break
    offset = step.offset
    node = step.node
    rest = step.rest
  }
  return offset
}

function stepInto(node: unknown, path: string): { node: unknown; offset: number; rest: string } | null {
  if (isMap(node)) {
    const names = node.items
      .filter((item) => isPair(item) && isNode(item.key))
      .map((item) => ({ name: String(item.key), pair: item }))
      .filter(({ name }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`))
      .sort((a, b) => b.name.length - a.name.length)
    const [found] = names
    if (found === undefined) return null
    const { key, value } = found.pair
    const shown = isNode(value) && value.range ? value : key
    const rest = path.slice(found.name.length).replace(/^\./, '')
    return { node: value, offset: isNode(shown) ? (shown.range?.[0] ?? 0) : 0, rest }
  }
  const index = /^\[(\d+)\]\.?/.exec(path)
  if (index === null || !isCollection(node)) return null
  const item: unknown = node.items[Number(index[1])]
  return isNode(item) ? { node: item, offset: item.range?.[0] ?? 0, rest: path.slice(index[0].length) } : null
}
