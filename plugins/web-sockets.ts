/**
 * WebSockets: hands requests that want to leave HTTP to the flow like every other, so that whoever may not is refused with an HTTP answer.
 * The provider's connection and the client's are then joined as they are; what they say to each other is not looked at.
 *
 * Hooks: the server's `upgrade` event; onRequest; preClose, which ends what is open: a conversation has no end of its own to wait for.
 * Leaves behind: `request.upgraded`.
 */
import { once } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import type { Upgraded } from '../src/providers/tunnel.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The connection of a request that wants a WebSocket; null for every other. */
    upgraded: Upgraded | null
  }
}

/** "Going away" (1001), as a frame of the protocol. */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9])
/** How long a client may take to answer it. */
const GOODBYE_MS = 1_000
/** A peer that has vanished without a word is noticed some minutes later. */
const KEEP_ALIVE_MS = 30_000
const HELD_BACK_MAX_BYTES = 64 * 1024

function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

export default fp(
  async function webSockets(fastify) {
    const waiting = new WeakMap<IncomingMessage, Upgraded>()
    const open = new Map<Socket, ServerResponse>()

    fastify.decorateRequest('upgraded', null)

    // Other upgrades (h2c, which some clients offer with every request) are left alone: such a request is served as it is.
    Object.assign(fastify.server, { shouldUpgradeCallback: wantsWebSocket })

    fastify.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      // Refused, or no WebSocket after all: then this connection has no further use.
      response.once('finish', () => socket.end())
      open.set(socket, response)
      socket.once('close', () => open.delete(socket))
      waiting.set(request, heldBack(socket, head))
      fastify.routing(request, response)
    })

    fastify.addHook('onRequest', (request, _reply, done) => {
      request.upgraded = waiting.get(request.raw) ?? null
      done()
    })

    fastify.addHook('preClose', async () => {
      await Promise.all([...open].map(([socket, { socket: answering }]) => sayGoodbye(socket, answering === null)))
    })
  },
  { name: 'web-sockets', fastify: '5.x' },
)

/** Reads on, so that a client that leaves is noticed; there is nothing that it should say before it has its answer. */
function heldBack(socket: Socket, head: Buffer): Upgraded {
  const parts = [head]
  let bytes = head.length
  const keep = (part: Buffer) => {
    parts.push(part)
    bytes += part.length
    if (bytes > HELD_BACK_MAX_BYTES) socket.destroy()
  }
  const leave = () => socket.destroy()
  // An error that nobody hears would end the process; 'close' follows.
  socket.on('error', () => {})
  socket.on('data', keep)
  socket.once('end', leave)
  return {
    socket,
    take() {
      socket.off('data', keep).off('end', leave)
      return Buffer.concat(parts)
    },
  }
}

async function sayGoodbye(socket: Socket, isWebSocket: boolean): Promise<void> {
  if (isWebSocket && socket.writable) socket.end(GOING_AWAY)
  const late = setTimeout(() => socket.destroy(), GOODBYE_MS)
  if (!socket.destroyed) await once(socket, 'close')
  clearTimeout(late)
}
