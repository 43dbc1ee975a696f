/**
 * Writes the README's table of performance from bench/results.json, so that it cannot say anything else.
 *
 *     npm run bench -- --json bench/results.json && npx node scripts/bench-table.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Results, withBenchTable } from '../bench/table.ts'

const readme = new URL('../README.md', import.meta.url)
const results = JSON.parse(readFileSync(new URL('../bench/results.json', import.meta.url), 'utf8')) as Results
writeFileSync(readme, withBenchTable(readFileSync(readme, 'utf8'), results))
