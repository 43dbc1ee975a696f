/**
 * Unstorable: what JSON can carry and Postgres cannot keep as it was said: NUL characters and halves of surrogate pairs, numbers beyond
 * what a double holds, and nesting without end.
 */
import type { Problem } from './lists.ts'

const PROBLEMS_MAX = 20
/** Far more than anybody means, and far less than the stack of whoever reads it later. */
const DEPTH_MAX = 64
const TEXT = 'must not contain NUL or half a surrogate pair'

/** Everything inside `value` that could not be stored, names of fields included, by its path. */
export function unstorableParts(value: unknown): Problem[] {
  const problems: Problem[] = []
  look(value, '', 0)
  return problems

  function look(part: unknown, path: string, depth: number): void {
    if (problems.length >= PROBLEMS_MAX) return
    if (typeof part === 'string') {
      if (!isStorable(part)) problems.push({ path, message: TEXT })
    } else if (typeof part === 'number') {
      // JSON.parse makes Infinity of 1e400, and JSON.stringify makes null of that.
      if (!Number.isFinite(part)) problems.push({ path, message: 'is a number that is too large' })
    } else if (typeof part === 'object' && part !== null) {
      if (depth === DEPTH_MAX) problems.push({ path, message: `is nested deeper than ${DEPTH_MAX} levels` })
      else lookInside(part, path, depth + 1)
    }
  }

  function lookInside(part: object, path: string, depth: number): void {
    if (Array.isArray(part)) {
      for (const [index, item] of part.entries()) look(item, `${path}[${index}]`, depth)
      return
    }
    for (const [name, item] of Object.entries(part)) {
      // A name that cannot be stored cannot be repeated either.
      if (!isStorable(name)) problems.push({ path, message: `has a field whose name ${TEXT}` })
      else look(item, path === '' ? name : `${path}.${name}`, depth)
    }
  }
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}
