/**
 * OpenAPI: completes what is made from the schemas: an example for each request and each answer, every error that a route can give, and
 * what its caller must be allowed to do.
 */
import { ERRORS, type ErrorCode } from './errors.ts'
import type { Problem } from './lists.ts'
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
  operationId?: string
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

/** An error as the API answers it, such as an example shows. */
export interface ExampleError {
  readonly code: ErrorCode
  readonly message: string
  readonly details?: readonly Problem[]
}

/** What each error says, for example. */
const EXAMPLES = {
  invalid_request: { message: 'max must be at least 1', details: [{ path: 'max', message: 'must be at least 1' }] },
  unauthorized: { message: 'Send a valid management key: Authorization: Bearer <key>.' },
  forbidden: { message: 'This management key may only read.' },
  not_found: { message: 'There is no limit 019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f.' },
  conflict: { message: 'There is already a team named "research".' },
  request_too_large: { message: 'The body is larger than 32 MiB.' },
  unsupported_media_type: { message: 'This route takes a body of type application/json.' },
  internal: { message: 'Internal error. The request id is 019a9f3c-5d1e-7cc0-8a11-3f1b2c4d5e6f.' },
  database_unavailable: { message: 'The database cannot be reached; nothing was changed.' },
} as const satisfies Partial<Record<ErrorCode, Omit<ExampleError, 'code'>>>
type AdminErrorCode = keyof typeof EXAMPLES

/** What the document cannot tell by itself. */
export interface Known {
  /** What a route asks of a management key. */
  accessOf(method: string, path: string): Access
  /** The body of an error. */
  bodyOf(error: ExampleError): object
}

/** Adds to `document` in place, once. */
export function complete(document: Document, known: Known): Document {
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(operations)) {
      completeOperation(operation, method.toUpperCase(), path, known)
    }
  }
  return document
}

function completeOperation(operation: Operation, method: string, path: string, { accessOf, bodyOf }: Known): void {
  const { role, bound } = accessOf(method, path)
  operation.operationId ??= operationIdOf(method, path)
  operation['x-required-role'] = role
  operation['x-bound-keys'] = bound
  const needs = `Needs a management key of role ${role}${bound ? '; also one bound to a customer, for what lies below it' : ''}.`
  operation.description = [operation.description, needs].filter((text) => text !== undefined).join(' ')
  for (const content of Object.values(operation.requestBody?.content ?? {})) {
    content.example ??= REQUEST_EXAMPLES[`${method} ${path}`] ?? {}
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    if (status === 'default') continue
    for (const content of Object.values(response.content ?? {})) {
      if (content.schema !== undefined) content.example ??= exampleOf(content.schema)
    }
  }
  const form = operation.responses.default?.content?.['application/json']
  if (form?.schema === undefined) return
  const { schema } = form
  form.example = bodyOf({ code: 'internal', ...EXAMPLES.internal })
  for (const code of errorsOf(operation, method, path)) {
    operation.responses[String(ERRORS[code].status)] ??= {
      description: `${code}: ${ERRORS[code].when}`,
      content: { 'application/json': { schema, example: bodyOf({ code, ...EXAMPLES[code] }) } },
    }
  }
}

/** A name for generated clients: `GET /api/users/{id}` → `get_users_id`. */
function operationIdOf(method: string, path: string): string {
  const words = path.replace(/^\/api\//, '').match(/\w+/g) ?? []
  return [method.toLowerCase(), ...words].join('_')
}

function errorsOf({ parameters = [], requestBody }: Operation, method: string, path: string): AdminErrorCode[] {
  const codes: AdminErrorCode[] = ['unauthorized', 'forbidden', 'internal', 'database_unavailable']
  if (requestBody !== undefined || parameters.length > 0) codes.push('invalid_request')
  if (requestBody !== undefined) codes.push('request_too_large', 'unsupported_media_type')
  // An explanation is asked about a key that may not be there.
  if (path.includes('{id}') || path.endsWith('/explain')) codes.push('not_found')
  if (method !== 'GET' && !READ_ONLY.has(path)) codes.push('conflict')
  return codes
}

/** Routes that change nothing, whatever their method says. */
const READ_ONLY: ReadonlySet<string> = new Set(['/api/explain', '/api/reload'])

/** A value that fits a schema, for people: of its own examples where it has any. */
function exampleOf(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.examples !== undefined && schema.examples.length > 0) return schema.examples[0]
  if (schema.default !== undefined) return schema.default
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.anyOf !== undefined) {
    const [first = {}, ...others] = schema.anyOf
    // A text about which nothing is known says less than its absence.
    const isBlank = first.type === 'string' && first.examples === undefined && first.enum === undefined
    return isBlank && others.some(({ type }) => type === 'null') ? null : exampleOf(first)
  }
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
