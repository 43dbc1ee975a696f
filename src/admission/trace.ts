/** Trace: the W3C trace context that a request came with (https://www.w3.org/TR/trace-context). The header itself is forwarded as it is. */
import type { IncomingHttpHeaders } from 'node:http'

/** Version `ff` and ids of zeros are no trace. Version `00` has four parts; those to come may have more. */
const TRACEPARENT =
  /^(?!ff|00(?:-[^-]*){4})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/

/** The trace id of `traceparent`, for logs; null where there is none, or one that is malformed. */
export function traceIdOf({ traceparent }: IncomingHttpHeaders): string | null {
  if (typeof traceparent !== 'string') return null
  return TRACEPARENT.exec(traceparent)?.[1] ?? null
}
