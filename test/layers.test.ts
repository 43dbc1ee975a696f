/** The layer rules of the architecture, read off the imports: depth tells the layer. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'/g

/** Every import of a file: a path from the root for our own files, a package name for others. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((match) => {
    const target = (match[1] ?? match[2] ?? match[3]) as string
    return target.startsWith('.') ? normalize(join(dirname(file), target)) : target
  })
}

const steps = globSync('src/*/**/*.ts')
const plugins = globSync('plugins/**/*.ts')

function offenders(files: readonly string[], forbidden: (target: string, file: string) => boolean): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((target) => forbidden(target, file))
      .map((target) => `${file} → ${target}`),
  )
}

test('there are steps and plugins to look at', () => {
  assert.ok(steps.length > 30)
  assert.ok(plugins.length > 10)
})

test('steps know neither Fastify nor the files that compose them nor the plugins', () => {
  const forbidden = (target: string) =>
    /^(fastify|fastify-plugin|@fastify\/)/.test(target) ||
    /^src\/[^/]+\.ts$/.test(target) ||
    target.startsWith('plugins/')
  assert.deepEqual(offenders(steps, forbidden), [])
})

test('only src/persist knows the database', () => {
  const outside = [...steps.filter((file) => !file.startsWith('src/persist/')), ...plugins, ...globSync('src/*.ts')]
  const drivers = (target: string) => /^(kysely|pg|@electric-sql\/)/.test(target)
  assert.deepEqual(offenders(outside, drivers), [])
})

test('the core of the data plane is not async and does not know the control plane', () => {
  const core = steps.filter((file) => /^src\/(units|store|ledger|admission|pricing)\//.test(file))
  const asynchronous = core.filter((file) =>
    /\basync\b|\bawait\b|\bPromise</.test(stripComments(readFileSync(file, 'utf8'))),
  )
  assert.deepEqual(asynchronous, [])
  assert.deepEqual(
    offenders(core, (target) => /^src\/(persist|control)\//.test(target)),
    [],
  )
})

test('only the clock reads the clock', () => {
  const readers = [...steps, ...plugins].filter(
    (file) =>
      file !== 'src/units/clock.ts' &&
      /\bDate\.now\(|\bperformance\.now\(|new Date\(\)/.test(stripComments(readFileSync(file, 'utf8'))),
  )
  assert.deepEqual(readers, [])
})

function stripComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}
