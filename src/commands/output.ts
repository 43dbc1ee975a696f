/** Output: tables for people, JSON for scripts. */

/** Where a command writes what it has to say. */
export type Print = (text: string) => void

/** Rows under their names, as wide as they need to be; `none` where there is none. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[], none = 'none'): string {
  if (rows.length === 0) return `${none}\n`
  const widths = columns.map((column, at) => Math.max(column.length, ...rows.map((row) => (row[at] ?? '').length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return `${[columns, ...rows].map(line).join('\n')}\n`
}

/** A value for scripts. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
