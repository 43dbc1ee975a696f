/**
 * The front of the gateway alone: error handler, auth, request facts, self-service, and in place of the proxy a route per endpoint that
 * answers with what it was given.
 */
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import auth, { type AuthOptions } from '../../plugins/auth.ts'
import errorHandler, { frameworkErrors } from '../../plugins/error-handler.ts'
import forms from '../../plugins/forms.ts'
import governancePlugin from '../../plugins/governance.ts'
import requestFacts from '../../plugins/request-facts.ts'
import selfService from '../../plugins/self-service.ts'
import type { ApiFormat, Endpoint } from '../../src/admission/request-facts.ts'
import type { AddressBook } from '../../src/auth/addresses.ts'
import { generateVirtualKey, hashKey } from '../../src/auth/virtual-key.ts'
import { createGovernance, type Governance } from '../../src/governance.ts'
import { defaultSettings, type Settings } from '../../src/schemas/settings.ts'
import type { Change, VirtualKey } from '../../src/store/entities.ts'
import { ManualClock } from '../../src/units/clock.ts'
import { silentLog } from '../../src/units/log.ts'
import { aProvider, aVirtualKey } from './entities.ts'
import { RecordedFacts } from './recorded-facts.ts'

export const NOW = Date.parse('2026-11-20T12:00:00Z')

/** One governed route of each format, as the gateway registers them. */
const ROUTES: Readonly<Record<string, { readonly format: ApiFormat; readonly endpoint: Endpoint }>> = {
  '/v1/chat/completions': { format: 'openai', endpoint: 'chat' },
  '/v1/embeddings': { format: 'openai', endpoint: 'embeddings' },
  '/v1/messages': { format: 'anthropic', endpoint: 'messages' },
  '/v1beta/models/:model([^:/]+)::generateContent': { format: 'google', endpoint: 'generate_content' },
}

export interface Front {
  readonly app: FastifyInstance
  readonly governance: Governance
  readonly facts: RecordedFacts
  readonly clock: ManualClock
  readonly addresses: AddressBook
  /** Puts entities into the store. */
  put(...changes: Change[]): void
  /** Puts a virtual key into the store and gives its value. */
  key(fields?: Partial<VirtualKey>): string
}

export interface FrontOptions {
  readonly settings?: Partial<Settings>
  readonly auth?: Partial<AuthOptions>
  readonly server?: FastifyServerOptions
  /** More routes, registered in the gateway's scope. */
  readonly routes?: (scope: FastifyInstance) => void
}

/** Builds it, with one provider of kind sim, and closes it after the test. */
export async function buildFront(t: TestContext, options: FrontOptions = {}): Promise<Front> {
  const clock = new ManualClock(NOW)
  const facts = new RecordedFacts()
  const settings = { ...defaultSettings, ...options.settings }
  const governance = createGovernance({ settings, clock, facts, log: silentLog })
  const { store } = governance
  const { addresses } = governance
  const put = (...changes: Change[]) => store.apply(changes, clock.now())
  put({ op: 'put', kind: 'provider', entity: aProvider({ name: 'sim', kind: 'sim' }) })

  const app = Fastify({ frameworkErrors, ...options.server })
  t.after(() => app.close())
  await app.register(errorHandler)
  await app.register(async function gateway(scope) {
    scope.register(governancePlugin, { governance })
    scope.register(auth, { ...options.auth })
    scope.register(forms)
    scope.register(requestFacts, { random: () => 0 })
    scope.register(selfService)
    scope.after(() => {
      for (const [url, config] of Object.entries(ROUTES)) {
        scope.post(url, { config }, async ({ facts, route, principal }) => ({
          model: facts?.requestedModel,
          key: principal?.key?.id,
          candidates: route?.map(({ provider, model }) => `${provider.name}/${model}`),
        }))
      }
      options.routes?.(scope)
    })
  })
  await app.ready()
  const key = (fields: Partial<VirtualKey> = {}) => {
    const value = generateVirtualKey()
    put({ op: 'put', kind: 'virtual_key', entity: aVirtualKey({ hash: hashKey(value), ...fields }) })
    return value
  }
  return { app, governance, facts, clock, addresses, put, key }
}
