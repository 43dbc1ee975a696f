import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Results, withBenchTable } from '../../bench/table.ts'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

test('the README’s table of performance is what was measured: npx node scripts/bench-table.ts', () => {
  const readme = read('../../README.md')
  const results = JSON.parse(read('../../bench/results.json')) as Results
  assert.equal(withBenchTable(readme, results), readme)
  assert.match(readme, /\| Bursar, 10 limits \| \d+ \(\d/)
})
