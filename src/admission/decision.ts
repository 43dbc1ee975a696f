/**
 * A refusal is a value until the last line of a plugin: what the core returns instead of throwing.
 */
import type { ErrorCode } from '../schemas/errors.ts'

declare const declared: unique symbol
/** A code that the plugin of a platform team has declared; its status comes with the refusal. */
export type TeamCode = string & { readonly [declared]: true }

/** Why a request is refused, in the form every caller's error body is made from. */
export interface Refusal {
  readonly code: ErrorCode | TeamCode
  /** For people; never a key, a prompt or another tenant's id. */
  readonly message: string
  /** HTTP status, where it differs from the code's usual one. */
  readonly status?: number
  /** The request field at fault, when there is one. */
  readonly param?: string
  readonly details?: unknown
  /** Whole seconds; absent when waiting does not help. */
  readonly retryAfterS?: number
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal }

export function accept<T>(value: T): Result<T> {
  return { ok: true, value }
}

export function refuse(code: ErrorCode, message: string, rest: Omit<Refusal, 'code' | 'message'> = {}): Result<never> {
  return { ok: false, refusal: { code, message, ...rest } }
}
