/**
 * Proxy: the LLM routes. Forwards what was admitted and brings the answer back; last of the flow.
 *
 * Routes: the OpenAI, Anthropic and Gemini paths below, each saying its format and endpoint to the hooks before it.
 * Leaves behind: an answer with the headers of CONTRACT section 3.3, and an attempt that has been ended.
 */
import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Admitted } from '../src/admission/admission.ts'
import { BODY_ROUTES, GEMINI_METHODS, GEMINI_VERSIONS } from '../src/admission/endpoints.ts'
import { limitHeaders } from '../src/admission/headers.ts'
import { callOptionsOf } from '../src/providers/call-options.ts'
import { Dispatcher } from '../src/providers/dispatcher.ts'
import type { Exchange } from '../src/providers/exchange.ts'
import { servedHeaders, switchingProtocols } from '../src/providers/headers.ts'
import { inOnePiece } from '../src/providers/one-piece.ts'
import { Pools } from '../src/providers/pools.ts'
import { familyOf } from '../src/store/selectors.ts'
import type { NanoUsd } from '../src/units/money.ts'
import { AdmissionOutOfOrder, GatewayError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Answers an admitted request with what its provider answers. For the handlers of routes that are not here. */
    forward: (request: FastifyRequest, reply: FastifyReply) => void
  }
}

export interface ProxyOptions {
  /** Most connections to one provider; absent = as many as there are calls. */
  connectionsMax?: number
  /** Largest answer that is collected before it is sent on. */
  answerMaxBytes?: number
}

/** How often calls are looked for that have taken too long: a timer for each would cost every request. */
const SWEEP_MS = 1_000

/** A text goes as it is. What comes in its place when a later hook fails is an error's body. */
const serialize = (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body))

/** `::` is the router's way to write a colon. A model may carry its provider's name and a slash before its own. */
const GEMINI_ROUTES = GEMINI_VERSIONS.flatMap((version) =>
  Object.entries(GEMINI_METHODS).flatMap(([method, endpoint]) =>
    [':model', ':provider/:model'].map((model) => ({
      path: `/${version}/models/${model}(^[^/]+)::${method}`,
      format: 'google' as const,
      endpoint,
    })),
  ),
)

export default fp<ProxyOptions>(
  async function proxy(fastify, { connectionsMax = null, answerMaxBytes = 64 * 1024 * 1024 }) {
    const { facts, clock, estimator, ledger, resting, settings } = fastify.governance
    const { connectTimeoutMs, drainMs } = settings.server
    const dispatcher = new Dispatcher(
      {
        pools: new Pools({ connectTimeoutMs, connectionsMax }),
        facts,
        clock,
        log: fastify.log,
        tokensOfText: ({ request, candidate }, bytes) => {
          const family = familyOf(settings.modelFamilies, candidate.model) ?? ''
          return estimator.tokensOfText(bytes, request.facts.format, family)
        },
        options: callOptionsOf(settings, answerMaxBytes),
        resting,
      },
      fastify.usageTracker,
    )
    const { totalTimeoutMs } = settings.server
    const sweep = setInterval(() => fastify.usageTracker.timeOut(totalTimeoutMs), Math.min(SWEEP_MS, totalTimeoutMs))
    sweep.unref()
    fastify.addHook('onClose', async () => clearInterval(sweep))

    // The time that a stop may take begins with the stop, not when the last client has left.
    let drainUntil = 0
    fastify.addHook('preClose', async () => {
      drainUntil = clock.elapsed() + drainMs
    })
    fastify.addHook('onClose', () => dispatcher.close(Math.max(0, drainUntil - clock.elapsed())))

    const ownHeaders = (admitted: Admitted, cost: NanoUsd | null) =>
      limitHeaders(admitted.chain, ledger, clock.now(), servedHeaders(admitted, cost))

    const exchangeOf = (request: FastifyRequest, reply: FastifyReply, first: Admitted): Exchange => ({
      headers: request.headers,
      raw: reply.raw,
      upgraded: request.upgraded,
      switchProtocols(admitted, headers) {
        reply.headers(headers).headers(ownHeaders(admitted, null))
        reply.headers({ connection: 'Upgrade', upgrade: 'websocket' })
        reply.hijack()
        const { socket } = request.raw
        // From here on the connection is no response's any more.
        reply.raw.detachSocket(socket)
        socket.write(switchingProtocols(reply.getHeaders() as OutgoingHttpHeaders))
      },
      answer(admitted, status, headers, body, cost) {
        reply.code(status).headers(headers).headers(ownHeaders(admitted, cost))
        // Fastify would add a charset to the type of a text, and make one up where there is none.
        const isTyped = headers['content-type'] !== undefined
        reply.serializer(serialize).send(isTyped ? inOnePiece(body) : body)
      },
      begin(admitted, status, headers) {
        reply.headers(headers).headers(ownHeaders(admitted, null))
        // Fastify types the values of all headers alike, Node.js each by its name.
        const raw = reply.raw.writeHead(status, reply.getHeaders() as OutgoingHttpHeaders)
        reply.hijack()
        // A client that leaves is told by 'close'; an 'error' that nobody hears would end the process.
        return raw.on('error', () => {})
      },
      refuse(refusal, cost) {
        reply.headers(ownHeaders(request.admitted ?? first, cost)).send(new GatewayError(refusal))
      },
      moved(admitted) {
        request.admitted = admitted
      },
    })

    fastify.decorate('forward', (request, reply) => {
      if (request.admitted === null) throw new AdmissionOutOfOrder('proxy')
      dispatcher.forward(request.admitted, exchangeOf(request, reply, request.admitted))
    })

    for (const { path, ...config } of [...BODY_ROUTES, ...GEMINI_ROUTES]) {
      fastify.post(path, { config }, (request, reply) => fastify.forward(request, reply))
    }
  },
  {
    name: 'proxy',
    fastify: '5.x',
    dependencies: ['governance', 'admission', 'usage-tracker', 'web-sockets'],
    decorators: { fastify: ['governance', 'usageTracker'], request: ['admitted'] },
  },
)
