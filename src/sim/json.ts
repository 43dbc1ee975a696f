/** Reading parsed JSON that strangers wrote: nothing is assumed of a value until it has been looked at. */
import { isObject, type JsonObject } from '../units/json-object.ts'
import { Refused } from './errors.ts'

export { isObject, type JsonObject }

/** The value at a path of keys, undefined where any step is missing. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value
  for (const key of path) {
    if (!isObject(here)) return undefined
    here = here[key]
  }
  return here
}

/** Parses a request body that must be a JSON object; throws `Refused` (400) else. */
export function parseObject(body: Buffer): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    throw new Refused(400, 'We could not parse the JSON body of your request.')
  }
  if (!isObject(value)) throw new Refused(400, 'The body of the request must be a JSON object.')
  return value
}

/** The first present of these fields as a whole number, null when none is; throws `Refused` (400) on anything else. */
export function wholeNumber(object: unknown, ...names: readonly string[]): number | null {
  for (const name of names) {
    const value = at(object, name)
    if (value === undefined || value === null) continue
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new Refused(400, `Invalid type for '${name}': expected a non-negative integer.`, { param: name })
    }
    return value
  }
  return null
}

/** An array field, empty when absent; throws `Refused` (400) when it is something else. */
export function list(object: unknown, name: string): readonly unknown[] {
  const value = at(object, name)
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Refused(400, `Invalid type for '${name}': expected an array.`, { param: name })
  return value
}

/** A text as it stands between the quotes of a JSON string. */
export function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
