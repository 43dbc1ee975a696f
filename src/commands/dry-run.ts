/** `bursar serve --dry-run`: what bursar.yaml and the environment would change at a start. */
import type { ConfigDifferences } from '../schemas/config-file.ts'
import { json, type Print } from './output.ts'

export function reportChanges(
  { changes, kept }: ConfigDifferences,
  options: { readonly json?: boolean | undefined },
  print: Print,
): void {
  if (options.json === true) {
    print(json({ changes, kept }))
    return
  }
  if (changes.length === 0) print('nothing would change\n')
  for (const { action, name, fields } of changes) {
    print(`${action} ${name ?? ''}`.trimEnd())
    // What is new or goes is told by its name; an edit by what it edits.
    const isEdit = !/\.(create|delete)$/.test(action)
    print(
      isEdit
        ? `: ${fields.map(({ field, before, after }) => `${field} ${shown(before)} → ${shown(after)}`).join(', ')}\n`
        : '\n',
    )
  }
  for (const reason of kept) print(`not pruned: ${reason}\n`)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
