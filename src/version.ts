/** The version of this program, as its package says. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** One level up in the sources, two in the built form. */
const manifest = ['../package.json', '../../package.json']
  .map((path) => new URL(path, import.meta.url))
  .find(existsSync)
if (manifest === undefined) throw new Error('package.json is missing from this installation')
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }

export const VERSION = version

/** The version of the bundled price data, as its package says; the data itself carries no date. */
export const PRICE_DATA_VERSION = versionOf('@pydantic/genai-prices')

function versionOf(name: string): string {
  const entry = fileURLToPath(import.meta.resolve(name))
  const manifest = `${entry.slice(0, entry.lastIndexOf(name) + name.length)}/package.json`
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}
