/**
 * Reads requests of the OpenAI format whose answers are text or numbers: chat, completions, responses, embeddings, moderations, and
 * reranking, which several providers have agreed on.
 */
import { fieldOf, isObject, type JsonObject, objectsIn } from '../units/json-object.ts'
import type { BodyReader } from './body-reader.ts'
import { openaiCompaction } from './compaction.ts'
import type { Reading } from './reading.ts'
import { refuseFields } from './refused-fields.ts'
import type { StoredReference } from './request-facts.ts'
import { openaiSearches } from './searches.ts'
import { toolModels, toolsOf } from './tool-models.ts'
import type { Weight } from './weight.ts'

export type OpenaiEndpoint = 'chat' | 'completions' | 'responses' | 'embeddings' | 'moderations' | 'rerank'

const DEFAULT_MODERATION = 'omni-moderation-latest'

/** Tools that the client runs itself; every other kind is run by the provider, on input that we do not see. */
const CLIENT_TOOLS: ReadonlySet<unknown> = new Set([
  'function',
  'custom',
  'local_shell',
  'shell',
  'apply_patch',
  'computer',
  'computer_use_preview',
])

/**
 * @param pathModel the model in the path (Azure), which then counts instead of the body's
 */
export function readOpenai(
  endpoint: OpenaiEndpoint,
  body: BodyReader,
  weight: Weight,
  pathModel: string | null,
): Reading {
  // OpenAI's own default, under a name that it will not give to anything that costs more.
  const assumed = endpoint === 'moderations' && !body.has('model') ? DEFAULT_MODERATION : null
  const model = pathModel ?? assumed ?? body.model()
  const modelField = pathModel === null && assumed === null ? 'model' : null
  const common = { requestedModel: model, modelField, asksForUsage: false, ...body.words('service_tier') }
  body.checkCeilings()
  refuseFields(body)
  const nothing = { stream: false, producesOutput: false, outputCeiling: null, choices: 1 }
  const asksForUsage = readStreamOptions(body)
  switch (endpoint) {
    case 'chat':
      return { ...common, ...streaming(body), asksForUsage, ...readChat(body, weight) }
    case 'completions':
      return { ...common, ...streaming(body), asksForUsage, ...readCompletions(body) }
    case 'responses':
      return { ...common, ...streaming(body), ...readResponses(body, weight) }
    case 'embeddings':
      return { ...common, ...nothing, messages: countInputs(body.any('input')) }
    case 'moderations':
      weighParts(body.any('input'), weight)
      return { ...common, ...nothing, messages: countInputs(body.any('input')) }
    case 'rerank':
      return { ...common, ...nothing, messages: 1 + body.list('documents').length }
  }
}

function streaming(body: BodyReader): Pick<Reading, 'stream' | 'producesOutput'> {
  return { stream: body.boolean('stream'), producesOutput: true }
}

type Size = Pick<
  Reading,
  | 'outputCeiling'
  | 'predictedTokens'
  | 'choices'
  | 'messages'
  | 'refersTo'
  | 'keepsAnswer'
  | 'webSearches'
  | 'fileSearches'
  | 'compactsFrom'
  | 'toolModels'
>

function readStreamOptions(body: BodyReader): boolean {
  const includeUsage = body.object('stream_options').include_usage
  if (includeUsage !== undefined && includeUsage !== null && typeof includeUsage !== 'boolean') {
    body.reject('stream_options.include_usage', 'The field "stream_options.include_usage" must be true or false.')
  }
  return includeUsage === true
}

function readChat(body: BodyReader, weight: Weight): Size {
  const messages = body.list('messages')
  for (const message of messages) {
    weighParts(fieldOf(message, 'content'), weight)
    // What the model has said aloud before, which the provider keeps.
    weight.reference(fieldOf(fieldOf(message, 'audio'), 'id'))
  }
  if (body.has('web_search_options')) weight.stored = true
  const tools = toolsOf(body)
  return {
    outputCeiling: body.ceiling('max_completion_tokens', 'max_tokens'),
    ...(body.has('prediction') ? { predictedTokens: bytesOfTexts(fieldOf(body.any('prediction'), 'content')) } : {}),
    choices: body.count('n') ?? 1,
    ...toolModels(tools, body),
    messages: messages.length + readTools(tools, body, weight) + body.list('functions').length,
  }
}

/** Of a text or of parts that have one each. */
function bytesOfTexts(content: unknown): number {
  if (typeof content === 'string') return Buffer.byteLength(content)
  return objectsIn(content).reduce((sum, { text }) => sum + (typeof text === 'string' ? Buffer.byteLength(text) : 0), 0)
}

function readCompletions(body: BodyReader): Size {
  const prompts = countInputs(body.any('prompt'))
  const answers = Math.max(body.count('n') ?? 1, body.count('best_of') ?? 1)
  return { outputCeiling: body.ceiling('max_tokens'), choices: answers * prompts, messages: prompts }
}

