/**
 * Part headers: what the headers of one part of a form say of it, or that they can be read in two ways.
 */

export interface Disposition {
  readonly name: string
  /** It has a file's name. */
  readonly isFile: boolean
  /** It is no file, and nothing says that its bytes are to be taken for anything but UTF-8. */
  readonly isText: boolean
}

type Line = readonly [name: string, value: string]

const LINE = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/
const LINES_MAX = 16
/** Bytes of UTF-8 may stand in a file's name; control characters nowhere. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/

/** The headers of a part, names in lower case; null where a line is none, is folded, or its name was there before. */
export function linesOf(text: string): readonly Line[] | null {
  const lines: Line[] = []
  for (const line of text.split('\r\n')) {
    const [, name, value] = LINE.exec(line) ?? []
    if (name === undefined || value === undefined || CONTROL.test(line) || lines.length === LINES_MAX) return null
    const lowerCase = name.toLowerCase()
    if (lines.some(([known]) => known === lowerCase)) return null
    lines.push([lowerCase, value])
  }
  return lines
}

const FORM_DATA = /^form-data(?=\s*;)/i
/** One parameter: a plain name, or a quoted text in which nothing is escaped. */
const PARAMETER = /\s*;\s*([\w*-]+)=(?:"([^"\\]*)"|([^\s";\\]+))/y
/** Names of fields that every parser reads alike. */
const PLAIN_NAME = /^[\w.[\]-]{1,128}$/

/** What a part is; null where that can be read in two ways. */
export function dispositionOf(lines: readonly Line[]): Disposition | null {
  const value = headerOf(lines, 'content-disposition')
  if (value === null || !FORM_DATA.test(value)) return null
  const parameters = parametersOf(value.slice('form-data'.length))
  const name = parameters?.get('name')
  if (parameters === null || name === undefined || !PLAIN_NAME.test(name) || name === '_charset_') return null
  if ([...parameters.keys()].some((known) => !['name', 'filename', 'filename*'].includes(known))) return null
  // Decoded by some and passed on by others.
  const encoding = headerOf(lines, 'content-transfer-encoding')
  if (encoding !== null && !/^(7bit|8bit|binary)$/i.test(encoding)) return null
  const isFile = parameters.has('filename') || parameters.has('filename*')
  const type = headerOf(lines, 'content-type')
  return { name, isFile, isText: !isFile && (type === null || /^text\/plain(\s*;\s*charset="?utf-8"?)?$/i.test(type)) }
}

function parametersOf(text: string): ReadonlyMap<string, string> | null {
  const parameters = new Map<string, string>()
  PARAMETER.lastIndex = 0
  while (PARAMETER.lastIndex < text.length) {
    const match = PARAMETER.exec(text)
    if (match === null) return null
    const [, name = '', quoted, plain] = match
    const lowerCase = name.toLowerCase()
    if (parameters.has(lowerCase)) return null
    parameters.set(lowerCase, quoted ?? plain ?? '')
  }
  return parameters
}

function headerOf(lines: readonly Line[], name: string): string | null {
  return lines.find(([known]) => known === name)?.[1] ?? null
}
