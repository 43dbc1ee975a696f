/**
 * Problems: what is wrong with a value, field by field, in words for the person who wrote it.
 *
 * One engine for request bodies, query strings and bursar.yaml, so that the same slip reads the same everywhere. Nothing is
 * coerced, filled in or dropped: a misspelt field is a problem, not a field to ignore (F21).
 */
import { Kind, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/value'
import { ACCEPTS } from './fields.ts'
import type { Problem } from './lists.ts'

const PROBLEMS_MAX = 20

const compiled = new WeakMap<TSchema, TypeCheck<TSchema>>()

function checkOf(schema: TSchema): TypeCheck<TSchema> {
  let check = compiled.get(schema)
  if (check === undefined) {
    check = TypeCompiler.Compile(schema)
    compiled.set(schema, check)
  }
  return check
}

/** Everything about `value` that `schema` does not take, in the order of the schema; empty when it fits. At most twenty. */
export function problemsOf(schema: TSchema, value: unknown): Problem[] {
  const check = checkOf(schema)
  if (check.Check(value)) return []
  const problems = new Map<string, Problem>()
  for (const error of tellingErrors(check.Errors(value))) {
    const problem = { path: readablePath(error.path), message: messageOf(error) }
    // The first word on a field is the telling one: a missing field is also "not a string".
    if (!problems.has(problem.path)) problems.set(problem.path, problem)
    if (problems.size >= PROBLEMS_MAX) break
  }
  return [...problems.values()]
}

/** Reads numbers and booleans of a query string, where everything arrives as text. Only what means the same is taken. */
export function convertQuery(schema: TSchema, query: Record<string, unknown>): Record<string, unknown> {
  // Made of entries, so that a field named __proto__ is one like any other: unknown.
  return Object.fromEntries(
    Object.entries(query).map(([name, text]) => [name, convertText(schema.properties?.[name], text)]),
  )
}

function convertText(field: TSchema | undefined, text: unknown): unknown {
  if (field?.type === 'integer' && typeof text === 'string' && /^-?\d{1,15}$/.test(text)) return Number(text)
  if (field?.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/** `/limits/0/max` as people write it: `limits[0].max`. */
function readablePath(pointer: string): string {
  let path = ''
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (/^\d+$/.test(name) && path !== '') path += `[${name}]`
    else path += path === '' ? name : `.${name}`
  }
  return path
}

/**
 * Where an alternative of a union has the value's own shape (an object for an object), what is wrong inside it says more than
 * that nothing fits.
 */
function* tellingErrors(errors: Iterable<ValueError>): Generator<ValueError> {
  for (const error of errors) {
    const inner = error.type === ValueErrorType.Union ? errorsInside(error) : []
    if (inner.length === 0) yield error
    else yield* tellingErrors(inner)
  }
}

/** Those of the alternative that the value was meant for, where they lie inside it. */
function errorsInside({ value, path, errors }: ValueError): ValueError[] {
  if (typeof value !== 'object' || value === null) return []
  return errors.map((of) => [...of]).find(([first]) => first !== undefined && first.path !== path) ?? []
}

function messageOf({ type, schema, value }: ValueError): string {
  switch (type) {
    case ValueErrorType.ObjectRequiredProperty:
      return `is missing: must be ${describe(schema)}`
    case ValueErrorType.ObjectAdditionalProperties:
      return 'is not a known field'
    case ValueErrorType.ArrayMinItems:
      return `must have at least ${schema.minItems} ${schema.minItems === 1 ? 'entry' : 'entries'}`
    case ValueErrorType.ArrayMaxItems:
      return `must have at most ${schema.maxItems} entries`
    case ValueErrorType.IntegerMinimum:
    case ValueErrorType.NumberMinimum:
      return `must be at least ${schema.minimum}`
    case ValueErrorType.IntegerMaximum:
    case ValueErrorType.NumberMaximum:
      return `must be at most ${schema.maximum}`
    default:
      // A secret that does not fit is still somebody's secret.
      return schema.writeOnly === true || mayHoldSecret(schema, value)
        ? `must be ${describe(schema)}`
        : `must be ${describe(schema)}, not ${show(value)}`
  }
}

/** Addresses with a password in them, or with a token in their query. */
function mayHoldSecret({ format }: TSchema, value: unknown): boolean {
  return (format === 'web-address' || format === 'hook-address') && typeof value === 'string' && /[@?]/.test(value)
}

/** What a schema takes, in words. */
function describe(schema: TSchema): string {
  const words: unknown = Reflect.get(schema, ACCEPTS)
  if (typeof words === 'string') return words
  switch (schema[Kind]) {
    case 'Union':
      return (schema.anyOf as TSchema[]).map(describe).join(' or ')
    case 'Literal':
      return JSON.stringify(schema.const)
    case 'Null':
      return 'null'
    case 'Boolean':
      return 'true or false'
    case 'String':
      return describeLength(schema)
    case 'Integer':
    case 'Number':
      return describeRange(schema)
    case 'Array':
      return 'a list'
    default:
      return 'an object'
  }
}

function describeLength({ minLength, maxLength }: TSchema): string {
  if (maxLength !== undefined) return `a text of ${minLength ?? 0} to ${maxLength} characters`
  return minLength === undefined ? 'a text' : `a text of at least ${minLength} characters`
}

function describeRange(schema: TSchema): string {
  const what = schema[Kind] === 'Integer' ? 'an integer' : 'a number'
  if (schema.maximum !== undefined) return `${what} from ${schema.minimum ?? '…'} to ${schema.maximum}`
  return schema.minimum === undefined ? what : `${what} of at least ${schema.minimum}`
}

/** The offending value, short. Long texts are not repeated: one of them might be a key. */
function show(value: unknown): string {
  if (value === undefined) return 'absent'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value)
  return text.length <= 40 ? text : `a text of ${text.length - 2} characters`
}

/** A refusal's message: the first problem, and how many more there are. */
export function summaryOf(problems: readonly Problem[]): string {
  const [first] = problems
  if (first === undefined) return 'The request cannot be read.'
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more: see details)` : ''
  return `${first.path === '' ? 'The body' : first.path} ${first.message}${more}`
}
