import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { withSettingsTable } from '../../src/schemas/settings-table.ts'

test('the README’s table of settings is what the schema says: npx node scripts/settings-table.ts', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  assert.equal(withSettingsTable(readme), readme)
  for (const name of [
    '`journal.sync`',
    '`server.body_limit`',
    '`user_defaults.normal.max_ips`',
    '`alerts.webhook.url`',
  ]) {
    assert.ok(readme.includes(`| ${name} |`), name)
  }
})
