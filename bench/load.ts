/** Load: closed loops of so many connections, and open ones at a rate, through undici's dispatch, so that the generator is not what is measured. */
import { createHistogram } from 'node:perf_hooks'
import { type Dispatcher, Pool } from 'undici'

export interface Call {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface Measured {
  readonly requests: number
  readonly seconds: number
  /** ms. */
  readonly p50: number
  readonly p99: number
}

/** One call, to its last byte. Rejects on anything but 200. */
function one(pool: Pool, { path, headers, body }: Call): Promise<void> {
  return new Promise((resolve, reject) => {
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart(_controller, status) {
        if (status !== 200) reject(new Error(`${path} was answered ${status}`))
      },
      onResponseData() {},
      onResponseEnd: () => resolve(),
      onResponseError: (_controller, error) => reject(error),
    }
    pool.dispatch({ path, method: 'POST', headers, body }, handler)
  })
}

const ms = (ns: number) => Math.round(ns / 1e4) / 100

/** `call` may be another each time. `connections` clients, each asking anew as soon as it is answered, until `requests` are done. */
export async function closedLoop(
  origin: string,
  call: Call | (() => Call),
  connections: number,
  requests: number,
): Promise<Measured> {
  const pool = new Pool(origin, { connections })
  const histogram = createHistogram()
  let left = requests
  const startedAt = performance.now()
  const client = async () => {
    while (left-- > 0) {
      const askedAt = performance.now()
      await one(pool, typeof call === 'function' ? call() : call)
      histogram.record(Math.max(1, Math.round((performance.now() - askedAt) * 1e6)))
    }
  }
  await Promise.all(Array.from({ length: connections }, client))
  const seconds = (performance.now() - startedAt) / 1_000
  await pool.close()
  return { requests, seconds, p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)) }
}

/** `rate` requests a second whatever becomes of those before; what is late counts from when it was due. */
export async function openLoop(
  origin: string,
  call: Call | (() => Call),
  rate: number,
  seconds: number,
): Promise<Measured> {
  const pool = new Pool(origin, { connections: 64 })
  const histogram = createHistogram()
  const running: Promise<void>[] = []
  const startedAt = performance.now()
  const wanted = rate * seconds
  for (let asked = 0; asked < wanted; ) {
    for (const due = Math.min(wanted, ((performance.now() - startedAt) / 1_000) * rate); asked < due; asked += 1) {
      const dueAt = startedAt + (asked / rate) * 1_000
      running.push(
        one(pool, typeof call === 'function' ? call() : call).then(() =>
          histogram.record(Math.max(1, Math.round((performance.now() - dueAt) * 1e6))),
        ),
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(running)
  await pool.close()
  return { requests: wanted, seconds, p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)) }
}
