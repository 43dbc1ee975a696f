/**
 * Refused: how a control operation says no. An exception, because it has to roll the transaction back on its way out.
 */
import type { Refusal } from '../admission/decision.ts'
import type { Problem } from '../schemas/lists.ts'
import { summaryOf } from '../schemas/problems.ts'

export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly refusal: Refusal

  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(refusal.message, options)
    this.refusal = refusal
  }
}

/** The body cannot be taken: 400, with every problem and its place. */
export function invalid(problems: readonly Problem[]): ControlError {
  const [first] = problems
  return new ControlError({
    code: 'invalid_request',
    message: summaryOf(problems),
    ...(first === undefined || first.path === '' ? {} : { param: first.path }),
    details: problems,
  })
}

/** 404. */
export function notFound(what: string, id: string): ControlError {
  return new ControlError({ code: 'not_found', message: `There is no ${what} ${id}.` })
}

/** 409: it exists, or something still refers to it. `path` names the field at fault, where there is one. */
export function conflict(message: string, path?: string): ControlError {
  return new ControlError({
    code: 'conflict',
    message,
    ...(path === undefined ? {} : { param: path, details: [{ path, message }] }),
  })
}

/** `limits[0]` and `max` as `limits[0].max`. */
export function at(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`
}

/** Collects what is wrong, so that one answer names all of it. */
export class Problems {
  readonly list: Problem[] = []

  add(path: string, message: string): void {
    this.list.push({ path, message })
  }

  /** Throws 400 when something was added. */
  check(): void {
    if (this.list.length > 0) throw invalid(this.list)
  }
}
