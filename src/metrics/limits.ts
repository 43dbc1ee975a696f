/** Metrics of limits: what each has used, holds and may use, and when it begins anew. */
import { type Names, nameOfScope } from '../store/scope-name.ts'
import { type Definer, usd } from './definer.ts'
import type { LimitUse } from './fullest-limits.ts'

/** @param looked the limits that the answer at hand is about */
export function defineLimits(definer: Definer, looked: () => readonly LimitUse[], names: Names): void {
  const perLimit = (name: string, help: string, value: (use: LimitUse) => number | null) =>
    definer.gauge(name, help, LIMIT_LABELS, (set) => {
      for (const use of looked()) {
        const shown = value(use)
        if (shown !== null) set(limitLabels(use, names), shown)
      }
    })
  const unit = 'in dollars for cost, else a count'
  perLimit('bursar_limit_max', `The maximum in force, ${unit}.`, (use) => amount(use, use.reading.max))
  perLimit('bursar_limit_used', `What counts against it, holds included, ${unit}.`, (use) =>
    amount(use, use.reading.used),
  )
  perLimit('bursar_limit_held', `What requests in flight have set aside, ${unit}.`, (use) =>
    amount(use, use.reading.held),
  )
  perLimit('bursar_limit_reset_seconds', 'Until the window ends; absent for a lifetime.', ({ resetsInMs }) =>
    Number.isFinite(resetsInMs) ? Math.max(0, resetsInMs / 1_000) : null,
  )
}

const LIMIT_LABELS = ['limit_id', 'scope', 'scope_name', 'metric', 'provider', 'model', 'window', 'mode'] as const

function limitLabels({ limit }: LimitUse, names: Names): Record<(typeof LIMIT_LABELS)[number], string> {
  return {
    limit_id: limit.id,
    scope: limit.scope.kind,
    scope_name: nameOfScope(limit.scope, names) ?? '',
    metric: limit.metric,
    provider: limit.provider ?? '',
    model: limit.model ?? '',
    window: limit.window ?? '',
    mode: limit.mode,
  }
}

function amount({ limit }: LimitUse, value: bigint): number {
  return limit.metric === 'cost' ? usd(value) : Number(value)
}
