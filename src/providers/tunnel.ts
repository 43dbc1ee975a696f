/**
 * Tunnel: two connections that have left HTTP behind (WebSockets), joined byte for byte, each no faster than the other takes it.
 */
import type { Duplex } from 'node:stream'

/** A client's connection that waits to leave HTTP. */
export interface Upgraded {
  readonly socket: Duplex
  /** What has arrived behind the request. From now on the connection is the caller's to read. */
  take(): Buffer
}

/** Joins the two until one of them ends. `ended` is called once. */
export function tunnel(client: Upgraded, provider: Duplex, ended: () => void): void {
  const { socket } = client
  let open = true
  const close = () => {
    if (!open) return
    open = false
    socket.destroy()
    provider.destroy()
    ended()
  }
  const head = client.take()
  if (head.length > 0) provider.write(head)
  join(socket, provider, close)
  join(provider, socket, close)
}

function join(from: Duplex, to: Duplex, close: () => void): void {
  // 'close' follows; an error that nobody hears would end the process.
  from.on('error', () => {})
  from.once('close', close)
  // Whoever has said its last word waits for no answer: what it said last still goes out.
  from.once('end', () => to.end(close))
  from.pipe(to, { end: false })
  if (from.destroyed) close()
}
