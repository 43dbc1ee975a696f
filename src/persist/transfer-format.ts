/**
 * Transfer format: an export as one JSON document, with one row on each line, so that it can be read and written row by row however large it is.
 *
 *     {"bursar_export":1,"schema":"0006_imports",…,
 *     "customers":[
 *     {…},
 *     {…}
 *     ],
 *     …
 *     "rows":1234}
 *
 * The last line counts the rows: a file that was cut off is known by its absence.
 */

/** The tables that go along, in the order in which their rows refer to each other. */
export const TRANSFERRED = [
  'customers',
  'teams',
  'users',
  'user_ips',
  'virtual_keys',
  'providers',
  'provider_keys',
  'prices',
  'limits',
  'management_keys',
  'limit_usage',
  'limit_closed',
  'usage_hourly',
  'stored_objects',
] as const
export type Transferred = (typeof TRANSFERRED)[number]

const FORMAT = 1

export interface TransferHeader {
  /** The newest migration of the database it was written from. */
  readonly schema: string
  /** Salt of the key that provider credentials are encrypted with. */
  readonly secretSalt: string
  readonly exportedAt: string
}

/** A file that cannot be imported; the message is one line, with its line number where there is one. */
export class TransferError extends Error {
  override readonly name = 'TransferError'
}

export function headLine({ schema, secretSalt, exportedAt }: TransferHeader): string {
  const head = { bursar_export: FORMAT, schema, exported_at: exportedAt, secret_salt: secretSalt }
  return `${JSON.stringify(head).slice(0, -1)},\n`
}

export function sectionStart(table: Transferred): string {
  return `"${table}":[\n`
}

/** A section's rows end with one without a comma. */
export const SECTION_END = '],\n'

export function lastLine(rows: number): string {
  return `"rows":${rows}}\n`
}

/** What a line of a file is. */
export type TransferLine =
  | { readonly kind: 'section'; readonly table: Transferred }
  | { readonly kind: 'row'; readonly json: string }
  | { readonly kind: 'section-end' }
  | { readonly kind: 'end'; readonly rows: number }

export function readHead(line: string): TransferHeader {
  const head = parsed(`${line.replace(/,\s*$/, '')}}`)
  if (typeof head !== 'object' || head === null || !('bursar_export' in head)) {
    throw new TransferError('line 1: this is no export of Bursar')
  }
  const {
    bursar_export: format,
    schema,
    secret_salt: secretSalt,
    exported_at: exportedAt,
  } = head as Record<string, unknown>
  if (format !== FORMAT)
    throw new TransferError(`line 1: written in form ${String(format)}, and this program reads ${FORMAT}`)
  if (typeof schema !== 'string' || typeof secretSalt !== 'string' || typeof exportedAt !== 'string') {
    throw new TransferError('line 1: the head is not whole')
  }
  return { schema, secretSalt, exportedAt }
}

export function readLine(text: string, number: number): TransferLine {
  const line = text.trim()
  const [, table] = /^"(\w+)":\[$/.exec(line) ?? []
  if (table !== undefined) {
    const known = TRANSFERRED.find((name) => name === table)
    if (known === undefined) throw new TransferError(`line ${number}: there is nothing called "${table}"`)
    return { kind: 'section', table: known }
  }
  if (line === '],') return { kind: 'section-end' }
  const [, rows] = /^"rows":(\d{1,15})\}$/.exec(line) ?? []
  if (rows !== undefined) return { kind: 'end', rows: Number(rows) }
  const json = line.replace(/,$/, '')
  if (!json.startsWith('{') || typeof parsed(json) !== 'object') {
    throw new TransferError(`line ${number}: not a row; give the file as the export wrote it, one row on each line`)
  }
  return { kind: 'row', json }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
