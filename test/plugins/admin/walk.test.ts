/**
 * A walk over every route of the API's own document, so that a new one is covered without being named: what it shows as an example works,
 * what does not fit is refused with its path, and nothing is ever answered with 500 (F21, F22).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Kind } from '@sinclair/typebox'
import { problemsOf } from '../../../src/schemas/problems.ts'
import { newId } from '../../../src/units/id.ts'
import { type Answer, emptiedDatabase, makeAdmin, type TestAdmin } from '../../helpers/control.ts'

const open = emptiedDatabase()

interface Schema {
  readonly type?: string
  readonly anyOf?: readonly Schema[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
}

interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body: { readonly schema: Schema; readonly example: Readonly<Record<string, unknown>> } | null
  readonly query: readonly { readonly name: string; readonly schema: Schema }[]
  /** The first success that the document names. */
  readonly success: number
  readonly role: string
  readonly bound: boolean
  readonly errors: readonly string[]
}

async function routesOf(admin: TestAdmin): Promise<Route[]> {
  const { body } = await admin.call('GET', '/openapi.json')
  return Object.entries(body.paths as Record<string, Record<string, never>>).flatMap(([path, operations]) =>
    Object.entries(operations as Record<string, Record<string, never>>).map(([method, operation]): Route => {
      const {
        requestBody,
        parameters = [],
        responses,
      } = operation as never as {
        requestBody?: { content: { 'application/json': Route['body'] } }
        parameters?: { in: string; name: string; schema: Schema }[]
        responses: Record<string, { content?: Record<string, { example?: unknown }> }>
      }
      for (const [status, { content = {} }] of Object.entries(responses)) {
        for (const [type, { example }] of Object.entries(content)) {
          assert.ok(example !== undefined, `${method} ${path} ${status} ${type} has no example`)
        }
      }
      return {
        method: method.toUpperCase() as Route['method'],
        path: path.replace(/^\/api/, ''),
        body: requestBody?.content['application/json'] ?? null,
        query: parameters.filter((parameter) => parameter.in === 'query'),
        success: Number(Object.keys(responses).find((status) => status.startsWith('2'))),
        role: operation['x-required-role'] as never as string,
        bound: operation['x-bound-keys'] as never as boolean,
        errors: Object.keys(responses),
      }
    }),
  )
}

/** Routes that take an entity, and where such an entity is made. */
const collectionOf = (path: string) => /^(\/[a-z-]+)\/\{id\}/.exec(path)?.[1] ?? null

let made = 0

/** An entity of a collection, made with the example of its own route; null for a path without one. */
async function entityFor(admin: TestAdmin, routes: readonly Route[], path: string): Promise<string | null> {
  const collection = collectionOf(path)
  if (collection === null) return null
  const creation = routes.find((route) => route.method === 'POST' && route.path === collection)
  // Without a personal key, which would keep its user from being deleted.
  const { virtual_key: _, ...example } = creation?.body?.example ?? {}
  return (await admin.create(collection, unique(example))).id
}

/** Where something of that name may be there already. */
function unique(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  made += 1
  if ('name' in body) return { ...body, name: `${body.name}-${made}` }
  if ('users' in body) return { users: [{ name: `one-${made}` }, { name: `two-${made}` }] }
  // A limit's identity is what it counts, a price's what it is for.
  return 'model' in body ? { ...body, model: `${String(body.model).replace('*', '')}-${made}*` } : { ...body }
}

