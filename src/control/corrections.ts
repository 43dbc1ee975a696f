/**
 * Corrections: an admin sets the count of a limit back. An entry in the books like any other, so that the books still add up;
 * boundaries, holds and lifetime totals stay (U11).
 */

import type { ChargeLine } from '../ledger/charges.ts'
import { findLimit, limitsOfScope } from '../persist/repositories/limits.ts'
import { findUser } from '../persist/repositories/users.ts'
import type { Limit } from '../store/entities.ts'
import { familyOfSelector } from '../store/selectors.ts'
import { newId } from '../units/id.ts'
import { amountOf, limitFields } from './fields.ts'
import { ControlError, invalid, notFound } from './refused.ts'
import type { Work } from './work.ts'

export async function resetLimit(work: Work, id: string): Promise<void> {
  const limit = await findLimit(work.db, id)
  if (limit === null) throw notFound('limit', id)
  setBack(work, [limit], 'reset')
}

/** All limits of the user's own scope. */
export async function resetUserUsage(work: Work, userId: string): Promise<void> {
  if ((await findUser(work.db, userId)) === null) throw notFound('user', userId)
  setBack(work, await limitsOfScope(work.db, { kind: 'user', id: userId }), 'reset_usage')
}

/** The user's quotas, that is its token limits on model families, get their full amount again. */
export async function refreshUserQuota(work: Work, userId: string): Promise<void> {
  const found = await findUser(work.db, userId)
  if (found === null) throw notFound('user', userId)
  if (found.user.kind === 'temporary')
    throw invalid([{ path: 'id', message: 'is the id of a temporary user: these are not refreshed' }])
  const limits = await limitsOfScope(work.db, { kind: 'user', id: userId })
  setBack(work, limits.filter(isQuota), 'refresh_quota')
}

function isQuota({ metric, model }: Limit): boolean {
  return metric.endsWith('tokens') && familyOfSelector(model) !== null
}

/** Audited in this transaction; the count itself moves once that is committed. */
function setBack(work: Work, limits: readonly Limit[], action: string): void {
  const { facts, ledger, clock } = work.parts
  if (!facts.accepting) {
    throw new ControlError({
      code: 'overloaded',
      message: 'The journal cannot be written; nothing was changed.',
      retryAfterS: 5,
    })
  }
  for (const limit of limits) {
    const posted = ledger.read(limit.id, work.now)?.posted ?? 0n
    work.audit(
      `limit.${action}`,
      'limit',
      limit,
      { ...limitFields(limit), posted: amountOf(limit.metric, posted) },
      { ...limitFields(limit), posted: amountOf(limit.metric, 0n) },
    )
  }
  work.afterwards(() => {
    const now = clock.now()
    const charges: ChargeLine[] = []
    for (const { id, countNumber, metric } of limits) {
      for (const { windowStart, amount } of ledger.clear(id, now)) {
        charges.push([id, countNumber, windowStart, metric, amount.toString()])
      }
    }
    if (charges.length === 0) return
    facts.append({ t: 'correct', id: newId(), at: now, reason: action, requestId: null, charges })
  })
}
