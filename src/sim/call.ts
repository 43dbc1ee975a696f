/** One call on its way through the simulated provider, and the two forms an answer can take. */
import type { Usage } from '../usage/usage.ts'
import { Refused } from './errors.ts'
import type { OpenEntry } from './ledger.ts'
import { findModel, type SimModel } from './models.ts'
import type { SimSettings } from './settings.ts'
import type { KeptResponses } from './stored-responses.ts'

export interface SimCall {
  /** In every id of the answer: tells calls and provider instances apart. */
  readonly mark: string
  /** Wall time of arrival, ms. */
  readonly at: number
  readonly settings: SimSettings
  readonly body: Buffer
  /** As sent; empty where there is none. */
  readonly contentType: string
  /** The query string without its question mark. */
  readonly query: string
  /** The model, where the path names it. */
  readonly pathModel: string | null
  readonly entry: OpenEntry
  /** What the provider keeps of earlier calls. */
  readonly kept: KeptResponses
}

/** A piece of a stream that goes to the socket in one write. */
export interface Chunk {
  readonly text: string
  /** Visible output tokens in it; 0 for the events around the content. */
  readonly tokens: number
  /** Whether it carries the usage report. */
  readonly usage: boolean
  /** Milliseconds to the next chunk, where that is not the call's own pace. */
  readonly pauseMs?: number
}

/** An answer in one piece. `tokens` are its visible output tokens. */
export interface Whole {
  readonly kind: 'whole'
  readonly body: string | Buffer
  /** Absent = JSON. */
  readonly contentType?: string
  readonly tokens: number
  readonly usage: Usage | null
}

export interface Streamed {
  readonly kind: 'stream'
  readonly contentType: string
  readonly chunks: Iterator<Chunk, void>
  /** How many of the chunks carry content. */
  readonly contentChunks: number
  /** Of the whole answer. */
  readonly usage: Usage
  /** What the stream says when it fails in its middle. */
  readonly failure: string
}

export type Answer = Whole | Streamed

export const EVENT_STREAM = 'text/event-stream; charset=utf-8'

/** An answer that costs nothing. */
export function free(value: unknown): Whole {
  return { kind: 'whole', body: JSON.stringify(value), tokens: 0, usage: null }
}

/** What a failing provider says, in whatever format. */
export function brokenDown(): Refused {
  return new Refused(500, 'The simulated provider was told to fail here.')
}

/** The model a call names, noted in the ledger; throws `Refused` where none is named, it is unknown, or of the other kind. */
export function modelOf(call: SimCall, name: unknown, kind: Exclude<SimModel['kind'], 'any'>): SimModel {
  if (typeof name !== 'string' || name === '') {
    throw new Refused(400, 'You must provide a model parameter.', { param: 'model' })
  }
  call.entry.model = name
  const model = findModel(name, call.settings.anyModel)
  if (model === null) {
    throw new Refused(404, `The model \`${name}\` does not exist or you do not have access to it.`, {
      code: 'model_not_found',
      param: 'model',
    })
  }
  if (model.kind !== 'any' && model.kind !== kind) {
    throw new Refused(404, `The model \`${name}\` is not a model for ${kind}.`, {
      param: 'model',
    })
  }
  return model
}
