/**
 * Runs the suite and fails when it ran no test: a runner that is given no files is content with nothing.
 *
 * `npm test -- <path or --option>` runs a part, for example `npm test -- test/ledger`.
 */
import { globSync, statSync } from 'node:fs'
import process from 'node:process'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** Two cores: two files at a time, the heavy ones among them bring processes of their own. */
const CONCURRENCY = 2

// Each test file is a process of its own, and many start the program: compiled once, they start twice as fast.
process.env.NODE_COMPILE_CACHE ??= `${process.cwd()}/node_modules/.cache/bursar-test/compiled`

const wanted = process.argv.slice(2)
const files = (wanted.length === 0 ? ['test'] : wanted).flatMap((path) =>
  statSync(path).isDirectory() ? globSync(`${path}/**/*.test.ts`) : [path],
)

let ran = 0
let failed = 0
// The examples import 'bursar' as its users do; here that is the source.
const stream = run({
  files: files.map((file) => `${process.cwd()}/${file}`),
  concurrency: CONCURRENCY,
  execArgv: ['--conditions=bursar-source'],
})
stream.on('test:pass', (event) => {
  if (event.details.type !== 'suite') ran += 1
})
stream.on('test:fail', () => {
  failed += 1
})
stream.on('end', () => {
  if (ran === 0) process.stderr.write('no test ran\n')
  process.exitCode = ran === 0 || failed > 0 ? 1 : 0
})
stream.compose(spec()).pipe(process.stdout)
