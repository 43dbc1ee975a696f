/** A value that fits a JSON schema: what the simulated model answers in JSON mode and as arguments of a tool. */
import { at, isObject, type JsonObject } from './json.ts'
import { SENTENCE } from './text.ts'

/** Deeper schemas, such as ones that refer to themselves, end here with an empty value. */
const DEPTH_MAX = 8

/** The answer to "some JSON, please" without a schema. */
export function freeJson(): string {
  return JSON.stringify({ answer: SENTENCE })
}

/** A sample for `schema` as JSON text, an empty object where there is none. Takes both JSON Schema and Gemini's dialect (`"type": "STRING"`). */
export function sampleJson(schema: unknown): string {
  return schema === undefined ? '{}' : JSON.stringify(sample(schema, schema, 0))
}

function sample(schema: unknown, root: unknown, depth: number): unknown {
  if (!isObject(schema) || depth > DEPTH_MAX) return null
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  if (typeof schema.$ref === 'string') return sample(referred(root, schema.$ref), root, depth + 1)
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (Array.isArray(choice)) return sample(choice[0], root, depth + 1)
  switch (typeOf(schema)) {
    case 'object':
      return sampleObject(schema, root, depth)
    case 'array': {
      const length = Math.min(typeof schema.minItems === 'number' ? schema.minItems : 1, 16)
      return Array.from({ length }, () => sample(schema.items, root, depth + 1))
    }
    case 'string':
      return 'simulated'
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? schema.minimum : 1
    case 'boolean':
      return true
    default:
      return null
  }
}

function sampleObject(schema: JsonObject, root: unknown, depth: number): JsonObject {
  const properties = isObject(schema.properties) ? schema.properties : {}
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, sample(property, root, depth + 1)]),
  )
}

function typeOf(schema: JsonObject): string {
  const type: unknown = Array.isArray(schema.type) ? schema.type.find((t) => t !== 'null') : schema.type
  if (typeof type === 'string') return type.toLowerCase()
  return isObject(schema.properties) ? 'object' : 'null'
}

/** Resolves `#/$defs/name`; other references have no place in a request. */
function referred(root: unknown, reference: string): unknown {
  return reference.startsWith('#/') ? at(root, ...reference.slice(2).split('/')) : undefined
}
