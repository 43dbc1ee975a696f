/** The README's table of performance, made from what `npm run bench -- --json bench/results.json` has measured. */

interface Row {
  readonly subject: string
  readonly cpu_us: number
  readonly ratio: number
  readonly ratio_min: number
  readonly ratio_max: number
  readonly per_second: number
}

export interface Results {
  readonly at: string
  readonly node: string
  readonly cpu: string
  readonly rounds: number
  readonly command: string
  readonly cpu_us_per_request: readonly { readonly workload: string; readonly subjects: readonly Row[] }[]
  readonly open_loop: readonly {
    readonly rate: number
    readonly subject: string
    readonly p50_ms: number
    readonly p99_ms: number
  }[]
}

const START = '<!-- performance: written by scripts/bench-table.ts -->\n'
const END = '<!-- end of performance -->\n'

/** The README with the table in its place. Throws where it has no place. */
export function withBenchTable(readme: string, results: Results): string {
  const from = readme.indexOf(START)
  const to = readme.indexOf(END)
  if (from < 0 || to < from) throw new Error(`the README has no lines ${START.trim()} and ${END.trim()}`)
  return readme.slice(0, from + START.length) + table(results) + readme.slice(to)
}

function table({
  at,
  node,
  cpu,
  rounds,
  command,
  cpu_us_per_request: workloads,
  open_loop: latencies,
}: Results): string {
  const subjects = workloads[0]?.subjects.map(({ subject }) => subject) ?? []
  const head = ['subject', ...workloads.map(({ workload }) => workload)]
  const rows = subjects.map((subject) => [
    subject,
    ...workloads.map(({ subjects: rowsOf }) => shown(rowsOf.find((row) => row.subject === subject))),
  ])
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  const waits = latencies.map(
    ({ rate, subject, p50_ms, p99_ms }) => `${subject} at ${rate}/s: p50 ${p50_ms} ms, p99 ${p99_ms} ms`,
  )
  return `\nCPU µs a request, all threads, and in brackets × bare @fastify/http-proxy in the same round; medians of ${rounds} rounds.

${lines.join('\n')}

Small chats, open loop: ${waits.join('; ')}. \`${command}\`, Node.js ${node.slice(1)}, ${cpu}, ${at}.

`
}

function shown(row: Row | undefined): string {
  return row === undefined ? '' : `${Math.round(row.cpu_us)} (${row.ratio.toFixed(2)})`
}
