/** Builds `dist/`, which the published package runs from, anew: what was deleted here is not shipped. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import process from 'node:process'

rmSync('dist', { recursive: true, force: true })
process.exitCode = spawnSync('tsc', ['--project', 'tsconfig.build.json'], { stdio: 'inherit' }).status ?? 1
