/**
 * Errors: the exceptions that leave a hook of ours. The core returns refusals as values; here they become something to throw.
 *
 * Codes, statuses and their meaning stand in one table, src/schemas/errors.ts.
 */
import createError from '@fastify/error'
import type { Refusal } from '../src/admission/decision.ts'
import { statusOf } from '../src/admission/error-body.ts'

/** Refusals are ordinary answers and may come by the thousand, so they carry no stack. */
const Refused = createError<[message: string]>('BURSAR_REFUSED', '%s', 500, Error, false)

/** A request is refused; plugins/error-handler.ts renders it in the caller's format. */
export class GatewayError extends Refused {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
    this.code = refusal.code
    this.statusCode = statusOf(refusal)
  }
}

/** A hook ran before the one whose result it needs: the plugins are registered in the wrong order. */
export const AdmissionOutOfOrder = createError<[plugin: string]>(
  'BURSAR_ADMISSION_OUT_OF_ORDER',
  'The hook of %s ran before auth and request-facts had done their part',
  500,
)
