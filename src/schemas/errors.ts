/**
 * Every refusal and error a caller can see, once: code → HTTP status → when. Classes, bodies and documentation are made from it
 * (CONTRACT section 4).
 */
export const ERRORS = {
  key_missing: { status: 401, when: 'no credential was presented and keys are mandatory' },
  key_unknown: { status: 401, when: 'the presented key is not known' },
  key_disabled: { status: 403, when: 'the key or its user is disabled, or the user is past its time' },
  key_expired: { status: 403, when: 'the key is past its expires_at' },
  ip_not_allowed: { status: 403, when: 'the address is outside the key’s allow list or over the user’s address cap' },
  provider_not_allowed: { status: 403, when: 'the key may not use this provider' },
  model_not_allowed: { status: 403, when: 'the key may not use this model' },
  endpoint_not_allowed: { status: 403, when: 'the key may not use this endpoint' },
  model_not_found: { status: 404, when: 'no provider has this model' },
  model_price_unknown: { status: 403, when: 'a cost limit applies and the model has no price' },
  request_too_large: { status: 413, when: 'the body is over the limit' },
  invalid_request: { status: 400, when: 'the request cannot be read or contradicts itself' },
  key_in_query: { status: 400, when: 'a key was sent in the query string' },
  unsupported_media_type: { status: 415, when: 'the body is of a type or encoding this route does not take' },
  method_not_allowed: { status: 405, when: 'the path exists with another method' },
  not_found: { status: 404, when: 'there is no such route or entity' },
  rate_limited: { status: 429, when: 'a request, token or concurrency limit is full' },
  budget_exceeded: { status: 402, when: 'a cost limit is full' },
  limit_unreachable: {
    status: 402,
    when: 'this one request is larger than a whole limit (429 for limits other than cost)',
  },
  limit_invalid: { status: 503, when: 'a limit of the chain cannot be read' },
  upstream_auth_failed: { status: 502, when: 'the provider refused our credential' },
  upstream_unreachable: { status: 502, when: 'no attempt reached the provider' },
  upstream_timeout: { status: 504, when: 'the provider did not answer in time' },
  overloaded: { status: 503, when: 'the journal cannot be written, or the process is draining' },
  internal: { status: 500, when: 'a bug of ours' },
  unauthorized: { status: 401, when: 'no valid management key (admin API)' },
  forbidden: { status: 403, when: 'the management key’s role does not allow this (admin API)' },
  conflict: { status: 409, when: 'the name or identity exists, or the entity is still referenced (admin API)' },
  database_unavailable: { status: 503, when: 'the database is away, so nothing can be changed (admin API)' },
} as const satisfies Record<string, { readonly status: number; readonly when: string }>

export type ErrorCode = keyof typeof ERRORS

const ADMIN_ONLY = '(admin API)'

/** Those that a caller of the gateway can see. */
export const GATEWAY_CODES: readonly string[] = Object.entries(ERRORS)
  .filter(([, { when }]) => !when.endsWith(ADMIN_ONLY))
  .map(([code]) => code)
