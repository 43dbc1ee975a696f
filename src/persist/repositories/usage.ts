/** Reports from the hourly sums. */
import { sql } from 'kysely'
import { type Db, moment } from './db.ts'

export const DIMENSIONS = ['customer', 'team', 'user', 'virtual_key', 'provider', 'model'] as const
export type Dimension = (typeof DIMENSIONS)[number]
export type Interval = 'hour' | 'day' | 'month'

export interface UsageReport {
  /** ms, inclusive and exclusive. */
  readonly from: number
  readonly to: number
  readonly interval: Interval
  readonly groupBy: readonly Dimension[]
  readonly filter: {
    readonly customer_id?: string
    readonly team_id?: string
    readonly user_id?: string
    readonly virtual_key_id?: string
    readonly provider?: string
    readonly model?: string
  }
  readonly limit: number
}

/** One line of a report: the sums of one period for one combination of dimensions. */
export interface UsageLine {
  readonly at: number
  readonly dimensions: Readonly<Record<string, string | null>>
  readonly requests: bigint
  readonly inputTokens: bigint
  readonly outputTokens: bigint
  readonly cacheReadTokens: bigint
  readonly cacheWriteTokens: bigint
  readonly reasoningTokens: bigint
  readonly costNanoUsd: bigint
}

const NAMED = { customer: 'customers', team: 'teams', user: 'users', virtual_key: 'virtual_keys' } as const

/** Periods are those of UTC. Ids come with the entity's name, null where it has been deleted. */
export async function usageReport(db: Db, report: UsageReport): Promise<UsageLine[]> {
  const columns = report.groupBy.map((dimension) => (dimension in NAMED ? `${dimension}_id` : dimension))
  const filters = Object.entries(report.filter)
    .filter(([, value]) => value !== undefined)
    .map(([column, value]) => sql`and h.${sql.ref(column)} = ${value}`)
  const grouped = columns.map((column) => sql`, ${sql.ref(column)}`)
  const names = report.groupBy
    .filter((dimension) => dimension in NAMED)
    .map((dimension) => {
      const table = sql.table(NAMED[dimension as keyof typeof NAMED])
      const id = sql.ref(`sums.${dimension}_id`)
      return sql`, (select name from ${table} where id = ${id}) as ${sql.ref(dimension)}`
    })
  const { rows } = await sql<Record<string, unknown>>`
    select sums.* ${sql.join(names, sql``)} from (
      select date_trunc(${report.interval}, hour, 'UTC') as at ${sql.join(grouped, sql``)},
        sum(requests)::bigint as requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(cache_write_tokens)::bigint as cache_write_tokens,
        sum(reasoning_tokens)::bigint as reasoning_tokens,
        sum(cost_nano_usd)::bigint as cost_nano_usd
      from usage_hourly h
      where hour >= ${moment(report.from)} and hour < ${moment(report.to)} ${sql.join(filters, sql` `)}
      group by 1 ${sql.join(grouped, sql``)}
      order by 1 ${sql.join(grouped, sql``)}
      limit ${report.limit}
    ) sums order by at ${sql.join(grouped, sql``)}`.execute(db)
  const shown = columnsOf(report.groupBy)
  return rows.map((row) => lineOf(row, shown))
}

type Named = keyof typeof NAMED
const isNamed = (dimension: Dimension): dimension is Named => dimension in NAMED

/** What a line shows of these dimensions: entities by id and name. */
export function columnsOf(groupBy: readonly Dimension[]): (Dimension | `${Named}_id`)[] {
  return groupBy.flatMap((dimension) => (isNamed(dimension) ? [`${dimension}_id` as const, dimension] : [dimension]))
}

function lineOf(row: Record<string, unknown>, shown: readonly string[]): UsageLine {
  const sum = (column: string) => row[column] as bigint
  return {
    at: row.at as number,
    dimensions: Object.fromEntries(shown.map((column) => [column, (row[column] as string | null) ?? null])),
    requests: sum('requests'),
    inputTokens: sum('input_tokens'),
    outputTokens: sum('output_tokens'),
    cacheReadTokens: sum('cache_read_tokens'),
    cacheWriteTokens: sum('cache_write_tokens'),
    reasoningTokens: sum('reasoning_tokens'),
    costNanoUsd: sum('cost_nano_usd'),
  }
}
