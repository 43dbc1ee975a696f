/**
 * Reads requests of the Anthropic format: messages, and the counting of their tokens.
 */
import { fieldOf, isObject, type JsonObject, objectsIn } from '../units/json-object.ts'
import type { BodyReader } from './body-reader.ts'
import { anthropicCompaction } from './compaction.ts'
import type { Reading } from './reading.ts'
import { refuseFields } from './refused-fields.ts'
import { anthropicSearches } from './searches.ts'
import { toolModels } from './tool-models.ts'
import type { Weight } from './weight.ts'

export type AnthropicEndpoint = 'messages' | 'count_tokens'

/** Tools that the client runs itself carry no type, `custom`, or one of these with a date behind it. */
const CLIENT_TOOL = /^(custom$|bash_|text_editor_|computer_|memory_)/

export function readAnthropic(
  endpoint: AnthropicEndpoint,
  body: BodyReader,
  weight: Weight,
  pathModel: string | null,
): Reading {
  body.checkCeilings()
  refuseFields(body)
  const messages = body.list('messages')
  // Tools may be given in the middle of a conversation, too.
  const added: JsonObject[] = []
  for (const message of messages) weighBlocks(fieldOf(message, 'content'), weight, added)
  const system = body.any('system')
  const tools = [...body.list('tools'), ...added]
  if (tools.some(isServerTool) || body.has('mcp_servers') || body.has('container')) weight.stored = true
  const counting = endpoint === 'count_tokens'
  return {
    requestedModel: pathModel ?? body.model(),
    modelField: pathModel === null ? 'model' : null,
    stream: !counting && body.boolean('stream'),
    asksForUsage: false,
    producesOutput: !counting,
    outputCeiling: counting ? null : body.ceiling('max_tokens'),
    choices: 1,
    ...(counting ? {} : body.words('service_tier', 'speed', 'inference_geo')),
    ...(counting ? {} : anthropicSearches(tools)),
    ...(counting ? {} : toolModels(objectsIn(tools), body)),
    ...anthropicCompaction(body),
    messages: messages.length + tools.length + (Array.isArray(system) ? system.length : body.has('system') ? 1 : 0),
  }
}

function isServerTool(tool: unknown): boolean {
  return isObject(tool) && typeof tool.type === 'string' && !CLIENT_TOOL.test(tool.type)
}

/** @param added takes the tools that the blocks define */
function weighBlocks(blocks: unknown, weight: Weight, added: JsonObject[]): void {
  for (const block of objectsIn(blocks)) {
    switch (block.type) {
      case 'image':
        weighImage(block.source, weight)
        break
      case 'document':
        weighSource(block.source, weight)
        break
      case 'container_upload':
        weight.reference(block.file_id)
        break
      case 'tool_result':
        // One level: the results of tools hold no further results.
        for (const part of objectsIn(block.content)) {
          if (part.type === 'image') weighImage(part.source, weight)
          else if (part.type === 'document') weighSource(part.source, weight)
        }
        break
      case 'web_fetch_tool_result':
        weighSource(fieldOf(fieldOf(block.content, 'content'), 'source'), weight)
        break
      case 'tool_addition': {
        const definition = fieldOf(block.tool, 'definition')
        if (isObject(definition)) added.push(definition)
        break
      }
    }
  }
}

function weighImage(source: unknown, weight: Weight): void {
  if (!isObject(source)) return
  if (source.type === 'url') weight.imageUrl(source.url, null)
  else if (source.type === 'file') weight.imageReference(source.file_id, null)
  else weighSource(source, weight)
}

/** Where an image or document comes from. A document given as text stays text, one given as content blocks may have images. */
function weighSource(source: unknown, weight: Weight): void {
  if (!isObject(source)) return
  switch (source.type) {
    case 'base64':
      weight.inline(source.data, source.media_type)
      break
    case 'url':
      weight.url(source.url)
      break
    case 'file':
      weight.reference(source.file_id)
      break
    case 'content':
      for (const part of objectsIn(source.content)) if (part.type === 'image') weighImage(part.source, weight)
      break
  }
}
