/** Tools used: what the tools of a response have done that is billed beside its tokens. */
import { isObject, type JsonObject, objectOf } from '../units/json-object.ts'
import { imagesUsage } from './report.ts'
import type { ToolUse, Usage } from './usage.ts'

export type ToolsUsed = Pick<Usage, 'webSearches' | 'fileSearches' | 'toolUse'>

/** What the tools of a response have done. Opening a page that was found is free. */
export function toolsIn({ output, tool_usage: toolUsage }: JsonObject): ToolsUsed {
  const items = Array.isArray(output) ? output.filter(isObject) : []
  const done = items.filter(({ status }) => status !== 'failed')
  const searches = done.filter(({ type, action }) => {
    const kind = objectOf(action).type
    return type === 'web_search_call' && (kind === undefined || kind === 'search')
  })
  return {
    webSearches: searches.length,
    fileSearches: done.filter(({ type }) => type === 'file_search_call').length,
    toolUse: imagesIn(
      toolUsage,
      items.some(({ type }) => type === 'image_generation_call'),
    ),
  }
}

/** What a response's images have used: it stands beside `usage`, and where it is missing it is not known. */
export function imagesIn(toolUsage: unknown, made: boolean): readonly ToolUse[] | null {
  const usage = imagesUsage(objectOf(objectOf(toolUsage).image_gen))
  if (usage !== null) return usage.inputTokens + usage.outputTokens === 0 ? [] : [{ model: null, usage }]
  return made ? null : []
}
