/**
 * Extract: the usage that a collected answer reports.
 *
 * Reports stand near the end of a body, after whatever the model wrote. So the end alone is parsed: `{` followed by everything from
 * the last `"usage"` on is JSON only where that key belongs to the outermost object, so nothing a model writes into its answer can
 * pass for a report, and an answer of megabytes costs no more than a short one.
 */

import type { ApiFormat, Endpoint } from '../admission/request-facts.ts'
import { isObject, type JsonObject } from '../units/json-object.ts'
import { anthropicUsage, billedUnits, googleUsage, heardUsage, imagesUsage, openaiUsage } from './report.ts'
import { imagesIn, type ToolsUsed, toolsIn } from './tools-used.ts'
import { NO_USAGE, type Usage } from './usage.ts'

/** Above this size a body is not parsed whole to find a report that does not stand near its end. */
const WHOLE_PARSE_MAX_BYTES = 4 * 1024 * 1024

/** What the body of a successful answer reports, or null where it reports nothing that can be believed. */
export function usageOfAnswer(
  format: ApiFormat,
  endpoint: Endpoint,
  producesOutput: boolean,
  body: Buffer,
): Usage | null {
  // Counting tokens is free of charge, and its answer's `input_tokens` is the count, not a charge.
  if (endpoint === 'count_tokens') return NO_USAGE
  const key = format === 'google' ? 'usageMetadata' : 'usage'
  const usage = objectIn(body, key)
  if (usage === null) return endpoint === 'rerank' ? billedUnits(objectIn(body, 'meta')) : null
  switch (format) {
    case 'openai':
      if (IMAGES.has(endpoint)) return imagesUsage(usage)
      if (HEARD.has(endpoint)) return heardUsage(usage)
      return openaiUsage(usage, producesOutput, outermost(body, 'service_tier'), toolsOf(endpoint, body))
    case 'anthropic':
      return anthropicUsage(usage)
    case 'google':
      return googleUsage(usage)
  }
}

/** What the tools of a response have done. Few have done anything, and only these are parsed whole. */
function toolsOf(endpoint: Endpoint, body: Buffer): ToolsUsed {
  if (endpoint !== 'responses' || !TOOL_CALLS.some((type) => body.includes(type))) return NO_USAGE
  const response = parseWhole(body)
  // Too large to be parsed, as images make it: what is beside the items can still be read.
  if (response === null) return { ...NO_USAGE, toolUse: imagesIn(outermost(body, 'tool_usage'), true) }
  return toolsIn(response)
}

const IMAGES: ReadonlySet<Endpoint> = new Set(['image_generations', 'image_edits', 'image_variations'])
const HEARD: ReadonlySet<Endpoint> = new Set(['transcriptions', 'translations'])
const TOOL_CALLS = ['"web_search_call"', '"file_search_call"', '"image_generation_call"']

function objectIn(body: Buffer, key: string): JsonObject | null {
  const value = outermost(body, key)
  return isObject(value) ? value : null
}

/** The value of a key of the outermost object. */
function outermost(body: Buffer, key: string): unknown {
  const at = body.lastIndexOf(`"${key}"`)
  if (at === -1) return undefined
  const whole = parseObject(`{${body.toString('utf8', at)}`) ?? parseWhole(body)
  return whole?.[key]
}

function parseWhole(body: Buffer): JsonObject | null {
  return body.length <= WHOLE_PARSE_MAX_BYTES ? parseObject(body.toString()) : null
}

/** The JSON object of a text, or null where it is none. */
export function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}
