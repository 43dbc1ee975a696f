/** Limits: creating, changing, deleting, overriding. Usage is never touched here (see `corrections.ts`). */
import {
  deleteLimit as deleteRow,
  insertLimit,
  limitsOfScope,
  lockLimit,
  updateLimit,
} from '../persist/repositories/limits.ts'
import type { LimitCreate, LimitOverridePut, LimitPatch, NestedLimit } from '../schemas/limit.ts'
import type { Limit, Scope } from '../store/entities.ts'
import { parseTime } from '../units/time.ts'
import { windowAt } from '../units/window.ts'
import { refuseScopeOutside } from './bounds.ts'
import { amountOf } from './fields.ts'
import { describeLimit, isDurationLike, type LimitRule, readLimit, readMax } from './limit-text.ts'
import { guarded, mustBeProvider, mustExist } from './references.ts'
import { at, notFound, Problems } from './refused.ts'
import type { Work } from './work.ts'

export async function createLimit(work: Work, { scope, ...text }: LimitCreate): Promise<Limit> {
  const problems = new Problems()
  const read = await readScope(work, scope, problems)
  const rule = await readRule(work, text, work.now, '', problems)
  problems.check()
  if (work.actor.customerId !== null) await refuseScopeOutside(work.db, read, work.actor.customerId)
  return await insert(work, read, rule, '')
}

/** The limits that came inside another entity: all of them, or an error. */
export async function createLimits(
  work: Work,
  scope: Scope,
  texts: readonly NestedLimit[],
  path: string,
): Promise<Limit[]> {
  const problems = new Problems()
  const rules: LimitRule[] = []
  for (const [index, text] of texts.entries())
    rules.push(await readRule(work, text, work.now, `${path}[${index}]`, problems))
  problems.check()
  const limits: Limit[] = []
  for (const [index, rule] of rules.entries()) limits.push(await insert(work, scope, rule, `${path}[${index}]`))
  return limits
}

/** Usage stays, unless what is counted has changed: then the limit keeps its id and begins a new count. */
export async function patchLimit(work: Work, id: string, patch: LimitPatch): Promise<Limit> {
  const limit = await lockLimit(work.db, id)
  if (limit === null) throw notFound('limit', id)
  const problems = new Problems()
  const { spec, ...rule } = await readRule(work, merged(limit, patch), limit.anchor, '', problems)
  problems.check()
  return await replace(work, limit, { ...rule, spec })
}

/** Gives a limit another content; what has not changed is not written. */
export async function replace(work: Work, limit: Limit, rule: LimitRule, path = ''): Promise<Limit> {
  const recounted = COUNTED.some((field) => limit[field] !== rule[field])
  const changed = { ...limit, ...rule, invalid: null, updatedAt: work.now }
  if (recounted) Object.assign(changed, { countNumber: limit.countNumber + 1, override: null })
  if (!recounted && limit.max === rule.max && limit.mode === rule.mode && `${limit.alertAt}` === `${rule.alertAt}`)
    return limit
  await guarded(updateLimit(work.db, changed), taken(changed, path))
  work.changed('limit', limit, changed)
  return changed
}

/** A change of one of these begins a new count. */
const COUNTED = ['metric', 'window', 'align', 'timezone', 'provider', 'model'] as const

export async function deleteLimit(work: Work, id: string): Promise<void> {
  const limit = await lockLimit(work.db, id)
  if (limit === null) throw notFound('limit', id)
  await removeLimit(work, limit)
}

export async function removeLimit(work: Work, limit: Limit): Promise<void> {
  await deleteRow(work.db, limit.id)
  work.deleted('limit', limit)
}

/** An entity's limits go with it. */
export async function deleteLimitsOf(work: Work, scope: Scope): Promise<void> {
  for (const limit of await limitsOfScope(work.db, scope)) await removeLimit(work, limit)
}

