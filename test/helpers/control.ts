/** A control plane for tests: a real database, the real store and ledger, a clock that stands still, facts that are kept. */
import type { TestContext } from 'node:test'
import { Kind, type TSchema } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { sql } from 'kysely'
import adminApi from '../../plugins/admin/index.ts'
import type { AdminApiOptions } from '../../plugins/admin/options.ts'
import errorHandler from '../../plugins/error-handler.ts'
import { Control } from '../../src/control/control.ts'
import { ManagementKeys } from '../../src/control/management-keys.ts'
import type { Actor } from '../../src/control/work.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { Meters } from '../../src/ledger/meters.ts'
import type { Db } from '../../src/persist/repositories/db.ts'
import { Secrets } from '../../src/persist/secrets.ts'
import { problemsOf } from '../../src/schemas/problems.ts'
import { defaultSettings, type Settings } from '../../src/schemas/settings.ts'
import { GovernanceStore } from '../../src/store/governance-store.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { embeddedDatabases, type OpenTestDatabase, type TestDatabase } from './databases.ts'
import { RecordedFacts } from './recorded-facts.ts'

export const NOW = Date.parse('2026-11-21T12:00:00Z')
export const ADMIN: Actor = { id: null, name: 'root', address: '127.0.0.1', managedBy: 'api', customerId: null }
export const ROOT_KEY = 'root-management-key-0123456789'

const secrets = new Secrets('a secret for tests', Buffer.alloc(16).toString('base64'))

export interface TestControl {
  readonly control: Control
  readonly store: GovernanceStore
  readonly ledger: Ledger
  readonly clock: ManualClock
  readonly facts: RecordedFacts
  readonly db: Db
}

export function makeControl({ db }: { db: Db }, settings: Partial<Settings> = {}): TestControl {
  const clock = new ManualClock(NOW)
  const ledger = new Ledger(new Meters(() => clock.elapsed()))
  const store = new GovernanceStore(ledger)
  const facts = new RecordedFacts()
  const parts = {
    db,
    store,
    ledger,
    facts,
    secrets,
    clock,
    log: silentLog,
    settings: { ...defaultSettings, ...settings },
  }
  return { control: new Control(parts), store, ledger, clock, facts, db }
}

export interface Answer {
  readonly status: number
  // What a route answers is what the tests look at; its form is the route's schema.
  // biome-ignore lint/suspicious/noExplicitAny: tests read deep into answers
  readonly body: any
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

export interface TestAdmin extends TestControl {
  readonly app: FastifyInstance
  readonly keys: ManagementKeys
  /** `GET /api/users/:id` → what each status answers with. */
  readonly answers: ReadonlyMap<string, Readonly<Record<string, TSchema>>>
  /** Calls a route below /api with the root key, or with the one given. */
  call(method: InjectOptions['method'], path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Creates and gives the entity; fails the test when that does not work. */
  create(path: string, body: unknown): Promise<Answer['body']>
}

export async function makeAdmin(
  t: TestContext,
  database: { db: Db },
  options: Partial<AdminApiOptions> & { settings?: Partial<Settings> } = {},
): Promise<TestAdmin> {
  const made = makeControl(database, options.settings)
  const keys = new ManagementKeys(made.control, ROOT_KEY)
  await keys.load()
  const app = Fastify()
  // What a route answers is held against its own schema: its documentation is true, or a test fails.
  const unfit: unknown[] = []
  const answers = new Map<string, Record<string, TSchema>>()
  app.addHook('onRoute', ({ method, url, schema }) => {
    answers.set(`${method} ${url}`, (schema?.response ?? {}) as Record<string, TSchema>)
  })
  app.addHook('onSend', async (request, reply, payload) => {
    const response = request.routeOptions.schema?.response as Record<string, TSchema> | undefined
    const schema = response?.[reply.statusCode] ?? response?.default
    if (schema?.[Kind] === undefined || typeof payload !== 'string' || payload === '') return
    const problems = problemsOf(schema, JSON.parse(payload))
    if (problems.length > 0) unfit.push({ url: request.url, problems, payload })
  })
  await app.register(errorHandler)
  await app.register(adminApi, {
    control: made.control,
    managementKeys: keys,
    status: () => {
      throw new Error('not given')
    },
    reload: async () => {},
    explain: () => ({}),
    testAlert: async () => null,
    secret: 'a secret for tests',
    metrics: { text: async () => '', contentType: 'text/plain; version=0.0.4; charset=utf-8' },
    metricsOpen: false,
    ...options,
  })
  t.after(() => app.close())
  async function call(
    method: InjectOptions['method'],
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await app.inject({
      method: method ?? 'GET',
      url: `/api${path}`,
      headers: { authorization: `Bearer ${ROOT_KEY}`, ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    })
    if (unfit.length > 0) throw new Error(`an answer does not fit its schema: ${JSON.stringify(unfit)}`)
    const isJson = String(response.headers['content-type'] ?? '').includes('json')
    return {
      status: response.statusCode,
      body: isJson ? response.json() : null,
      text: response.payload,
      headers: response.headers,
    }
  }
  return {
    ...made,
    app,
    keys,
    answers,
    call,
    async create(path, body) {
      const answer = await call('POST', path, body)
      if (answer.status !== 201) throw new Error(`POST ${path} answered ${answer.status}: ${answer.text}`)
      return answer.body
    },
  }
}

/** One embedded database for a test file, emptied for each test: quicker than migrating one for each. */
export function emptiedDatabase(): OpenTestDatabase {
  const open = embeddedDatabases()
  let opened: Promise<TestDatabase> | null = null
  return async (t) => {
    if (opened === null) {
      opened = open(t)
      return await opened
    }
    const database = await opened
    await sql`truncate customers, teams, users, user_ips, virtual_keys, providers, provider_keys, prices, limits,
      management_keys, audit_log, usage_events, limit_usage, limit_closed, corrections, usage_hourly, alerts`.execute(
      database.db,
    )
    return database
  }
}