/** Values that a schema does not take, of every kind that it tells. */
function unfit(schema: Schema): unknown[] {
  if (schema.anyOf !== undefined) {
    const types = new Set(schema.anyOf.map(({ type }) => type))
    if (types.has(undefined)) return []
    const wrong = WRONG_TYPES.filter(([type]) => !types.has(type)).map(([, value]) => value)
    // Of the right type and unfit for the only form of that type.
    const inner = schema.anyOf
      .filter(({ type }) => schema.anyOf?.filter((other) => other.type === type).length === 1)
      .flatMap((of) => unfit(of).filter((value) => kindOf(value) === of.type))
    return [...wrong, ...inner]
  }
  const { type } = schema
  if (type === undefined) return []
  const values: unknown[] = WRONG_TYPES.filter(
    ([wrong]) => wrong !== type && !(type === 'number' && wrong === 'integer'),
  ).map(([, value]) => value)
  if (type === 'integer') values.push(1.5, 2 ** 63, -(2 ** 63))
  if (schema.minimum !== undefined) values.push(schema.minimum - 1)
  if (schema.maximum !== undefined) values.push(schema.maximum + 1)
  if (schema.maxLength !== undefined && schema.enum === undefined) values.push('x'.repeat(schema.maxLength + 1))
  if (schema.enum !== undefined) values.push('none of them')
  if (schema.format !== undefined || schema.pattern?.startsWith('^') === true) values.push('\u0000')
  return values
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

const WRONG_TYPES: readonly (readonly [string, unknown])[] = [
  ['string', 'text'],
  ['integer', 7],
  ['boolean', true],
  ['array', []],
  ['object', { a: 1 }],
  ['null', null],
]

function assertRefused({ status, body, text }: Answer, field: string, what: string): void {
  assert.equal(status, 400, `${what}: ${status} ${text}`)
  assert.equal(body.error.code, 'invalid_request', what)
  const paths: string[] = body.error.details.map(({ path }: { path: string }) => path)
  assert.ok(
    paths.some((path) => path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`)),
    `${what}: ${paths.join(', ')}`,
  )
}

async function start(t: Parameters<typeof open>[0]) {
  const admin = await makeAdmin(t, await open(t), {
    status: () => ({}) as never,
    testAlert: async () => ({ id: newId(), error: null }),
  })
  // The answers of two are the composition's, which is not here; a document is no body of fields (test/persist/transfer.test.ts).
  const elsewhere = new Set(['/status', '/explain', '/import', '/export'])
  const routes = (await routesOf(admin)).filter(({ path }) => !elsewhere.has(path))
  assert.ok(routes.length > 50)
  return { admin, routes }
}

test('F22 every route answers its own example with the status that it names, and 404 and 400 for ids that are not there or none', async (t) => {
  const { admin, routes } = await start(t)
  for (const { method, path, body, success } of routes) {
    const id = await entityFor(admin, routes, path)
    const place = path.replace('{id}', id ?? '')
    const sent = body === null ? undefined : unique(body.example)
    if (path.endsWith('/override') && method === 'DELETE') await admin.call('PUT', place, { max: 5, windows: 1 })
    const { status, text } = await admin.call(method, place, sent)
    assert.equal(status, success, `${method} ${path}: ${status} ${text}`)
    if (id === null) continue
    const created = method === 'PUT' && path === '/users/{id}'
    const unknown = await admin.call(
      method,
      path.replace('{id}', newId()),
      body === null ? undefined : unique(body.example),
    )
    assert.equal(unknown.status, created ? 201 : 404, `${method} ${path}: ${unknown.text}`)
    for (const none of ['x', "'--", '%00', 'a'.repeat(90), '..%2f', '019A9F3C-5D1E-7CC0-8A11-3F1B2C4D5E6F']) {
      const answer = await admin.call(method, path.replace('{id}', none), sent)
      assert.equal(answer.status, 400, `${method} ${path} with ${none}: ${answer.status} ${answer.text}`)
    }
  }
})

test('F21 F22 every field of every body: missing, of another type, out of range, misspelt, unknown: 400 with its path', async (t) => {
  const { admin, routes } = await start(t)
  let tried = 0
  for (const { method, path, body } of routes) {
    if (body === null) continue
    const id = await entityFor(admin, routes, path)
    const place = path.replace('{id}', id ?? '')
    const { schema, example } = body
    const send = (sent: object) => admin.call(method, place, sent)
    for (const name of schema.required ?? []) {
      const { [name]: _, ...rest } = unique(example)
      assertRefused(await send(rest), name, `${method} ${path} without ${name}`)
    }
    for (const [name, of] of Object.entries(schema.properties ?? {})) {
      for (const value of unfit(of)) {
        tried += 1
        const shown = `${method} ${path} ${name} = ${JSON.stringify(value)?.slice(0, 60)}`
        assertRefused(await send({ ...unique(example), [name]: value }), name, shown)
      }
      const misspelt = `${name.slice(0, -1)}${name.at(-1)}${name.at(-1)}`
      if (misspelt in (schema.properties ?? {})) continue
      assertRefused(await send({ ...unique(example), [misspelt]: 'x' }), misspelt, `${method} ${path} ${misspelt}`)
    }
    assertRefused(await send({ ...unique(example), surprise: 1 }), 'surprise', `${method} ${path} with a surprise`)
    for (const raw of [
      '[]',
      '7',
      '"x"',
      'null',
      '{"a":',
      `{"name":${'['.repeat(5_000)}`,
      '{"__proto__":{"name":"x"}}',
      '{"name":"\\ud800"}',
      // Well formed, and deeper than any stack or numeric type: in a field of its own, and in one that takes anything.
      ...['surprise', 'metadata', 'body', 'limits'].flatMap((name) => [
        `{"${name}":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
        `{"${name}":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
        `{"${name}":{"a":1e400}}`,
        `{"${name}":{"a":[-1e999]}}`,
      ]),
    ]) {
      const { status, text } = await admin.call(method, place, raw, { 'content-type': 'application/json' })
      assert.ok(status < 500, `${method} ${path} ${raw.slice(0, 40)}: ${status} ${text}`)
    }
  }
  assert.ok(tried > 300, `only ${tried} values`)
})

test('F22 every query: unknown names, other types, names twice: 400, and nothing is 500', async (t) => {
  const { admin, routes } = await start(t)
  for (const { method, path, query } of routes) {
    if (query.length === 0) continue
    for (const { name, schema } of query) {
      for (const value of unfit(schema).filter((one) => typeof one === 'string' || typeof one === 'number')) {
        // In a query everything is text.
        if (
          schema.type === 'string' &&
          schema.format === undefined &&
          schema.enum === undefined &&
          typeof value === 'number'
        )
          continue
        const { status, text } = await admin.call(method, `${path}?${name}=${encodeURIComponent(String(value))}`)
        const isText = schema.type === 'string' && schema.enum === undefined
        assert.ok(
          isText ? status < 500 : status === 400,
          `${path}?${name}=${String(value).slice(0, 40)}: ${status} ${text}`,
        )
      }
      assert.equal((await admin.call(method, `${path}?${name}=1&${name}=2`)).status, 400, `${path}?${name} twice`)
    }
    const { status, body } = await admin.call(method, `${path}?surprise=1`)
    assert.deepEqual([status, body.error.details[0].path], [400, 'surprise'], path)
    for (const odd of ['__proto__=1', 'constructor=1', 'toString=1', '%00=1', '%ff=%fe', 'limit[]=1', '=1']) {
      const answer = await admin.call(method, `${path}?${odd}`)
      assert.equal(answer.status, 400, `${path}?${odd}: ${answer.text}`)
    }
  }
})

test('F22 what lies deeper than 64 levels, or beyond what a number can hold, is 400 with its path and not stored as something else', async (t) => {
  const { admin } = await start(t)
  const nested = (levels: number) => `{"name":"deep","metadata":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`
  const json = { 'content-type': 'application/json' }
  const pathsOf = ({ body }: Answer) => body.error.details.map(({ path }: { path: string }) => path)

  assert.equal((await admin.call('POST', '/customers', nested(63), json)).status, 201)
  const tooDeep = await admin.call('POST', '/customers', nested(64), json)
  assert.deepEqual([tooDeep.status, pathsOf(tooDeep)], [400, [`metadata${'.a'.repeat(63)}`]])

  const tooLarge = await admin.call('POST', '/customers', '{"name":"big","metadata":{"a":[1,1e400]}}', json)
  assert.deepEqual([tooLarge.status, pathsOf(tooLarge)], [400, ['metadata.a[1]']])
})

test('every answer that the document shows as an example is one that its route could give', async (t) => {
  const { admin } = await start(t)
  const { body } = await admin.call('GET', '/openapi.json')
  const names: string[] = []
  let checked = 0
  for (const [path, operations] of Object.entries(body.paths as Record<string, Record<string, never>>)) {
    for (const [method, operation] of Object.entries(operations as Record<string, Record<string, never>>)) {
      const what = `${method.toUpperCase()} ${path}`
      names.push(operation.operationId as never)
      const answers = admin.answers.get(what.replaceAll(/\{(\w+)\}/g, ':$1')) ?? {}
      const shown = operation.responses as never as Record<string, { content?: Record<string, { example: unknown }> }>
      for (const [status, { content }] of Object.entries(shown)) {
        const schema = answers[status] ?? answers.default
        if (schema?.[Kind] === undefined || content?.['application/json'] === undefined) continue
        assert.deepEqual(problemsOf(schema, content['application/json'].example), [], `${what} ${status}`)
        checked += 1
      }
      const statuses = Object.keys(shown)
      if (operation.requestBody !== undefined) assert.ok(statuses.includes('413') && statuses.includes('415'), what)
    }
  }
  assert.ok(checked > 300, `only ${checked} examples`)
  assert.equal(new Set(names).size, names.length, 'each route has a name of its own for generated clients')
})

test('B110 a name that is taken is 409 wherever a name is unique', async (t) => {
  const { admin, routes } = await start(t)
  let checked = 0
  for (const { method, path, body } of routes) {
    if (method !== 'POST' || path.includes('{') || !('name' in (body?.example ?? {}))) continue
    const sent = unique(body?.example ?? {})
    await admin.create(path, sent)
    const again = await admin.call('POST', path, sent)
    assert.deepEqual([again.status, again.body.error.code], [409, 'conflict'], `${path}: ${again.text}`)
    checked += 1
  }
  assert.ok(checked >= 6)
})

test('each role may do on each route what the document says, and no more', async (t) => {
  const { admin, routes } = await start(t)
  const customer = await admin.create('/customers', { name: 'acme' })
  const keyOf = async (name: string, fields: object) =>
    (await admin.create('/management-keys', { name, ...fields })).key as string
  const keys = {
    admin: await keyOf('an admin', { role: 'admin' }),
    viewer: await keyOf('a viewer', { role: 'viewer' }),
    boundAdmin: await keyOf('a bound admin', { role: 'admin', customer_id: customer.id }),
    boundViewer: await keyOf('a bound viewer', { role: 'viewer', customer_id: customer.id }),
  }
  for (const { method, path, body, role, bound, errors } of routes) {
    assert.ok(['admin', 'viewer'].includes(role), `${method} ${path} states no role`)
    for (const status of ['401', '403', '503'])
      assert.ok(errors.includes(status), `${method} ${path} does not name ${status}`)
    for (const [who, key] of [...Object.entries(keys), ['a stranger', 'no-key-of-ours-0123456789'] as const]) {
      // Long enough for what a stranger has tried to be forgotten.
      admin.clock.advance(61_000)
      const id = await entityFor(admin, routes, path)
      const sent = body === null ? undefined : unique(body.example)
      const { status, text } = await admin.call(method, path.replace('{id}', id ?? ''), sent, {
        authorization: `Bearer ${key}`,
      })
      const what = `${who}: ${method} ${path} answered ${status} ${text}`
      if (who === 'a stranger') assert.equal(status, 401, what)
      else if (who.endsWith('iewer') && role === 'admin') assert.equal(status, 403, what)
      else if (who.startsWith('bound') && !bound) assert.equal(status, 403, what)
      // What was made for the root key lies outside: it does not exist for these, or may not be made there.
      else if (who.startsWith('bound')) assert.ok(status < 500 && (id === null || [403, 404].includes(status)), what)
      else assert.ok(status < 400 || status === 404, what)
    }
  }
})
