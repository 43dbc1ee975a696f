/**
 * Usage tracker: ends every admitted attempt once, in the meters and in the journal, and is the net under all of them.
 *
 * Hooks: onRequest, to hang the net on the connection: `close` is the one event that follows every request, also one whose client has
 * gone. What was admitted and never forwarded is returned there; what was forwarded ends itself. onError, to write refusals down.
 * Leaves behind: `fastify.usageTracker`; plugins that want every event call its `onEvent`.
 */
import fp from 'fastify-plugin'
import { statusOf } from '../src/admission/error-body.ts'
import { fieldsTo } from '../src/log.ts'
import { RefusalRecorder } from '../src/usage/refusals.ts'
import { UsageTracker } from '../src/usage/tracker.ts'
import { GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    usageTracker: UsageTracker
  }
}

export interface UsageTrackerOptions {
  /** Made of the gateway's governance; several gateways of one process share one. Absent = one of its own. */
  tracker?: UsageTracker
  /** How often holds past every time-out are looked for, in ms. That there is one is a bug, so seldom is enough. */
  overdueEveryMs?: number
}

export default fp<UsageTrackerOptions>(
  async function usageTracker(fastify, options) {
    const { overdueEveryMs = 60_000 } = options
    const tracker = options.tracker ?? new UsageTracker({ ...fastify.governance, log: fastify.log })
    fastify.decorate('usageTracker', tracker)

    fastify.addHook('onRequest', (request, reply, done) => {
      if (request.routeOptions.config.endpoint != null) {
        reply.raw.once('close', () => {
          if (request.admitted !== null) tracker.abandon(request.admitted)
        })
      }
      done()
    })

    // The one log line of a request that was let through, and one more for each attempt that another followed: ids, amounts and times,
    // never what was said. Who was turned away before has the error handler's line.
    const write = fieldsTo(fastify.log)
    tracker.onEvent((_event, { request }, { overheadMs, ending, cause, last, json }) => {
      const event = json.slice(1, -1)
      const traceId = JSON.stringify(request.trace?.traceId ?? null)
      write(
        `"decision":"forwarded","ending":"${ending}","cause":${JSON.stringify(cause)},${event},"overheadMs":${overheadMs},"traceId":${traceId}`,
        last ? 'request ended' : 'attempt ended',
      )
    })

    // Thresholds (alert_at) that the posted amounts have reached.
    tracker.onEvent((event) => fastify.governance.alerts.look(event))

    const refusals = new RefusalRecorder(fastify.governance.facts, fastify.governance.clock)
    fastify.addHook('onError', (request, _reply, error, done) => {
      const { principal, facts, bursarId: requestId, admitted } = request
      // What came after admission has the events of its attempts.
      if (error instanceof GatewayError && principal !== null && admitted === null) {
        const endpoint = request.routeOptions.config.endpoint ?? 'other'
        const { refusal } = error
        refusals.record({ requestId, principal, facts, endpoint, refusal, status: statusOf(refusal) })
      }
      done()
    })

    // A client may have left before anything was held for it: then 'close' is over, and the net with it.
    fastify.addHook('preHandler', (request, reply, done) => {
      if (request.admitted !== null && reply.raw.destroyed) tracker.abandon(request.admitted)
      done()
    })

    const sweep = setInterval(() => tracker.expireOverdue(), overdueEveryMs)
    sweep.unref()
    fastify.addHook('onClose', async () => clearInterval(sweep))
  },
  {
    name: 'usage-tracker',
    fastify: '5.x',
    dependencies: ['governance', 'admission'],
    decorators: { fastify: ['governance'], request: ['principal', 'facts', 'admitted'] },
  },
)
