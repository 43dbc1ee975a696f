/** Outgoing: the call to a provider that an admitted attempt is. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Admitted } from '../admission/admission.ts'
import type { CallOptions } from './call-options.ts'
import { requestHeaders } from './headers.ts'
import { outgoingBody, pathName } from './rewrite.ts'
import { nativeTarget, type Target, targetBelow, targetOf } from './targets.ts'

/** @param headers the client's */
export function outgoingCall(
  admitted: Admitted,
  headers: IncomingHttpHeaders,
  options: CallOptions,
): { readonly origin: string; readonly call: Dispatcher.DispatchOptions } {
  const { candidate, request } = admitted
  const { facts, requestId } = request
  const { origin, path } = targetFor(admitted)
  const { body, headers: ofBody } = outgoingBody(facts, candidate, options.insertedCeiling)
  const sent = requestHeaders(headers, candidate, facts.format, requestId)
  sent.push(...ofBody)
  const call: Dispatcher.DispatchOptions = {
    path,
    method: facts.unmetered?.method ?? 'POST',
    headers: sent,
    body,
    headersTimeout: headersTimeoutOf(admitted, options),
    bodyTimeout: options.idleTimeoutMs,
  }
  return { origin, call }
}

/** How long a provider may take to begin its answer, in ms: its own time, where an admin has set one. */
export function headersTimeoutOf({ candidate }: Pick<Admitted, 'candidate'>, options: CallOptions): number {
  return candidate.provider.timeoutMs ?? options.headersTimeoutMs
}

function targetFor({ candidate, request: { facts } }: Admitted): Target {
  const { format, endpoint, query, native, unmetered } = facts
  const { provider } = candidate
  if (unmetered === undefined) {
    return targetOf(provider, format, endpoint, pathName(facts, candidate), query, native?.classic)
  }
  const { path, below } = unmetered
  return below === undefined ? nativeTarget(provider, path, query) : targetBelow(provider, format, below, path, query)
}
