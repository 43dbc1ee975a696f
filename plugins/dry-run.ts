/** Dry run: the answer to a request that only asks what would happen to it, and its line in the log. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Explanation } from '../src/admission/explanation.ts'
import { traceIdOf } from '../src/admission/trace.ts'

export function answerDryRun(request: FastifyRequest, reply: FastifyReply, explanation: Explanation): FastifyReply {
  const { verdict, code, provider } = explanation
  const line = {
    decision: 'explained',
    verdict,
    code,
    ...request.principal?.ids,
    provider,
    model: request.facts?.requestedModel ?? null,
    endpoint: request.routeOptions.config.endpoint ?? null,
    traceId: traceIdOf(request.headers),
  }
  request.log.info(line, 'dry run answered')
  return reply.send(explanation)
}
