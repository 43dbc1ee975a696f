/**
 * What platform teams import: our plugins, to be registered one by one on a Fastify of their own, and what they are built from.
 *
 * The order of registration is the flow's; each plugin says what it depends on, and a wrong order stops the boot.
 */
export { default as admission } from '../plugins/admission.ts'
export { type AuthOptions, default as auth } from '../plugins/auth.ts'
export { default as budgetResolver } from '../plugins/budget-resolver.ts'
export { type DatabaseOptions, default as database } from '../plugins/database.ts'
export { clientErrors, default as errorHandler, frameworkErrors } from '../plugins/error-handler.ts'
export { GatewayError } from '../plugins/errors.ts'
export { default as forms } from '../plugins/forms.ts'
export { default as governance, type GovernanceOptions } from '../plugins/governance.ts'
export { default as health, type HealthOptions, type HealthState } from '../plugins/health.ts'
export { default as metrics, type MetricsOptions } from '../plugins/metrics.ts'
export { default as passThrough } from '../plugins/pass-through.ts'
export { default as persister, type PersisterPluginOptions } from '../plugins/persister.ts'
export { default as proxy, type ProxyOptions } from '../plugins/proxy.ts'
export { default as rateLimiter } from '../plugins/rate-limiter.ts'
export { default as requestFacts, type RequestFactsOptions } from '../plugins/request-facts.ts'
export { default as selfService } from '../plugins/self-service.ts'
export { default as storedResponses, type StoredResponsesOptions } from '../plugins/stored-responses.ts'
export { default as usageTracker, type UsageTrackerOptions } from '../plugins/usage-tracker.ts'
export { default as webSockets } from '../plugins/web-sockets.ts'
export { createGovernance, type Governance, type GovernanceParts } from './governance.ts'
export { type Books, type BooksOptions, openBooks } from './persist/books.ts'
export { Persister, type PersisterOptions } from './persist/persister.ts'
export { defaultSettings, type Settings } from './schemas/settings.ts'
export { type Clock, ManualClock, systemClock } from './units/clock.ts'