function readResponses(body: BodyReader, weight: Weight): Size {
  if (body.boolean('background')) {
    body.reject('background', 'Responses in the background are not supported by this gateway yet.')
  }
  for (const name of ['previous_response_id', 'conversation', 'prompt']) if (body.has(name)) weight.stored = true
  const refersTo = referencesIn(body)
  if (refersTo.length > 0) weight.stored = true
  const input = body.any('input')
  for (const item of objectsIn(input)) weighItem(item, weight)
  const variables = fieldOf(body.any('prompt'), 'variables')
  if (isObject(variables)) weighParts(Object.values(variables), weight)
  const items = Array.isArray(input) ? input.length : 1
  const tools = toolsOf(body)
  return {
    outputCeiling: body.ceiling('max_output_tokens'),
    choices: 1,
    messages: items + (body.has('instructions') ? 1 : 0) + readTools(tools, body, weight),
    ...openaiSearches(tools, body),
    ...openaiCompaction(body),
    ...toolModels(tools, body),
    refersTo,
    keepsAnswer: body.any('store') !== false,
  }
}

/** Everything that the provider would add to the request because its id is named. */
function referencesIn(body: BodyReader): readonly StoredReference[] {
  const found: { param: string; id: unknown }[] = []
  if (body.has('previous_response_id'))
    found.push({ param: 'previous_response_id', id: body.any('previous_response_id') })
  const conversation = body.any('conversation')
  if (body.has('conversation')) {
    found.push({ param: 'conversation', id: isObject(conversation) ? conversation.id : conversation })
  }
  for (const item of objectsIn(body.any('input'))) {
    if (isReference(item)) found.push({ param: 'input', id: item.id })
  }
  // Each has to be looked up.
  if (found.length > REFERENCES_MAX)
    body.reject('input', `The field "input" refers to more than ${REFERENCES_MAX} items.`)
  return found.filter((reference): reference is StoredReference => {
    if (typeof reference.id === 'string') return true
    body.reject(reference.param, `The field "${reference.param}" must name what it refers to by its id.`)
    return false
  })
}

const REFERENCES_MAX = 1_000

/** The type may be left out where nothing but an id is said. */
function isReference({ type, role, id }: Record<string, unknown>): boolean {
  return type === 'item_reference' || ((type ?? null) === null && (role ?? null) === null && id !== undefined)
}

/** How many texts a `prompt` or `input` holds: a string, a list of strings, one list of tokens, or a list of such lists. */
function countInputs(input: unknown): number {
  if (!Array.isArray(input)) return 1
  return typeof input[0] === 'number' ? 1 : Math.max(1, input.length)
}

/** How many tools the body itself has; notes those that the provider runs, wherever they stand. */
function readTools(tools: readonly JsonObject[], body: BodyReader, weight: Weight): number {
  if (tools.some(isServerTool)) weight.stored = true
  return body.list('tools').length
}

function isServerTool(tool: JsonObject): boolean {
  // A shell in one of the provider's containers is run there, and its output read again.
  return !CLIENT_TOOLS.has(tool.type) || /^container_/.test(String(fieldOf(tool.environment, 'type')))
}

/** An item of the responses API's input. */
function weighItem(item: Record<string, unknown>, weight: Weight): void {
  weighParts(item.content, weight)
  weighParts(item.output, weight)
  // A screenshot stands alone where others have a list of parts.
  if (isObject(item.output)) weighPart(item.output, weight)
}

function weighParts(parts: unknown, weight: Weight): void {
  for (const part of objectsIn(parts)) weighPart(part, weight)
}

function weighPart(part: Record<string, unknown>, weight: Weight): void {
  switch (part.type) {
    case 'image_url': {
      const source = part.image_url
      weight.imageUrl(
        typeof source === 'string' ? source : fieldOf(source, 'url'),
        fieldOf(source, 'detail') ?? part.detail,
      )
      break
    }
    case 'video_url':
    case 'audio_url':
    case 'document_url': {
      const source = part[part.type]
      weight.url(typeof source === 'string' ? source : fieldOf(source, 'url'))
      break
    }
    case 'input_audio':
      weight.inline(fieldOf(part.input_audio, 'data') ?? part.data, null)
      break
    case 'file':
      weighFile(isObject(part.file) ? part.file : part, weight)
      break
    case 'input_image':
    case 'computer_screenshot':
      weight.imageUrl(part.image_url, part.detail)
      weight.imageReference(part.file_id, part.detail)
      break
    case 'input_file':
      weighFile(part, weight)
      break
  }
}

function weighFile(file: Record<string, unknown>, weight: Weight): void {
  weight.reference(file.file_id)
  if (typeof file.file_url === 'string') weight.url(file.file_url)
  const data = file.file_data
  if (typeof data === 'string' && !data.startsWith('data:')) weight.inline(data, mediaTypeOf(file.filename))
  else weight.url(data)
}

/** Plain base64 says nothing of its type; the file's name may. */
function mediaTypeOf(filename: unknown): string | null {
  return typeof filename === 'string' && !/\.(pdf|png|jpe?g|gif|webp)$/i.test(filename) ? 'text/plain' : null
}
