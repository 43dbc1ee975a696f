/** The least a proxy in Node.js can do: node:http in front, undici's dispatch behind, bodies passed on unread. `argv[2]`: where to. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'

const pool = new Pool(process.argv[2] ?? '')
const server = createServer((request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.once('end', () => {
    const headers: Record<string, string | string[] | undefined> = { ...request.headers }
    for (const name of ['host', 'connection', 'content-length', 'transfer-encoding']) delete headers[name]
    const call = { path: request.url ?? '/', method: 'POST' as const, headers, body: Buffer.concat(pieces) }
    pool.dispatch(call, {
      onRequestStart() {},
      onResponseStart(_controller, status, answer) {
        delete answer.connection
        delete answer['keep-alive']
        response.writeHead(status, answer)
      },
      onResponseData: (_controller, piece) => void response.write(piece),
      onResponseEnd: () => void response.end(),
      onResponseError: () => void response.destroy(),
    })
  })
})
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
