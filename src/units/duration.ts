/**
 * Durations as people write them: `30s 5m 1h 1d 1w 1M 1Q 1Y`, and combinations of s, m, h, d and w such as `1h30m`.
 *
 * Lower-case m is a minute and upper-case M a month, so nothing is folded: `1month` and `1D` are refused, not guessed.
 */

/** Either an exact length or a number of calendar months (a quarter is three, a year twelve). */
export type Duration =
  | { readonly kind: 'exact'; readonly ms: number; readonly unit: ExactUnit | null; readonly count: number }
  | { readonly kind: 'months'; readonly months: number; readonly unit: MonthUnit; readonly count: number }

export type ExactUnit = 's' | 'm' | 'h' | 'd' | 'w'
export type MonthUnit = 'M' | 'Q' | 'Y'

const EXACT_MS: Readonly<Record<ExactUnit, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const MONTHS: Readonly<Record<MonthUnit, number>> = { M: 1, Q: 3, Y: 12 }

/** What a refusal shows: the accepted forms, once. */
export const DURATION_FORMS =
  'a duration such as 30s, 5m, 1h, 1d, 1w, 1M, 1Q or 1Y (m is a minute, M a month; s, m, h, d and w combine, as in 1h30m), at least 1s'

/** A hundred years: no longer window is meant, and every boundary stays inside what a Date can hold. */
const MS_MAX = 36_525 * 86_400_000
const MONTHS_MAX = 1_200

/** `null` when the text is none of the accepted forms, is zero, or is longer than a hundred years. */
export function parseDuration(text: string): Duration | null {
  const month = /^(\d{1,4})([MQY])$/.exec(text)
  if (month !== null) {
    const count = Number(month[1])
    const unit = month[2] as MonthUnit
    const months = count * MONTHS[unit]
    return months >= 1 && months <= MONTHS_MAX ? { kind: 'months', months, unit, count } : null
  }
  if (!/^(?:\d{1,12}[smhdw])+$/.test(text)) return null
  const parts = [...text.matchAll(/(\d+)([smhdw])/g)]
  if (new Set(parts.map((part) => part[2])).size !== parts.length) return null
  let ms = 0
  for (const [, count, unit] of parts) ms += Number(count) * EXACT_MS[unit as ExactUnit]
  if (ms < 1_000 || ms > MS_MAX) return null
  const single = parts.length === 1 ? parts[0] : undefined
  return {
    kind: 'exact',
    ms,
    unit: single === undefined ? null : (single[2] as ExactUnit),
    count: single === undefined ? 0 : Number(single[1]),
  }
}

/** Reads a duration of exact length in milliseconds (settings such as `30s`); `null` for months and everything unreadable. */
export function parseExactMs(text: string): number | null {
  const duration = parseDuration(text)
  return duration?.kind === 'exact' ? duration.ms : null
}

/** OpenAI's form of a time to wait, as its `x-ratelimit-reset-*` headers carry it: `6m0s`, `1h0m0s`, `120ms`. */
export function formatResetDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.ceil(ms))}ms`
  const seconds = Math.ceil(ms / 1_000)
  const hours = Math.floor(seconds / 3_600)
  const minutes = Math.floor((seconds % 3_600) / 60)
  const rest = `${seconds % 60}s`
  if (hours > 0) return `${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${minutes}m${rest}` : rest
}
