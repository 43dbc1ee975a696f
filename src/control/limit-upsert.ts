/**
 * Limits of bursar.yaml: the same identity updates `max` and `alert_at`, another one is another limit; usage is never reset
 * (CONTRACT section 7).
 */
import { limitsOfScope } from '../persist/repositories/limits.ts'
import type { NestedLimit } from '../schemas/limit.ts'
import type { Limit, Scope } from '../store/entities.ts'
import type { LimitRule } from './limit-text.ts'
import { insert, readRule, replace } from './limits.ts'
import { Problems } from './refused.ts'
import type { Work } from './work.ts'

type Identity = Pick<Limit, 'metric' | 'provider' | 'model' | 'window' | 'align' | 'timezone' | 'mode'>

function identityOf(rule: Identity): string {
  const { metric, provider, model, window, align, timezone, mode } = rule
  return JSON.stringify([metric, provider, model, window, align, timezone, mode])
}

/** Creates and updates; gives the ids of the limits that were named. */
export async function upsertLimits(
  work: Work,
  scope: Scope,
  texts: readonly NestedLimit[],
  path: string,
): Promise<string[]> {
  const rules = await readRules(work, texts, path)
  const known = new Map((await limitsOfScope(work.db, scope)).map((limit) => [identityOf(limit), limit]))
  const ids: string[] = []
  for (const [index, rule] of rules.entries()) {
    const limit = known.get(identityOf(rule))
    const here = `${path}[${index}]`
    // The window is compiled around the anchor the limit has.
    const written =
      limit === undefined
        ? await insert(work, scope, rule, here)
        : await replace(work, limit, { ...rule, spec: limit.spec }, here)
    ids.push(written.id)
  }
  return ids
}

/** The ids of the limits of a scope that these texts mean, without touching any. */
export async function limitsMeant(
  work: Work,
  scope: Scope,
  texts: readonly NestedLimit[],
  path: string,
): Promise<string[]> {
  const meant = new Set((await readRules(work, texts, path)).map(identityOf))
  return (await limitsOfScope(work.db, scope)).filter((limit) => meant.has(identityOf(limit))).map(({ id }) => id)
}

async function readRules(work: Work, texts: readonly NestedLimit[], path: string): Promise<LimitRule[]> {
  const problems = new Problems()
  const rules: LimitRule[] = []
  const seen = new Set<string>()
  for (const [index, text] of texts.entries()) {
    const here = `${path}[${index}]`
    const rule = await readRule(work, text, work.now, here, problems)
    if (seen.has(identityOf(rule))) problems.add(here, 'is the same limit as one before it')
    seen.add(identityOf(rule))
    rules.push(rule)
  }
  problems.check()
  return rules
}
