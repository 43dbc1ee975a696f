#!/usr/bin/env node
// Starts the program on the Node.js that package.json pins, whatever runs this file: TypeScript as it is in a checkout, dist/ in a
// published package.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_MAJOR = 26
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'src', 'main.ts')
const program = existsSync(source) ? source : join(root, 'dist', 'src', 'main.js')

if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) {
  await import(program)
} else {
  const pinned = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node')
  // The child has the terminal's signals too; this process only passes its answer on.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})
  const { status } = spawnSync(pinned, [program, ...process.argv.slice(2)], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}
