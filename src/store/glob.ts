/**
 * Globs of model names and providers: `*` stands for any run of characters, everything else for itself.
 *
 * Made by hand, because the pattern comes from an admin and the text from a stranger: `*a*a*a*b` as a regular expression takes
 * time that grows with a power of the text's length. Here the parts between stars are looked for from left to right, each by
 * Knuth, Morris and Pratt, so that no character is read more than twice: linear in pattern plus text, whatever they are.
 */

/** Whether the pattern has a star, that is, whether it can match more than itself. */
export function isGlob(pattern: string): boolean {
  return pattern.includes('*')
}

/** Whether the pattern matches the whole text. Case matters: callers that ignore it fold both sides first. */
export function matchGlob(pattern: string, text: string): boolean {
  return compileGlob(pattern)(text)
}

/** {@link matchGlob} with the pattern's part of the work done in advance. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  if (parts.length === 1) return (text) => text === first
  const last = parts[parts.length - 1] ?? ''
  const middle = parts.slice(1, -1).filter((part) => part !== '')
  const finders = middle.map(finderOf)

  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let from = first.length
    for (const find of finders) {
      from = find(text, from, end)
      if (from < 0) return false
    }
    return true
  }
}

/** Gives the position after the first occurrence of the part within `[from, end)`, or -1. */
type Finder = (text: string, from: number, end: number) => number

function finderOf(part: string): Finder {
  const fallback = fallbacksOf(part)
  return (text, from, end) => {
    let matched = 0
    for (let at = from; at < end; at += 1) {
      const code = text.charCodeAt(at)
      while (matched > 0 && part.charCodeAt(matched) !== code) matched = fallback[matched - 1] ?? 0
      if (part.charCodeAt(matched) === code) matched += 1
      if (matched === part.length) return at + 1
    }
    return -1
  }
}

/** For each prefix of the part: the length of its longest proper prefix that is also its suffix. */
function fallbacksOf(part: string): readonly number[] {
  const fallback = [0]
  let matched = 0
  for (let at = 1; at < part.length; at += 1) {
    const code = part.charCodeAt(at)
    while (matched > 0 && part.charCodeAt(matched) !== code) matched = fallback[matched - 1] ?? 0
    if (part.charCodeAt(matched) === code) matched += 1
    fallback.push(matched)
  }
  return fallback
}
