/** The whole flow on a real socket, with a journal that the test can hold up, in front of providers of the test's own. */
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import admission from '../../plugins/admission.ts'
import afterSettlement from '../../plugins/after-settlement.ts'
import auth from '../../plugins/auth.ts'
import beforeAdmission from '../../plugins/before-admission.ts'
import budgetResolver from '../../plugins/budget-resolver.ts'
import errorHandler, { frameworkErrors } from '../../plugins/error-handler.ts'
import forms, { type FormsOptions } from '../../plugins/forms.ts'
import governancePlugin from '../../plugins/governance.ts'
import passThrough from '../../plugins/pass-through.ts'
import proxy, { type ProxyOptions } from '../../plugins/proxy.ts'
import rateLimiter from '../../plugins/rate-limiter.ts'
import requestFacts from '../../plugins/request-facts.ts'
import storedResponses, { type StoredResponsesOptions } from '../../plugins/stored-responses.ts'
import usageTracker from '../../plugins/usage-tracker.ts'
import webSockets from '../../plugins/web-sockets.ts'
import { generateVirtualKey, hashKey } from '../../src/auth/virtual-key.ts'
import type { Extensions } from '../../src/extension/extensions.ts'
import { createGovernance, type Governance } from '../../src/governance.ts'
import type { UsageEvent } from '../../src/ledger/facts.ts'
import type { MeterReading } from '../../src/ledger/reading.ts'
import { defaultSettings, type Settings } from '../../src/schemas/settings.ts'
import type { Change, Limit, Provider, VirtualKey } from '../../src/store/entities.ts'
import { systemClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { UsageTracker } from '../../src/usage/tracker.ts'
import { aLimit, aProvider, aVirtualKey } from './entities.ts'
import { eventually } from './eventually.ts'
import { RecordedFacts } from './recorded-facts.ts'

/** Facts whose writing waits while the test says so. */
export class HeldUpFacts extends RecordedFacts {
  heldUp = false
  readonly #waiting: (() => void)[] = []

  override flushed(callback: () => void): void {
    this.#waiting.push(callback)
    if (!this.heldUp) setImmediate(() => this.release())
  }

  get waiting(): number {
    return this.#waiting.length
  }

  release(): void {
    for (const callback of this.#waiting.splice(0)) callback()
  }
}

export interface TestGateway {
  readonly app: FastifyInstance
  readonly url: string
  readonly governance: Governance
  readonly tracker: UsageTracker
  readonly facts: HeldUpFacts
  put(...changes: Change[]): void
  provider(fields: Partial<Provider>): Provider
  /** A virtual key with a limit of each metric; their ids are `<metric>`. */
  key(fields?: Partial<VirtualKey>): string
  /** The key that was made last. */
  currentKey(): string
  /** A POST with that key; the body is sent as it is when it is a string or a buffer. */
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
  /** The events so far, settled and voided, in order. */
  events(): UsageEvent[]
  /** The numbers of one of the key's limits. */
  meter(metric: Limit['metric']): MeterReading
  /** Waits until the gateway knows that its clients have gone. */
  unconnected(): Promise<void>
  /** Waits until nothing is in flight, and asserts that nothing is held. */
  settled(): Promise<void>
}

export interface TestGatewayOptions {
  readonly settings?: Partial<Settings>
  readonly server?: Partial<Settings['server']>
  readonly proxy?: ProxyOptions
  readonly forms?: FormsOptions
  readonly find?: StoredResponsesOptions['find']
  /** Hooks of platform teams' plugins. */
  readonly extensions?: Extensions
  readonly plugins?: (scope: FastifyInstance) => void
}

const LIMITS = { requests: 1_000n, tokens: 10n ** 9n, input_tokens: 10n ** 9n, output_tokens: 10n ** 9n } as const
const MORE_LIMITS = { concurrency: 100n, cost: 10n ** 15n } as const

export async function startGateway(t: TestContext, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const facts = new HeldUpFacts()
  const server = { ...defaultSettings.server, drainMs: 200, ...options.server }
  const settings: Settings = { ...defaultSettings, ...options.settings, server }
  const governance = createGovernance({ settings, clock: systemClock, facts, log: silentLog })
  const { store, ledger } = governance
  const tracker = new UsageTracker({ ...governance, log: silentLog })
  const put = (...changes: Change[]) => store.apply(changes, systemClock.now())

  const app = Fastify({ frameworkErrors, routerOptions: { maxParamLength: 1_024 } })
  t.after(() => app.close())
  app.register(errorHandler)
  app.register(governancePlugin, { governance })
  app.register(async function flow(scope) {
    scope.register(auth)
    scope.register(forms, options.forms ?? {})
    scope.register(requestFacts, { random: () => 0 })
    scope.register(rateLimiter)
    scope.register(budgetResolver)
    if (options.extensions !== undefined) scope.register(beforeAdmission, { extensions: options.extensions })
    scope.register(admission)
    scope.register(usageTracker, { tracker })
    if (options.extensions !== undefined) scope.register(afterSettlement, { extensions: options.extensions })
    options.plugins?.(scope)
    scope.register(webSockets)
    scope.register(proxy, options.proxy ?? {})
    scope.register(storedResponses, { find: options.find ?? (async () => null) })
    scope.register(passThrough)
  })
  let open = 0
  app.addHook('onRequest', (_request, reply, done) => {
    open += 1
    reply.raw.once('close', () => {
      open -= 1
    })
    done()
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })

  const idOf = (metric: string) => `limit-${metric}`
  let current = ''
  const gateway: TestGateway = {
    app,
    url,
    governance,
    tracker,
    facts,
    put,
    provider(fields) {
      const provider = aProvider({ name: 'provider', kind: 'openai', ...fields })
      put({ op: 'put', kind: 'provider', entity: provider })
      return provider
    },
    key(fields = {}) {
      current = generateVirtualKey()
      const entity = aVirtualKey({ hash: hashKey(current), ...fields })
      const scope = { kind: 'virtual_key', id: entity.id } as const
      const limits = Object.entries({ ...LIMITS, ...MORE_LIMITS }).map(([metric, max]) =>
        aLimit({ id: idOf(metric), scope, metric: metric as Limit['metric'], max, window: '1d' }),
      )
      put({ op: 'put', kind: 'virtual_key', entity }, ...limits.map(putLimit))
      return current
    },
    currentKey: () => current,
    post(path, body, headers = {}, signal) {
      return fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-bursar-key': current, ...headers },
        body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      })
    },
    events: () => facts.facts.flatMap((fact) => (fact.t === 'settle' || fact.t === 'void' ? [fact.event] : [])),
    meter(metric) {
      const reading = ledger.read(idOf(metric), systemClock.now())
      if (reading === null) throw new Error(`no limit on ${metric}`)
      return reading
    },
    unconnected: () =>
      eventually(() => {
        if (open > 0) throw new Error(`${open} requests have clients`)
      }),
    settled: () =>
      eventually(() => {
        if (ledger.openHoldCount > 0) throw new Error(`${ledger.openHoldCount} holds are open`)
        if (tracker.openAttempts > 0) throw new Error(`${tracker.openAttempts} attempts are open`)
        for (const metric of Object.keys({ ...LIMITS, ...MORE_LIMITS })) {
          const { held } = gateway.meter(metric as Limit['metric'])
          if (held !== 0n) throw new Error(`${held} of ${metric} is held`)
        }
      }),
  }
  return gateway
}

function putLimit(entity: Limit): Change {
  return { op: 'put', kind: 'limit', entity }
}
