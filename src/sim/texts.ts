/** The four ways OpenAI's format writes "some texts": a text, texts, token ids, lists of token ids. */
import { Refused } from './errors.ts'
import { at } from './json.ts'

const TEXTS_MAX = 2048

type Texts = readonly (string | readonly number[])[]

/** The texts in a field, at least one; throws `Refused` (400) when it holds anything else. */
export function readTexts(body: unknown, field: string): Texts {
  const value = at(body, field)
  if (typeof value === 'string') return [value]
  const items: readonly unknown[] = Array.isArray(value) ? value : []
  if (items.length > 0 && items.length <= TEXTS_MAX) {
    if (items.every((item) => typeof item === 'string')) return items
    if (items.every(isTokens)) return items
  }
  if (isTokens(items)) return [items]
  throw new Refused(400, `'${field}' must be a string, or an array of 1 to ${TEXTS_MAX} strings or tokens.`, {
    param: field,
  })
}

function isTokens(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((token) => Number.isInteger(token))
}
