/** A TCP proxy in front of Postgres that breaks connections where a test wants them broken. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface CutProxy {
  readonly port: number
  /** Destroys every connection there is, on both sides. */
  cut(): void
  /** Lets the next COMMIT through and destroys its connection when the server has answered: the reply is lost, the commit is not. */
  loseCommitReply(): void
  /** How many replies have been lost so. */
  readonly lostReplies: number
}

export async function cutProxy(t: TestContext, serverPort: number): Promise<CutProxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let armed = false
  let lost = 0
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      for (const socket of pair) socket.destroy()
    }
    let awaitsCommit = false
    client.on('data', (bytes) => {
      if (armed && /\bcommit\0/i.test(bytes.toString('latin1'))) {
        armed = false
        awaitsCommit = true
      }
      upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      if (!awaitsCommit) return void client.write(bytes)
      lost += 1
      end()
    })
    for (const socket of pair) socket.on('error', end).on('close', end)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  t.after(() => {
    server.close()
    cut()
  })
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    loseCommitReply() {
      armed = true
    },
    get lostReplies() {
      return lost
    },
  }
}
