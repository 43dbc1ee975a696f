/**
 * Alert: what somebody should be told of, as memory, the journal and the webhook know it.
 *
 * An alert is raised once, as a fact; from then on its id is what deliveries and `GET /api/alerts` are about.
 */
import type { AlertFact, NoticeFact } from '../ledger/facts.ts'
import type { Limit } from '../store/entities.ts'
import type { GovernanceStore } from '../store/governance-store.ts'
import { type Names, nameOfScope } from '../store/scope-name.ts'
import { formatUsd } from '../units/money.ts'
import { formatTime, formatTimeOrNull } from '../units/time.ts'
import { windowAt } from '../units/window.ts'

export type Alert = AlertFact | NoticeFact

/** Called with every alert that has just been raised. */
export type AlertListener = (alert: Alert) => void

/** The body of a webhook call. */
export interface AlertMessage {
  readonly id: string
  readonly kind: 'limit' | NoticeFact['kind']
  /** RFC 3339 UTC. */
  readonly at: string
  /** One line for people. */
  readonly message: string
  /** Present where the alert is about a limit. Money in dollars, as decimal strings. */
  readonly limit?: {
    readonly id: string
    readonly scope: string | null
    readonly scope_id: string | null
    readonly scope_name: string | null
    readonly metric: string
    readonly provider: string | null
    readonly model: string | null
    readonly mode: string | null
    readonly window: string | null
    readonly window_started_at: string | null
    readonly resets_at: string | null
    readonly threshold: string
    readonly used: string
    readonly max: string
  }
  /** Present where the alert is about a user. */
  readonly user?: { readonly id: string; readonly name: string | null }
}

/**
 * What the webhook is told: what was true when it was raised, and not what has become of the limit since. What has been deleted since is told
 * by its id alone, and what is not known any more by nothing.
 */
export function messageOf(alert: Alert, store: Names & Pick<GovernanceStore, 'limits'>): AlertMessage {
  const { id, at } = alert
  if (alert.t === 'notice') {
    const { kind, message, subjectId } = alert
    const about = subjectId === null ? {} : { user: { id: subjectId, name: store.users.get(subjectId)?.name ?? null } }
    return { id, kind, at: formatTime(at), message, ...about }
  }
  const limit = store.limits.get(alert.limitId)
  // Another window or selector is another count.
  const counted = limit?.countNumber === alert.countNumber ? limit : undefined
  const { used, max } = amountsIn(alert)
  return {
    id,
    kind: 'limit',
    at: formatTime(at),
    message: alert.message ?? limitMessage(alert, counted, store),
    limit: {
      id: alert.limitId,
      scope: limit?.scope.kind ?? null,
      scope_id: limit?.scope.id ?? null,
      scope_name: limit === undefined ? null : nameOfScope(limit.scope, store),
      metric: alert.metric,
      provider: counted?.provider ?? null,
      model: counted?.model ?? null,
      mode: counted !== undefined && counted.updatedAt <= at ? counted.mode : null,
      window: counted?.window ?? null,
      // A lifetime has no beginning.
      window_started_at: alert.windowStart === 0 ? null : formatTime(alert.windowStart),
      resets_at: counted?.spec == null ? null : formatTimeOrNull(windowAt(counted.spec, alert.windowStart).end),
      threshold: alert.threshold,
      used,
      max,
    },
  }
}

/** One line for people. */
export function limitMessage(alert: Omit<AlertFact, 'message'>, limit: Limit | undefined, names: Names): string {
  const { used, max } = amountsIn(alert)
  return `${whose(limit, names)} has used ${used} of ${max} ${alert.metric === 'cost' ? 'dollars' : alert.metric}.`
}

function amountsIn({ metric, used, max }: Pick<AlertFact, 'metric' | 'used' | 'max'>): { used: string; max: string } {
  return metric === 'cost' ? { used: formatUsd(BigInt(used)), max: formatUsd(BigInt(max)) } : { used, max }
}

function whose(limit: Limit | undefined, names: Names): string {
  if (limit === undefined) return 'A limit that has been changed or deleted since'
  const selector = [limit.provider, limit.model].filter((part) => part !== null).join('/')
  const on = selector === '' ? '' : ` on ${selector}`
  const { kind } = limit.scope
  const scope =
    kind === 'global'
      ? 'All traffic'
      : `The ${kind.replace('_', ' ')} ${nameOfScope(limit.scope, names) ?? limit.scope.id}`
  return `${scope}${on}, window ${limit.window ?? 'none'},`
}
