/**
 * Own key: what a caller is told of its own key: who it is, whom it is charged to, and how much every limit still has (CONTRACT 3).
 */
import type { Principal } from '../auth/principal.ts'
import type { MeterReading, ReadMeters } from '../ledger/reading.ts'
import type { Limit } from '../store/entities.ts'
import type { GovernanceStore } from '../store/governance-store.ts'
import { formatTimeOrNull } from '../units/time.ts'
import { order, scopesOf } from './chain.ts'
import { presentAmount } from './gate.ts'
import { nameOfScope, type PresentedLimit, presentLimit } from './presentation.ts'

interface OwnLimit extends PresentedLimit {
  /** What counts against the maximum: posted and held, and the weighted last cell of a sliding window. */
  readonly used: string | number | null
  readonly remaining: string | number | null
  /** Why the limit cannot be read and refuses its traffic; null when all is well. */
  readonly invalid: string | null
}

/** The answer to `GET /v1/key`; null for a request without a key. */
export function presentOwnKey(
  principal: Principal,
  store: Pick<GovernanceStore, 'limitsOfScope'>,
  readAll: ReadMeters,
  now: number,
): object | null {
  const { key, user, team, customer } = principal
  if (key === null) return null
  const limits = scopesOf(principal)
    .flatMap((scope) => store.limitsOfScope(scope))
    .sort(order)
  const readings = readAll(
    limits.map(({ id }) => id),
    now,
  )
  return {
    id: key.id,
    name: key.name,
    key_start: key.keyStart,
    expires_at: formatTimeOrNull(key.expiresAt),
    user: user === null ? null : { ...named(user), kind: user.kind, expires_at: formatTimeOrNull(user.expiresAt) },
    team: team === null ? null : named(team),
    customer: customer === null ? null : named(customer),
    limits: limits.map((limit, index) => presentOwnLimit(limit, principal, readings[index] ?? null)),
  }
}

function named({ id, name }: { readonly id: string; readonly name: string }): { id: string; name: string } {
  return { id, name }
}

function presentOwnLimit(limit: Limit, principal: Principal, reading: MeterReading | null): OwnLimit {
  if (reading === null) return presentUnread(limit, principal)
  const own = limit.scope.kind !== 'global'
  return {
    ...presentLimit(limit, reading, principal),
    used: own ? presentAmount(limit.metric, reading.used) : null,
    remaining: own ? presentAmount(limit.metric, reading.remaining) : null,
    invalid: limit.invalid,
  }
}

/** A limit that cannot be read has no numbers. */
function presentUnread(limit: Limit, principal: Principal): OwnLimit {
  const { metric, provider, model, window, mode } = limit
  return {
    limit_id: limit.id,
    scope: limit.scope.kind,
    scope_id: limit.scope.id,
    scope_name: nameOfScope(limit, principal),
    metric,
    provider,
    model,
    max: null,
    posted: null,
    held: null,
    window,
    resets_at: null,
    mode,
    used: null,
    remaining: null,
    invalid: limit.invalid ?? 'not tracked',
  }
}
