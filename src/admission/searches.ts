/** Searches: how often a provider may search for a request, each time for a fee. What it has done is charged. */
import { fieldOf, type JsonObject } from '../units/json-object.ts'
import type { BodyReader } from './body-reader.ts'
import type { Reading } from './reading.ts'

/** How many searches a model makes where nothing caps them, and the most that are held for. */
const [ASSUMED, MAX] = [5, 1_000]

/** What `max_tool_calls` allows each of OpenAI's tools that search. */
export function openaiSearches(
  tools: readonly JsonObject[],
  body: BodyReader,
): Pick<Reading, 'webSearches' | 'fileSearches'> {
  const types = tools.map(({ type }) => String(type))
  if (types.length === 0) return {}
  const most = Math.min(body.count('max_tool_calls') ?? ASSUMED, MAX)
  return {
    ...(types.some((type) => type.startsWith('web_search')) ? { webSearches: most } : {}),
    ...(types.includes('file_search') ? { fileSearches: most } : {}),
  }
}

/** What `max_uses` allows each of Anthropic's. */
export function anthropicSearches(tools: readonly unknown[]): Pick<Reading, 'webSearches'> {
  let webSearches = 0
  for (const tool of tools) {
    if (!/^web_search_/.test(String(fieldOf(tool, 'type')))) continue
    const most = fieldOf(tool, 'max_uses')
    const capped = typeof most === 'number' && Number.isInteger(most) && most >= 0
    webSearches += capped ? Math.min(most, MAX) : ASSUMED
  }
  return webSearches === 0 ? {} : { webSearches }
}