export async function overrideLimit(work: Work, id: string, body: LimitOverridePut): Promise<Limit> {
  const limit = await lockLimit(work.db, id)
  if (limit === null) throw notFound('limit', id)
  const problems = new Problems()
  const max = readMax(limit.metric, body.max, 'max', problems)
  const until = readUntil(limit, body, work.now, problems)
  problems.check()
  const changed: Limit = { ...limit, override: { max, until }, updatedAt: work.now }
  await updateLimit(work.db, changed)
  work.changed('limit', limit, changed, 'override')
  return changed
}

export async function endOverride(work: Work, id: string): Promise<Limit> {
  const limit = await lockLimit(work.db, id)
  if (limit === null) throw notFound('limit', id)
  if (limit.override === null) return limit
  const changed: Limit = { ...limit, override: null, updatedAt: work.now }
  await updateLimit(work.db, changed)
  work.changed('limit', limit, changed, 'end_override')
  return changed
}

function readUntil(limit: Limit, { until, windows }: LimitOverridePut, now: number, problems: Problems): number {
  if (windows !== undefined) {
    if (until !== undefined) problems.add('windows', 'cannot stand beside until')
    if (limit.spec === null || limit.metric === 'concurrency') {
      problems.add('windows', 'cannot be counted for a limit without windows')
      return 0
    }
    let end = now
    for (let count = 0; count < windows && Number.isFinite(end); count += 1) end = windowAt(limit.spec, end).end
    return end
  }
  const end = until == null ? Number.POSITIVE_INFINITY : (parseTime(until) ?? 0)
  if (end <= now) problems.add('until', 'must be in the future')
  return end
}

async function readScope(work: Work, { kind, id = null }: LimitCreate['scope'], problems: Problems): Promise<Scope> {
  if (kind === 'global') {
    if (id !== null) problems.add('scope.id', 'must be null or absent for global')
    return { kind, id: null }
  }
  if (id === null) problems.add('scope.id', `is missing: must be the id of a ${kind}`)
  else await mustExist(work, kind, id, 'scope.id', problems)
  return { kind, id: id ?? '' }
}

/** A limit's content, read and with its provider's own spelling. */
export async function readRule(
  work: Work,
  text: NestedLimit,
  anchor: number,
  path: string,
  problems: Problems,
): Promise<LimitRule> {
  const rule = readLimit(text, { modelFamilies: work.parts.settings.modelFamilies, anchor }, path, problems)
  if (rule.provider === null) return rule
  const provider = await mustBeProvider(work, rule.provider, at(path, 'provider'), problems)
  return { ...rule, provider: provider?.name ?? rule.provider }
}

export async function insert(work: Work, scope: Scope, rule: LimitRule, path: string): Promise<Limit> {
  const limit: Limit = {
    ...work.born(),
    scope,
    ...rule,
    anchor: work.now,
    countNumber: 1,
    override: null,
    invalid: null,
  }
  await guarded(insertLimit(work.db, limit), taken(limit, path))
  work.created('limit', limit)
  return limit
}

function taken(limit: Limit, path: string) {
  const message = `There is already such a limit (${describeLimit(limit)}) with the same scope, metric, provider, model, window, align, timezone and mode.`
  return { limits_identity: path === '' ? { message } : { message, path } }
}

/** The limit as text with the patch over it. An align that the new window cannot have goes, unless the patch itself names one. */
function merged(limit: Limit, patch: LimitPatch): NestedLimit {
  const window = patch.window === undefined ? limit.window : patch.window
  const keepsAlign = isDuration(window) === isDuration(limit.window)
  const text = {
    metric: limit.metric,
    max: amountOf(limit.metric, limit.max),
    window,
    timezone: limit.timezone,
    provider: limit.provider,
    model: limit.model,
    mode: limit.mode,
    alert_at: [...limit.alertAt],
    ...(keepsAlign ? { align: limit.align } : {}),
  }
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
  const together: Partial<Record<keyof NestedLimit, unknown>> = { ...text, ...given }
  for (const field of DEFAULTED) if (together[field] === null) delete together[field]
  return together as NestedLimit
}

/** Cleared, these are what they are where nobody names them. */
const DEFAULTED = ['timezone', 'mode', 'alert_at'] as const

function isDuration(window: string | null): boolean {
  return window !== null && isDurationLike(window)
}
