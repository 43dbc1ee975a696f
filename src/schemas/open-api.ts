/**
 * OpenAPI: completes what is made from the schemas: an example for each request and each answer, every error that a route can give, and
 * what its caller must be allowed to do.
 */
import { ERRORS, type ErrorCode } from './errors.ts'
import { REQUEST_EXAMPLES } from './request-examples.ts'

/** What a route asks of a management key. */
export interface Access {
  readonly role: 'admin' | 'viewer'
  /** Whether keys that are bound to a customer may use it. */
  readonly bound: boolean
}

interface Schema {
  readonly type?: string
  readonly examples?: readonly unknown[]
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly format?: string
}

interface Content {
  schema?: Schema
  example?: unknown
}

interface Operation {
  summary?: string
  description?: string
  parameters?: readonly { readonly in: string; readonly name: string }[]
  requestBody?: { readonly content: Record<string, Content> }
  responses: Record<string, { description?: string; content?: Record<string, Content> }>
  'x-required-role'?: string
  'x-bound-keys'?: boolean
}

export interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** What each error says, for example. */
const MESSAGES = {
  invalid_request: 'max must be at least 1',
  unauthorized: 'Send a valid management key: Authorization: Bearer <key>.',
  forbidden: 'This management key may only read.',
  not_found: 'There is no limit 019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f.',
  conflict: 'There is already a team named "research".',
  database_unavailable: 'The database cannot be reached; nothing was changed.',
} as const satisfies Partial<Record<ErrorCode, string>>
type AdminErrorCode = keyof typeof MESSAGES

/** Adds to `document` in place, once. */
export function complete(document: Document, accessOf: (method: string, path: string) => Access): Document {
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(operations)) {
      completeOperation(operation, method.toUpperCase(), path, accessOf(method.toUpperCase(), path))
    }
  }
  return document
}

function completeOperation(operation: Operation, method: string, path: string, { role, bound }: Access): void {
  operation['x-required-role'] = role
  operation['x-bound-keys'] = bound
  const needs = `Needs a management key of role ${role}${bound ? '; also one bound to a customer, for what lies below it' : ''}.`
  operation.description = [operation.description, needs].filter((text) => text !== undefined).join(' ')
  for (const content of Object.values(operation.requestBody?.content ?? {})) {
    content.example ??= REQUEST_EXAMPLES[`${method} ${path}`] ?? {}
  }
  for (const response of Object.values(operation.responses)) {
    for (const content of Object.values(response.content ?? {})) {
      if (content.schema !== undefined) content.example ??= exampleOf(content.schema)
    }
  }
  const form = operation.responses.default?.content?.['application/json']?.schema
  if (form === undefined) return
  for (const code of errorsOf(operation, method, path)) {
    const error = { message: MESSAGES[code], type: 'error', code, param: null }
    operation.responses[String(ERRORS[code].status)] ??= {
      description: `${code}: ${ERRORS[code].when}`,
      content: { 'application/json': { schema: form, example: { error } } },
    }
  }
}

function errorsOf({ parameters = [], requestBody }: Operation, method: string, path: string): AdminErrorCode[] {
  const codes: AdminErrorCode[] = ['unauthorized', 'forbidden', 'database_unavailable']
  if (requestBody !== undefined || parameters.length > 0) codes.push('invalid_request')
  if (path.includes('{id}')) codes.push('not_found')
  if (method !== 'GET') codes.push('conflict')
  return codes
}

/** A value that fits a schema, for people: of its own examples where it has any. */
function exampleOf(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.examples !== undefined && schema.examples.length > 0) return schema.examples[0]
  if (schema.default !== undefined) return schema.default
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.anyOf !== undefined) return exampleOf(schema.anyOf[0] ?? {})
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, of]) => [name, exampleOf(of)]))
    case 'array':
      return schema.items === undefined ? [] : [exampleOf(schema.items)]
    case 'integer':
    case 'number':
      return 1
    case 'boolean':
      return true
    case 'string':
      return 'text'
    default:
      return null
  }
}
