/** The provider of the benchmarks: answers at once, or streams 200 chunks as fast or as slowly as it is told, with as little work as it can. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const USAGE = { prompt_tokens: 12, completion_tokens: 9, total_tokens: 21 }
const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_760_000_000,
    model: 'gpt-4o-mini',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'A short answer, as most of them are.' },
        finish_reason: 'stop',
      },
    ],
    usage: USAGE,
  }),
)
const EMBEDDING = Buffer.from(
  JSON.stringify({
    object: 'list',
    model: 'text-embedding-3-small',
    data: [{ object: 'embedding', index: 0, embedding: Array.from({ length: 256 }, (_, n) => n / 1_000) }],
    usage: { prompt_tokens: 12, total_tokens: 12 },
  }),
)
const CHUNKS = 200
const head = { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_760_000_000, model: 'gpt-4o-mini' }
const chunk = (fields: object) => Buffer.from(`data: ${JSON.stringify({ ...head, ...fields })}\n\n`)
const TEXT = chunk({ choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }] })
const END = Buffer.concat([
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
  chunk({ choices: [], usage: USAGE }),
  Buffer.from('data: [DONE]\n\n'),
])

/** `x-bench-stream`: ms between two chunks; 0 = as fast as they are read. */
function stream(response: ServerResponse, everyMs: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let sent = 0
  const one = () => {
    sent += 1
    response.write(TEXT)
    return sent < CHUNKS
  }
  if (everyMs === 0) {
    while (one());
    response.end(END)
    return
  }
  const timer = setInterval(() => {
    if (one()) return
    clearInterval(timer)
    response.end(END)
  }, everyMs)
}

const server = createServer((request, response) => {
  request.resume()
  request.once('end', () => {
    const everyMs = request.headers['x-bench-stream']
    if (everyMs !== undefined) return stream(response, Number(everyMs))
    const body = request.url?.includes('embeddings') === true ? EMBEDDING : ANSWER
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
  })
})
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
