/** The settings that calls to providers follow. */
import type { Settings } from '../schemas/settings.ts'

export interface CallOptions {
  readonly attemptsMax: number
  readonly headersTimeoutMs: number
  /** Longest pause between two pieces of an answer, and longest time a client may leave its own unread. */
  readonly idleTimeoutMs: number
  /** Longest time from a call to the end of its answer. */
  readonly totalTimeoutMs: number
  /** A collected answer whose client has gone: finish it and charge what is reported, or cancel it and charge the hold. */
  readonly onAbort: 'finish' | 'cancel'
  readonly streamCostComment: boolean
  /** Output tokens to write into requests that name no ceiling; null to leave them alone. */
  readonly insertedCeiling: number | null
  /** Largest answer that is collected. */
  readonly answerMaxBytes: number
}

export function callOptionsOf(settings: Settings, answerMaxBytes: number): CallOptions {
  const { server, outputCeiling, onAbort, streamCostComment } = settings
  return {
    attemptsMax: server.maxAttempts,
    headersTimeoutMs: server.headersTimeoutMs,
    idleTimeoutMs: server.idleTimeoutMs,
    totalTimeoutMs: server.totalTimeoutMs,
    onAbort,
    streamCostComment,
    insertedCeiling: outputCeiling.mode === 'insert' ? outputCeiling.assumedTokens : null,
    answerMaxBytes,
  }
}
