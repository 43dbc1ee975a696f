/** The admin API of a gateway that runs, over HTTP. */
import { Readable } from 'node:stream'
import { request } from 'undici'
import { AdminCallError, type AdminClient, refusedCall } from './admin-client.ts'

/** @param url where the admin listener is, without `/api` */
export function remoteAdmin(url: string, key: string): AdminClient {
  const base = url.replace(/\/+$/, '')
  return {
    async open(method, path, body) {
      const stream = body !== undefined && 'stream' in body && body.stream instanceof Readable ? body : null
      const type = stream === null ? 'application/json' : String(stream.type)
      const answer = await request(`${base}/api${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': type }) },
        ...(body === undefined ? {} : { body: stream === null ? JSON.stringify(body) : (stream.stream as Readable) }),
        // An import may take its time.
        headersTimeout: 0,
        bodyTimeout: 0,
      }).catch((error: Error & { code?: string }) => {
        throw new AdminCallError(`the admin API at ${base} cannot be reached (${error.code ?? error.message})`, {
          cause: error,
        })
      })
      if (answer.statusCode >= 300) throw refusedCall(answer.statusCode, await answer.body.text())
      return answer.body
    },
    close: async () => {},
  }
}
