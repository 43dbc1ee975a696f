/** Streams as clients receive them, on real sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { ChunkedBody } from '../../src/providers/chunked-body.ts'

/** A server whose answers are written by `write`; returns its port. */
async function serve(t: TestContext, write: (body: ChunkedBody, raw: ServerResponse) => void): Promise<number> {
  const server = createServer((request, raw) => {
    request.resume()
    raw.writeHead(200, { 'content-type': 'text/event-stream' })
    write(new ChunkedBody(raw), raw)
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** All that comes back for a request written by hand, until the server closes. */
async function exchange(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(request)
  const pieces: Buffer[] = []
  for await (const piece of socket) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('latin1')
}

test('whatever the pieces are, and however large, the client gets these bytes, on a connection that it keeps', async (t) => {
  let pieces: readonly Buffer[] = []
  const connections = new Set<unknown>()
  const port = await serve(t, (body, raw) => {
    connections.add(raw.socket)
    const next = (at: number): void => {
      const piece = pieces[at]
      if (piece === undefined) {
        body.end()
        return
      }
      body.write(piece)
      // Some leave together with the one before, some alone.
      if (at % 2 === 0) setImmediate(() => next(at + 1))
      else next(at + 1)
    }
    next(0)
  })
  const bytes = fc.oneof(
    { weight: 4, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 4_000, max: 70_000 }).map((length) => new Uint8Array(length).fill(0xe4)),
    },
  )
  let asked = 0
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 8 }), async (some) => {
      pieces = some.map((piece) => Buffer.from(piece))
      const answer = await fetch(`http://127.0.0.1:${port}/`)
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), Buffer.concat(pieces))
      asked += 1
    }),
  )
  assert.ok(connections.size < asked, `${connections.size} connections for ${asked} streams`)
})

test('a small piece is one chunk in the write that has the head; the last chunk ends the body', async (t) => {
  const port = await serve(t, (body) => {
    body.write(Buffer.from('data: ä\n\n'))
    body.end()
  })
  const answer = await exchange(port, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const headEnd = answer.indexOf('\r\n\r\n') + 4
  assert.match(answer.slice(0, headEnd), /^transfer-encoding: chunked\r$/im)
  assert.equal(answer.slice(headEnd), `a\r\n${Buffer.from('data: ä\n\n').toString('latin1')}\r\n0\r\n\r\n`)
})

test('a client of HTTP/1.0, which knows no chunks, gets the bytes as they are', async (t) => {
  const port = await serve(t, (body) => {
    body.write(Buffer.from('one '))
    body.write(Buffer.alloc(5_000, 'x'))
    body.end()
  })
  const answer = await exchange(port, 'GET / HTTP/1.0\r\n\r\n')
  assert.doesNotMatch(answer, /transfer-encoding/i)
  assert.equal(answer.slice(answer.indexOf('\r\n\r\n') + 4), `one ${'x'.repeat(5_000)}`)
})

test('a body that is destroyed has no last chunk, so nobody takes it for whole', async (t) => {
  const port = await serve(t, (body, raw) => {
    body.write(Buffer.from('cut'), () => raw.destroy())
  })
  const answer = await fetch(`http://127.0.0.1:${port}/`)
  await assert.rejects(answer.text())
})
