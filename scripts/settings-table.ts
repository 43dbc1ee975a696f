/**
 * Writes the README's table of settings from the schema of bursar.yaml, so that it cannot say anything else.
 *
 *     npx node scripts/settings-table.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { withSettingsTable } from '../src/schemas/settings-table.ts'

const readme = new URL('../README.md', import.meta.url)
writeFileSync(readme, withSettingsTable(readFileSync(readme, 'utf8')))
