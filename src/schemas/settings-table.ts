/** Settings table: the settings of bursar.yaml for people, made from their schema. */
import { SettingsFields } from './settings-text.ts'

interface Schema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
}

const START = '<!-- settings: written by scripts/settings-table.ts -->\n'
const END = '<!-- end of settings -->\n'

/** The README with the table in its place. Throws where it has no place. */
export function withSettingsTable(readme: string): string {
  const from = readme.indexOf(START)
  const to = readme.indexOf(END)
  if (from < 0 || to < from) throw new Error(`the README has no lines ${START.trim()} and ${END.trim()}`)
  return readme.slice(0, from + START.length) + table() + readme.slice(to)
}

function table(): string {
  // As anybody's schema: what is read here TypeBox's types keep to themselves.
  const rows = Object.entries(SettingsFields as unknown as Record<string, Schema>).flatMap(([name, schema]) =>
    rowsOf(name, schema),
  )
  const lines = rows.map(({ name, standard, meaning }) => `| \`${name}\` | ${standard} | ${meaning} |`)
  return `\n| setting | default | meaning |\n| --- | --- | --- |\n${lines.join('\n')}\n\n`
}

interface Row {
  readonly name: string
  readonly standard: string
  readonly meaning: string
}

/** A group is told by what is in it. */
function rowsOf(name: string, schema: Schema): Row[] {
  const { properties, description = '' } = schema
  if (schema.type === 'object' && properties !== undefined) {
    return Object.entries(properties).flatMap(([field, of]) => rowsOf(`${name}.${field}`, of))
  }
  const standard =
    schema.default === undefined ? 'none' : `\`${JSON.stringify(schema.default).replaceAll('|', '\\|')}\``
  const words = schema.enum ?? []
  const meaning = `${description}${words.length === 0 ? '' : ` One of ${words.map((word) => `\`${word}\``).join(', ')}.`}`
  return [{ name, standard, meaning: meaning.replaceAll('|', '\\|') }]
}
