/**
 * Reads requests of the Gemini format, where the path carries the model. Google's parser takes camelCase and snake_case alike, so
 * every field is looked for under both names.
 */

import { isObject, type JsonObject, objectsIn } from '../units/json-object.ts'
import { snakeCase } from './ambiguity.ts'
import type { BodyReader } from './body-reader.ts'
import type { Reading } from './reading.ts'
import { refuseRouting } from './refused-fields.ts'
import type { Weight } from './weight.ts'

export type GoogleEndpoint =
  | 'generate_content'
  | 'stream_generate_content'
  | 'embed_content'
  | 'batch_embed_contents'
  | 'count_tokens'

export function readGoogle(endpoint: GoogleEndpoint, body: BodyReader, weight: Weight, pathModel: string): Reading {
  checkModels(body, pathModel)
  const generating = endpoint === 'generate_content' || endpoint === 'stream_generate_content'
  const counted = field(body.value, 'generateContentRequest')
  const request = endpoint === 'count_tokens' && isObject(counted) ? counted : body.value
  const config = readConfig(body)
  const common = {
    requestedModel: pathModel,
    modelField: null,
    stream: endpoint === 'stream_generate_content',
    asksForUsage: false,
    producesOutput: generating,
    outputCeiling: generating ? config.outputCeiling : null,
    choices: generating ? config.choices : 1,
  }
  if (endpoint === 'embed_content' || endpoint === 'batch_embed_contents') {
    const requests = objectsIn(body.any('requests'))
    for (const { content } of [body.value, ...requests]) weighContent(content, weight)
    return { ...common, messages: Math.max(1, requests.length) }
  }
  const tiers = generating ? body.words('serviceTier', 'service_tier') : {}
  return { ...common, ...tiers, messages: readContents(request, weight) + readTools(request, weight) }
}

/** A field under either of its names. */
function field(value: JsonObject, camelCase: string): unknown {
  return value[camelCase] ?? value[snakeCase(camelCase)]
}

/** The body may repeat the model, also in each request of a batch; a different one has two readings. */
function checkModels(body: BodyReader, pathModel: string): void {
  const named = [body.value, ...objectsIn(body.any('requests'))].map(({ model }) => model)
  const counted = field(body.value, 'generateContentRequest')
  if (isObject(counted)) named.push(counted.model)
  for (const model of named) {
    if (model === undefined || model === null) continue
    if (typeof model !== 'string' || lastPart(model) !== lastPart(pathModel)) {
      body.reject('model', 'The field "model" names another model than the path does.')
    }
  }
}

/** `models/gemini-2.5-pro` and `google/gemini-2.5-pro` name the same model as `gemini-2.5-pro`. */
function lastPart(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1)
}

function readConfig(body: BodyReader): { outputCeiling: number | null; choices: number } {
  const name = body.has('generationConfig') ? 'generationConfig' : 'generation_config'
  const config = body.nested(name)
  refuseRouting(config)
  const either = (camelCase: string) => config.count(camelCase) ?? config.count(snakeCase(camelCase))
  return { outputCeiling: either('maxOutputTokens'), choices: either('candidateCount') ?? 1 }
}

function readContents(request: JsonObject, weight: Weight): number {
  if (field(request, 'cachedContent') != null) weight.stored = true
  const contents = objectsIn(request.contents)
  for (const content of contents) weighContent(content, weight)
  const system = field(request, 'systemInstruction')
  weighContent(system, weight)
  return Math.max(1, contents.length) + (isObject(system) ? 1 : 0)
}

/** Functions are the client's; everything else (search, code execution, URL context) is run by Google. */
function readTools(request: JsonObject, weight: Weight): number {
  let count = 0
  for (const tool of objectsIn(request.tools)) {
    const declarations = field(tool, 'functionDeclarations')
    if (Array.isArray(declarations)) count += declarations.length
    const others = Object.keys(tool).filter((name) => !/^function_?declarations$/i.test(name))
    if (others.length > 0) weight.stored = true
  }
  return count
}

function weighContent(content: unknown, weight: Weight): void {
  if (!isObject(content)) return
  for (const part of objectsIn(content.parts)) {
    weighPart(part, weight)
    const response = field(part, 'functionResponse')
    if (isObject(response)) for (const nested of objectsIn(response.parts)) weighPart(nested, weight)
  }
}

function weighPart(part: JsonObject, weight: Weight): void {
  const inline = field(part, 'inlineData')
  if (isObject(inline)) weight.inline(inline.data, field(inline, 'mimeType'))
  const file = field(part, 'fileData')
  if (isObject(file)) weight.reference(field(file, 'fileUri'))
}
