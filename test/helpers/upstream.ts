/** A provider inside the test: a bare HTTP server that answers as the test says and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly response: ServerResponse
  /** The caller's connection has closed before the answer was whole. */
  gone: boolean
}

export interface Upstream {
  /** Without a path. */
  readonly url: string
  readonly received: Received[]
  /** Answers from now on. */
  answer: (received: Received) => void
}

export async function startUpstream(t: TestContext, answer: (received: Received) => void): Promise<Upstream> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const received: Received = { method, url, headers, body: Buffer.concat(chunks), response, gone: false }
      response.on('close', () => {
        received.gone = !response.writableFinished
      })
      upstream.received.push(received)
      upstream.answer(received)
    })
  })
  // A race between this server's own time-out and the next request would look like a fault of the gateway.
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const upstream: Upstream = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: [],
    answer,
  }
  return upstream
}

/** An answer in one piece. */
export function json(
  status: number,
  body: unknown,
  headers: Record<string, string | string[]> = {},
): (received: Received) => void {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

/** The head of an event stream and its first bytes; the test writes the rest. */
export function stream(...parts: string[]): (received: Received) => void {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    for (const part of parts) response.write(part)
  }
}

/** A port on which nobody listens. */
export async function deadUrl(): Promise<string> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}
