/**
 * How a limit is shown to a caller: in a refusal's details, in a dry run, in `GET /v1/key`. The numbers of global limits are other
 * people's traffic and are shown to nobody but admins.
 */
import type { Principal } from '../auth/principal.ts'
import type { MeterReading } from '../ledger/reading.ts'
import type { Limit } from '../store/entities.ts'
import { formatTimeOrNull } from '../units/time.ts'
import { presentAmount } from './gate.ts'

export interface PresentedLimit {
  readonly limit_id: string
  readonly scope: string
  readonly scope_id: string | null
  readonly scope_name: string | null
  readonly metric: string
  readonly provider: string | null
  readonly model: string | null
  readonly max: string | number | null
  readonly posted: string | number | null
  readonly held: string | number | null
  readonly window: string | null
  readonly resets_at: string | null
  readonly mode: string
}

export function presentLimit(limit: Limit, reading: MeterReading, principal: Principal): PresentedLimit {
  const own = limit.scope.kind !== 'global'
  const show = (amount: bigint) => (own ? presentAmount(limit.metric, amount) : null)
  return {
    limit_id: limit.id,
    scope: limit.scope.kind,
    scope_id: limit.scope.id,
    scope_name: nameOfScope(limit, principal),
    metric: limit.metric,
    provider: limit.provider,
    model: limit.model,
    max: show(reading.max),
    posted: show(reading.posted),
    held: show(reading.held),
    window: limit.window,
    resets_at: resetsAt(limit, reading),
    mode: limit.mode,
  }
}

/** When the window of a limit ends, in RFC 3339; null where it never does. */
export function resetsAt(limit: Limit, reading: Pick<MeterReading, 'windowEnd'>): string | null {
  return limit.metric === 'concurrency' ? null : formatTimeOrNull(reading.windowEnd)
}

export function nameOfScope(limit: Limit, { user, key, team, customer }: Principal): string | null {
  switch (limit.scope.kind) {
    case 'user':
      return user?.name ?? null
    case 'virtual_key':
      return key?.name ?? null
    case 'team':
      return team?.name ?? null
    case 'customer':
      return customer?.name ?? null
    case 'global':
      return null
  }
}
