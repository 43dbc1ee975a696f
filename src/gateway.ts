/**
 * Gateway: the flow of a request, as a list of registrations. Their order is the security boundary, so it is written out here.
 *
 *   auth → forms → request-facts → rate-limiter, budget-resolver (gates) → before-admission → admission → proxy → usage-tracker
 *
 * The flow is a scope of its own: its hooks apply to proxied routes and to what a key may ask about itself, and to nothing else.
 */
import type { FastifyPluginAsync } from 'fastify'
import admission from '../plugins/admission.ts'
import afterSettlement from '../plugins/after-settlement.ts'
import auth from '../plugins/auth.ts'
import beforeAdmission from '../plugins/before-admission.ts'
import budgetResolver from '../plugins/budget-resolver.ts'
import database from '../plugins/database.ts'
import drain from '../plugins/drain.ts'
import errorHandler from '../plugins/error-handler.ts'
import forms from '../plugins/forms.ts'
import governance from '../plugins/governance.ts'
import health, { type HealthState } from '../plugins/health.ts'
import metrics from '../plugins/metrics.ts'
import passThrough from '../plugins/pass-through.ts'
import persister from '../plugins/persister.ts'
import proxy from '../plugins/proxy.ts'
import rateLimiter from '../plugins/rate-limiter.ts'
import requestFacts from '../plugins/request-facts.ts'
import selfService from '../plugins/self-service.ts'
import storedResponses from '../plugins/stored-responses.ts'
import usageTracker from '../plugins/usage-tracker.ts'
import webSockets from '../plugins/web-sockets.ts'
import type { Extensions } from './extension/extensions.ts'
import type { Governance } from './governance.ts'
import type { LoadedPlugin } from './load-plugins.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Database } from './persist/database.ts'
import type { Persister } from './persist/persister.ts'
import { findStoredObject } from './persist/repositories/stored-objects.ts'
import type { UsageTracker } from './usage/tracker.ts'

export interface GatewayOptions {
  readonly governance: Governance
  readonly database: Database
  readonly persister: Persister
  readonly health: HealthState
  readonly tracker: UsageTracker
  readonly metrics: Metrics
  /** The hooks of platform teams' plugins, and what these register besides. */
  readonly extensions: Extensions
  readonly plugins: readonly LoadedPlugin[]
  /** CIDR list: whose `X-Forwarded-For` counts. */
  readonly trustedProxies: readonly string[]
}

const gateway: FastifyPluginAsync<GatewayOptions> = async function gateway(app, options) {
  // What every answer needs, and what ends with the server: the persister's last dump comes after the last settlement.
  app.register(errorHandler)
  app.register(governance, { governance: options.governance })
  app.register(database, { database: options.database })
  app.register(persister, { persister: options.persister })
  // Asked by load balancers, which have no key.
  app.register(health, { state: options.health })

  app.register(async function flow(scope) {
    // Who is asking, and may they?
    scope.register(auth, { trustedProxies: options.trustedProxies })
    // While the process drains, nothing new begins.
    scope.register(drain, { state: options.health })
    // Recordings and pictures wait in files.
    scope.register(forms)
    // What is asked, and who may serve it?
    scope.register(requestFacts)
    // What is enforced: requests, tokens and concurrency; cost.
    scope.register(rateLimiter)
    scope.register(budgetResolver)
    // What platform teams say to it.
    scope.register(beforeAdmission, { extensions: options.extensions, plugins: options.plugins })
    // One indivisible hold on everything the gates have named.
    scope.register(admission)
    // Ends every attempt once, whatever happens to the socket.
    scope.register(usageTracker, { tracker: options.tracker })
    // Platform teams hear of it.
    scope.register(afterSettlement, { extensions: options.extensions })
    // Counts what the flow does.
    scope.register(metrics, { metrics: options.metrics })
    // Connections that want to leave HTTP come the same way.
    scope.register(webSockets)
    // Forwards, meters, falls back.
    scope.register(proxy)
    // What providers keep for a key.
    scope.register(storedResponses, { find: (id) => findStoredObject(options.database.db, id) })
    // The providers' own APIs, each under its name.
    scope.register(passThrough)
    // What a key may ask about itself.
    scope.register(selfService)
  })
}

export default gateway
