/** `bursar rebuild`: what differs between the sums in the books and what events and corrections add up to. */
import type { ConsistencyView } from '../schemas/reports.ts'
import { json, type Print, table } from './output.ts'

/** Prints what was found. False when there are differences that are still there. */
export function reportDifferences(
  found: ConsistencyView,
  options: { readonly applied: boolean; readonly json?: boolean | undefined },
  print: Print,
): boolean {
  const { differences, hour_differences: hours } = found
  const count = differences.length + hours.length
  if (options.json === true) print(json({ ...found, applied: options.applied }))
  else {
    print(`${found.checked} windows of limits and ${found.hours_checked} hourly sums since ${found.since} compared\n`)
    if (count === 0) print('no difference: the sums are what events and corrections add up to\n')
    if (differences.length > 0) {
      const rows = differences.map((row) => [
        row.limit_id,
        String(row.count_number),
        row.window_started_at,
        row.metric,
        String(row.posted),
        String(row.recomputed),
      ])
      print(`\n${table(['limit', 'count', 'window', 'metric', 'posted', 'recomputed'], rows)}`)
    }
    if (hours.length > 0) {
      const rows = hours.map((row) => [
        row.hour,
        row.virtual_key_id ?? 'none',
        row.provider ?? 'none',
        row.model ?? 'none',
        `${row.requests} / ${row.cost_usd}`,
        `${row.recomputed_requests} / ${row.recomputed_cost_usd}`,
      ])
      print(`\n${table(['hour', 'virtual key', 'provider', 'model', 'requests / dollars', 'recomputed'], rows)}`)
    }
    if (count > 0)
      print(
        options.applied
          ? '\nthe sums were set to what was recomputed\n'
          : '\nnothing was changed; --apply sets the sums to what was recomputed\n',
      )
  }
  return count === 0 || options.applied
}
