/**
 * Slow sides: clients that read 1 KB a second of streams that their provider sends at full speed, and what that does to memory.
 *
 *     npx node scripts/slow-clients.ts [--clients 1000] [--seconds 20]
 *
 * Goal: with 1,000 of them the program grows by less than 200 MB, others are served meanwhile, and when they hang up every call to the provider
 * ends and nothing stays held. Not in the suite: the kernel's own buffers take up to 2 GB (`tcp_mem`), which is everybody's.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import process from 'node:process'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { residentOf } from '../bench/process-cpu.ts'
import { eventually } from '../test/helpers/eventually.ts'
import { startProgram } from '../test/helpers/program.ts'

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '20' } },
})
const CLIENTS = Number(values.clients)
const GROWTH_MAX_MIB = 200
const BYTES_A_SECOND = 1_024
const EVENT = Buffer.from(
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'word '.repeat(40) }, finish_reason: null }] })}\n\n`,
)
const PIECE = Buffer.concat(Array.from({ length: 64 }, () => EVENT))
const SHORT = JSON.stringify({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 5 } })

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

test(`${CLIENTS} clients that read ${BYTES_A_SECOND} bytes a second`, async (t) => {
  const open = new Set<ServerResponse>()
  let sent = 0
  const provider = createServer(async (request, response) => {
    const pieces = await Array.fromAsync(request)
    if (!Buffer.concat(pieces).includes('"stream":true')) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(SHORT)
      return
    }
    open.add(response)
    response.once('close', () => open.delete(response))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    while (!response.destroyed) {
      sent += PIECE.length
      if (!response.write(PIECE)) await drained(response)
    }
  })
  provider.listen(0, '127.0.0.1')
  await once(provider, 'listening')
  t.after(() => {
    provider.closeAllConnections()
    provider.close()
  })
  const { port } = provider.address() as AddressInfo
  const key = '{ name: main, value: "sk-of-the-provider" }'
  const yaml = `providers: [{ name: openai, kind: openai, base_url: "http://127.0.0.1:${port}/v1", keys: [${key}] }]\n`
  const program = await startProgram(t, { yaml })
  const limit = { metric: 'cost', max: '1000000', window: '1d' }
  const { key: virtualKey } = await program.admin<{ key: string }>('POST', '/virtual-keys', {
    name: 'k',
    limits: [limit],
  })
  const authorization = `Bearer ${virtualKey}`
  const ask = (stream: boolean) =>
    JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 100, stream, messages: [{ role: 'user', content: 'Go on.' }] })
  const url = `${program.gatewayUrl}/v1/chat/completions`
  const post = async () => {
    const headers = { authorization, 'content-type': 'application/json' }
    const startedAt = performance.now()
    const response = await fetch(url, { method: 'POST', headers, body: ask(false) })
    if (response.status !== 200) throw new Error(await response.text())
    await response.text()
    return performance.now() - startedAt
  }
  for (let warmed = 0; warmed < 500; warmed += 1) await post()
  const before = residentOf(program.pid)

  const { hostname, port: gatewayPort } = new URL(program.gatewayUrl)
  const sockets: Socket[] = []
  for (let n = 0; n < CLIENTS; n += 1) {
    const body = ask(true)
    const socket = connect({ host: hostname, port: Number(gatewayPort) })
    socket.on('error', () => {})
    socket.pause()
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    sockets.push(socket)
    if (n % 50 === 49) await delay(20)
  }
  await eventually(() => {
    if (open.size !== CLIENTS) throw new Error(`${open.size} of ${CLIENTS} streams have begun`)
  }, 60_000)

  let most = 0
  let slowest = 0
  for (let second = 0; second < Number(values.seconds); second += 1) {
    for (const socket of sockets) socket.read(Math.min(BYTES_A_SECOND, socket.readableLength))
    slowest = Math.max(slowest, await post())
    most = Math.max(most, residentOf(program.pid))
    await delay(1_000)
  }
  const growth = most - before
  process.stdout.write(
    `${CLIENTS} clients: ${before} MiB before, ${most} at most: ${growth} more; ${Math.round(sent / 1_048_576)} MiB taken from the provider; slowest other request ${Math.round(slowest)} ms\n`,
  )

  for (const socket of sockets) socket.destroy()
  await eventually(async () => {
    if (open.size > 0) throw new Error(`${open.size} calls go on after their clients have gone`)
    const response = await fetch(`${program.gatewayUrl}/v1/key`, { headers: { authorization } })
    const { limits } = (await response.json()) as { limits: { held: string }[] }
    if (Number(limits[0]?.held) !== 0) throw new Error(`${limits[0]?.held} dollars stay held`)
  }, 60_000)
  if (growth >= GROWTH_MAX_MIB) throw new Error(`it has grown by ${growth} MiB`)
})
