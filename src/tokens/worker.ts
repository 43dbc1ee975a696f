/**
 * The counting thread: parses a body again and counts its texts, off the event loop. One body at a time, each until its deadline.
 */

import { parentPort } from 'node:worker_threads'
import type { TextCount } from '../admission/estimate.ts'
import { weightOf } from '../admission/read-facts.ts'
import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import { systemClock } from '../units/clock.ts'
import { parseJson } from '../units/json.ts'
import { isObject } from '../units/json-object.ts'
import { countTexts } from './count.ts'
import { repeatsNames, textsOf } from './texts.ts'

export interface CountRequest {
  readonly id: number
  readonly format: ApiFormat
  readonly endpoint: Endpoint
  /** A body that has been read before: valid, and not too deep. */
  readonly body: Uint8Array
  /** Monotonic ms. */
  readonly deadline: number
}

export interface CountReply {
  readonly id: number
  /** Null where the time was up, or the body cannot be counted. */
  readonly count: TextCount | null
}

export type FromCounting = CountReply | 'ready'

const port = parentPort
if (port === null) throw new Error('this file runs as a worker thread')
port.on('message', (request: CountRequest) => {
  port.postMessage({ id: request.id, count: countOrNull(request) } satisfies FromCounting)
})

port.postMessage('ready' satisfies FromCounting)

/** A body that we cannot cope with must not take the thread from all others. */
function countOrNull(request: CountRequest): TextCount | null {
  try {
    return countBody(request)
  } catch {
    return null
  }
}

function countBody({ format, endpoint, body, deadline }: CountRequest): TextCount | null {
  const expired = () => systemClock.elapsed() >= deadline
  if (expired()) return null
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()
  const value: unknown = parseJson(text)
  if (!isObject(value) || repeatsNames(text, value)) return null
  const { inlined } = weightOf(value, format, endpoint)
  return countTexts(textsOf(value, inlined), expired)
}
