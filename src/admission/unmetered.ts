/**
 * Unmetered calls: what keys with `passthrough` send to paths that name no model. They count as requests, and as nothing else.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Price } from '../pricing/price.ts'
import type { NanoUsd } from '../units/money.ts'
import { ZERO_USD } from '../units/money.ts'
import { accept, type Result } from './decision.ts'
import { readDryRun, readTags } from './read-facts.ts'
import type { ApiFormat, Endpoint, RequestFacts } from './request-facts.ts'

export interface UnmeteredSource {
  readonly method: string
  /** What follows the provider's name. */
  readonly path: string
  /** The endpoint below whose path `path` lies; absent = below the base URL. */
  readonly below?: Endpoint
  /** As sent, without the question mark. */
  readonly query: string
  readonly headers: IncomingHttpHeaders
  /** The provider's own, which decides where its credential goes. */
  readonly format: ApiFormat
  readonly body: Readable | null
}

/** What an admin has said is fine. */
export const UNMETERED: Price = { cost: (): NanoUsd => ZERO_USD, bound: (): NanoUsd => ZERO_USD }

export function unmeteredFacts({
  method,
  path,
  below,
  query,
  headers,
  format,
  body,
}: UnmeteredSource): Result<RequestFacts> {
  const tags = readTags(headers['x-bursar-tags'])
  if (!tags.ok) return tags
  const dryRun = readDryRun(headers)
  if (!dryRun.ok) return dryRun
  return accept({
    format,
    endpoint: 'passthrough',
    requestedModel: '',
    modelSpan: null,
    stream: false,
    asksForUsage: false,
    streamOptionsSpan: null,
    outputCeiling: null,
    choices: 1,
    producesOutput: false,
    textBytes: 0,
    flatInputTokens: 0,
    messages: 0,
    attachments: 0,
    usesStoredInput: false,
    body: NO_BYTES,
    unmetered: {
      method,
      path,
      body,
      bytes: headers['content-length'] ?? null,
      ...(below === undefined ? {} : { below }),
    },
    query,
    tags: tags.value,
    dryRun: dryRun.value,
  })
}

const NO_BYTES = Buffer.alloc(0)
