/** Unstorable: text that JSON can carry and Postgres cannot keep: NUL characters and halves of surrogate pairs. */
import type { Problem } from './lists.ts'

const PROBLEMS_MAX = 20
const MESSAGE = 'must not contain NUL or half a surrogate pair'

/** Every text inside `value` that could not be stored, keys of objects included, by its path. */
export function unstorableTexts(value: unknown): Problem[] {
  const problems: Problem[] = []
  look(value, '')
  return problems

  function look(part: unknown, path: string): void {
    if (problems.length >= PROBLEMS_MAX) return
    if (typeof part === 'string') {
      if (!isStorable(part)) problems.push({ path, message: MESSAGE })
    } else if (Array.isArray(part)) {
      for (const [index, item] of part.entries()) look(item, `${path}[${index}]`)
    } else if (typeof part === 'object' && part !== null) {
      for (const [name, item] of Object.entries(part)) {
        // A name that cannot be stored cannot be repeated either.
        if (!isStorable(name)) problems.push({ path, message: `has a field whose name ${MESSAGE}` })
        else look(item, path === '' ? name : `${path}.${name}`)
      }
    }
  }
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}
