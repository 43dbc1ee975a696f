/**
 * Limit text: what a limit says, checked and compiled. The form itself has passed its schema; here the parts are held against each
 * other: which max fits the metric, which align the window, whether the model family exists.
 */
import type { NestedLimit } from '../schemas/limit.ts'
import type { ModelFamily } from '../schemas/settings.ts'
import type { Align, Limit } from '../store/entities.ts'
import { familyOfSelector } from '../store/selectors.ts'
import { formatUsd, NANO_PER_USD, parseUsd } from '../units/money.ts'
import { compileWindow, WindowError, type WindowSpec } from '../units/window.ts'
import { at, type Problems } from './refused.ts'

const COST_MAX = 999_999_999n * NANO_PER_USD

/** A limit's content, without its place and its history. */
export type LimitRule = Pick<
  Limit,
  'metric' | 'max' | 'window' | 'align' | 'timezone' | 'provider' | 'model' | 'mode' | 'alertAt'
> & { readonly spec: WindowSpec | null }

export interface LimitContext {
  readonly modelFamilies: readonly ModelFamily[]
  /** Where a fixed or sliding lattice begins, in ms. */
  readonly anchor: number
}

/** Reads a limit. What is wrong goes to `problems`, with `path` before each field; the result counts only when nothing did. */
export function readLimit(
  text: NestedLimit,
  { modelFamilies, anchor }: LimitContext,
  path: string,
  problems: Problems,
): LimitRule {
  const { metric, provider = null, model = null, timezone = 'UTC', mode = 'enforce' } = text
  const max = readMax(metric, text.max, at(path, 'max'), problems)
  const window = text.window ?? null
  if (metric === 'concurrency' && window !== null) {
    problems.add(at(path, 'window'), 'must be null or absent: concurrency counts what is in flight and has no period')
  } else if (metric !== 'concurrency' && window === null) {
    problems.add(
      at(path, 'window'),
      'is missing: must be a duration such as 1M, a cron expression, hourly, daily or lifetime',
    )
  }
  const align = text.align === undefined ? usualAlign(window) : text.align
  const spec = readWindow({ window: metric === 'concurrency' ? null : window, align, timezone, anchor }, path, problems)
  const family = familyOfSelector(model)
  if (family !== null && !modelFamilies.some(({ name }) => name === family)) {
    problems.add(at(path, 'model'), `names the model family "${family}", which model_families does not have`)
  }
  const alertAt = readAlerts(text.alert_at ?? ['0.8', '1'], at(path, 'alert_at'), problems)
  // A duration without align is fixed; the row says so, so that the limit's identity does not depend on how it was written.
  const aligned = align ?? (spec?.kind === 'fixed' || spec?.kind === 'fixed-months' ? 'fixed' : null)
  return { metric, max, window, align: aligned, timezone, provider, model, mode, alertAt, spec }
}

/** What align means when it is not written: durations are fixed, everything else has none. */
function usualAlign(window: string | null): Align | null {
  return window === null || !isDurationLike(window) ? null : 'fixed'
}

/** Cron expressions have blanks; the words are known. Everything else claims to be a duration. */
export function isDurationLike(window: string): boolean {
  return !window.includes(' ') && window !== 'hourly' && window !== 'daily' && window !== 'lifetime'
}

/** Nano-dollars for cost, a count for every other metric. */
export function readMax(metric: Limit['metric'], max: string | number, path: string, problems: Problems): bigint {
  if (metric !== 'cost') {
    if (typeof max === 'number') return BigInt(max)
    problems.add(path, `must be an integer from 1 to 9007199254740991 for ${metric}, not a string`)
    return 1n
  }
  const amount = typeof max === 'string' ? parseUsd(max) : null
  if (amount === null || amount < 1n || amount > COST_MAX) {
    problems.add(path, `must be dollars as a string from "0.000000001" to "999999999" for cost`)
    return 1n
  }
  return amount
}

function readWindow(text: Parameters<typeof compileWindow>[0], path: string, problems: Problems): WindowSpec | null {
  try {
    return compileWindow(text)
  } catch (error) {
    if (!(error instanceof WindowError)) throw error
    problems.add(at(path, error.field), error.message)
    return null
  }
}

function readAlerts(shares: readonly string[], path: string, problems: Problems): string[] {
  const amounts = new Map(shares.map((share) => [parseUsd(share) ?? 0n, share]))
  if (amounts.has(0n as never)) problems.add(path, 'must have no share of zero')
  if (amounts.size !== shares.length) problems.add(path, 'must not name a share twice')
  return [...amounts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, share]) => share)
}

/** What stands in a message about a limit. */
export function describeLimit({ metric, max, window }: Pick<Limit, 'metric' | 'max' | 'window'>): string {
  return `${metric} ${metric === 'cost' ? formatUsd(max) : max}${window === null ? '' : ` per ${window}`}`
}
